/**
 * A proxy between the browser and the stack: what the page sends goes through it, and goes wrong as the test wishes. The
 * stack itself answers all that is not refused here.
 */
import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ORIGIN } from './stack.ts';

const LOCAL = /^(localhost|127\.0\.0\.1)$/;

export interface Passed {
  readonly method: string;
  readonly path: string;
}

export class Faults {
  /** Calls of the API are made with this key, and not with the page's. */
  key: string | null = null;
  /** Calls of the API so far, refused ones too. */
  readonly calls: Passed[] = [];
  readonly #server: Server;
  #refusal: { readonly status: number; left: number } = { status: 503, left: 0 };
  #lost = 0;
  #expired = 0;

  private constructor() {
    this.#server = createServer((request, answer) => this.#pass(request, answer));
  }

  static async start(): Promise<Faults> {
    const faults = new Faults();
    await new Promise<void>((resolve) => {
      faults.#server.listen(0, '127.0.0.1', resolve);
    });
    return faults;
  }

  /** For the browser's `proxy`. */
  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** The next calls of the API are refused. */
  refuse(status: 429 | 503, times: number): void {
    this.#refusal = { status, left: times };
  }

  /** The next changes are made, and their answers lost. */
  lose(times: number): void {
    this.#lost = times;
  }

  /** The next files of the bucket are refused, as one of which the address has expired. */
  expire(times: number): void {
    this.#expired = times;
  }

  /** From now on, nothing goes wrong. */
  clear(): void {
    this.key = null;
    this.#refusal = { status: 503, left: 0 };
    [this.#lost, this.#expired] = [0, 0];
  }

  #pass(request: IncomingMessage, answer: ServerResponse): void {
    const { hostname, origin, pathname } = new URL(request.url ?? '');
    const method = request.method ?? 'GET';
    const isCall = origin === ORIGIN && pathname.startsWith('/api/');
    if (!LOCAL.test(hostname)) {
      // The browser's own: the page is watched for such by the tests.
      request.resume();
      answer.writeHead(502).end();
      return;
    }
    if (isCall) {
      this.calls.push({ method, path: pathname });
    }
    if (isCall && this.#refusal.left > 0) {
      this.#refusal.left--;
      refuse(request, answer, this.#refusal.status);
    } else if (origin !== ORIGIN && method === 'GET' && this.#expired > 0) {
      this.#expired--;
      answer.writeHead(403, { 'Access-Control-Allow-Origin': '*' }).end('Request has expired');
    } else {
      const isLost = isCall && method !== 'GET' && this.#lost > 0;
      this.#lost -= isLost ? 1 : 0;
      this.#forward(request, answer, isCall, isLost);
    }
  }

  #forward(request: IncomingMessage, answer: ServerResponse, isCall: boolean, isLost: boolean): void {
    const headers: IncomingMessage['headers'] = {
      ...request.headers,
      ...(isCall && this.key ? { 'x-avala-api-key': this.key } : {}),
    };
    delete headers['proxy-connection'];
    const onward = send(request.url ?? '', { method: request.method ?? 'GET', headers }, (answered) => {
      if (isLost) {
        answered.resume().on('end', () => answer.destroy());
        return;
      }
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => answer.writableFinished || onward.destroy());
    request.pipe(onward);
  }
}

function refuse(request: IncomingMessage, answer: ServerResponse, status: number): void {
  request.resume();
  const body = JSON.stringify({ detail: 'Refused by the test.', code: 'busy' });
  answer.writeHead(status, { 'Content-Type': 'application/json', 'Retry-After': '0' }).end(body);
}
