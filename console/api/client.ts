import type { paths } from './schema.ts';
import type { Problem } from './types.ts';

const BASE = '/api/v1';
/** A refused call is made again so often, each time after as long as the answer says. */
const TRIES = 4;
const LONGEST_WAIT_SECONDS = 30;

type Method = 'get' | 'post' | 'patch' | 'delete';
type Operation<P extends keyof paths, M extends Method> = Exclude<paths[P][M], undefined>;
type Parameters<O> = O extends { parameters: infer Named } ? Named : never;
type Body<O> = O extends { requestBody?: infer Sent } ? JsonOf<Exclude<Sent, undefined>> : never;
type JsonOf<T> = T extends { content: { 'application/json': infer Json } } ? Json : never;
type Answer<O> = O extends { responses: infer Responses } ? JsonOf<Responses[keyof Responses & (200 | 201 | 202)]> : never;

/** What a call is given. Names and types are those of the API's description. */
export interface Options<O> {
  readonly path?: Parameters<O> extends { path: infer Path } ? Path : never;
  readonly query?: Parameters<O> extends { query?: infer Query } ? Query : never;
  readonly body?: Body<O>;
  /** The version that is changed: the `etag` of an answer. */
  readonly ifMatch?: string | undefined;
  /** Of a POST that may be made once more: the same key does it once (contract, 1.3). A key of its own if it is not given. */
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface Answered<T> {
  readonly body: T;
  readonly etag: string | undefined;
}

/** An answer that is an error, or none (`status` 0). Its message is for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Of a validation error: the complaints by field. */
  readonly errors: Readonly<Record<string, readonly string[]>>;

  constructor(status: number, { detail, code, errors }: Pick<Problem, 'detail' | 'code' | 'errors'>) {
    super(detail);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.errors = errors ?? {};
  }
}

/** Calls the API with a key. 429 and 503 are waited for; a call that was answered otherwise is never made twice. */
export class Client {
  readonly #key: string;
  readonly #fetch: typeof fetch;
  readonly #sleep: (seconds: number) => Promise<void>;

  constructor(key: string, send: typeof fetch = (...call) => fetch(...call), sleep = defaultSleep) {
    this.#key = key;
    this.#fetch = send;
    this.#sleep = sleep;
  }

  get<P extends keyof paths>(path: P, options: Options<Operation<P, 'get'>> = {}) {
    return this.#call<Answer<Operation<P, 'get'>>>('GET', path, options as Given);
  }

  post<P extends keyof paths>(path: P, options: Options<Operation<P, 'post'>> = {}) {
    return this.#call<Answer<Operation<P, 'post'>>>('POST', path, options as Given);
  }

  patch<P extends keyof paths>(path: P, options: Options<Operation<P, 'patch'>> = {}) {
    return this.#call<Answer<Operation<P, 'patch'>>>('PATCH', path, options as Given);
  }

  delete<P extends keyof paths>(path: P, options: Options<Operation<P, 'delete'>> = {}) {
    return this.#call<undefined>('DELETE', path, options as Given);
  }

  async #call<T>(method: string, path: string, options: Given): Promise<Answered<T>> {
    const request: RequestInit = { method, headers: this.#headers(method, options), cache: 'no-store' };
    if (options.body !== undefined) {
      request.body = jsonOf(options.body);
    }
    if (options.signal) {
      request.signal = options.signal;
    }
    const address = addressOf(path, options);
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#send(address, request);
      const wait = attempt < TRIES ? waitOf(answer) : null;
      if (wait === null) {
        return { body: await bodyOf<T>(answer), etag: answer.headers.get('ETag') ?? undefined };
      }
      await this.#sleep(wait);
    }
  }

  async #send(address: string, request: RequestInit): Promise<Response> {
    try {
      return await this.#fetch(address, request);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') {
        throw error;
      }
      throw new ApiError(0, { code: 'no_answer', detail: 'The server cannot be reached. Is the network up?' });
    }
  }

  #headers(method: string, { body, ifMatch, idempotencyKey }: Given): Record<string, string> {
    return {
      'X-Avala-Api-Key': this.#key,
      Accept: 'application/json',
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(ifMatch === undefined ? {} : { 'If-Match': ifMatch }),
      // The same in each attempt: what a lost answer has done is not done again (contract, 1.3).
      ...(method === 'POST' ? { 'Idempotency-Key': idempotencyKey ?? crypto.randomUUID() } : {}),
    };
  }
}

/** JSON with the sign of zero, which a quaternion may have and `JSON.stringify` drops: what was not changed is sent as it came. */
function jsonOf(body: unknown): string {
  const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown };
  return JSON.stringify(body, (_, value: unknown) => (rawJSON && Object.is(value, -0) ? rawJSON('-0.0') : value));
}

interface Given {
  readonly path?: Record<string, string>;
  readonly query?: Record<string, string | number | null | undefined>;
  readonly body?: unknown;
  readonly ifMatch?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal;
}

function addressOf(path: string, { path: names = {}, query = {} }: Given): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ''));
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [[name, `${value}`]],
  );
  const text = new URLSearchParams(given).toString();
  return `${BASE}${filled}${text === '' ? '' : `?${text}`}`;
}

/** Seconds until a refused call may be made again; `null` of an answer that is no refusal. */
function waitOf(answer: Response): number | null {
  if (answer.status !== 429 && answer.status !== 503) {
    return null;
  }
  const seconds = Number(answer.headers.get('Retry-After') ?? 1);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0.5), LONGEST_WAIT_SECONDS) : 1;
}

async function bodyOf<T>(answer: Response): Promise<T> {
  const body: unknown = answer.status === 204 ? undefined : await answer.json().catch(() => undefined);
  if (answer.ok) {
    return body as T;
  }
  throw new ApiError(answer.status, isProblem(body) ? body : { code: 'no_problem', detail: `HTTP ${answer.status}` });
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'detail' in body && typeof body.detail === 'string';
}

function defaultSleep(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}

/** An object with names of the caller's own, such as labels: the generated types know it as one without names. */
export function free(value: Readonly<Record<string, unknown>>): Record<string, never> {
  return value as Record<string, never>;
}

/** The cursor in a page's `next`. */
export function cursorOf(next: string | null | undefined): string | undefined {
  return next ? (new URL(next).searchParams.get('cursor') ?? undefined) : undefined;
}
