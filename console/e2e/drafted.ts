/** A project of the test's own, with drafts that say what the test wants: its model is a server of the test. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Result } from '../api/types.ts';
import { call, ROOT, type Sample } from './stack.ts';

/** Uploads at a time. */
const AT_ONCE = 8;

export interface File {
  readonly key: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** What the model says of it, if need be as JSON text. Without: it is not drafted. */
  readonly predictions?: readonly unknown[] | string;
  /** More about the item: `asset_type`, `width` and `height`. */
  readonly about?: Readonly<Record<string, unknown>>;
}

export interface Drafted extends Sample {
  /** The item of each key. */
  readonly items: ReadonlyMap<string, string>;
}

export function box(label: string, confidence: number, x: number, y: number, width: number, height: number) {
  return { type: 'bounding_box', label, confidence, coordinates: { x, y, width, height } };
}

/** Uploads the files, and lets a job draft what the model says of them. */
export async function drafted(files: readonly File[], labels: readonly string[]): Promise<Drafted> {
  const name = `Console ${randomUUID()}`;
  const { uid: project } = await call<{ uid: string }>('POST', '/projects/', { name, labels });
  const added: { uid: string; key: string; upload_url: string }[] = [];
  for (let at = 0; at < files.length; at += 1000) {
    const items = files.slice(at, at + 1000).map(({ key, about }) => ({ key, ...about }));
    const { results } = await call<{ results: typeof added }>('POST', `/projects/${project}/items/`, { items });
    added.push(...results);
  }
  const bodies = new Map(files.map(({ key, body }) => [key, body]));
  const waiting = [...added];
  const upload = async () => {
    for (let item = waiting.shift(); item; item = waiting.shift()) {
      const answer = await fetch(item.upload_url, { method: 'PUT', body: bodies.get(item.key)! });
      if (!answer.ok) {
        throw new Error(`Upload of ${item.key}: ${answer.status}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, upload));
  const said = new Map(
    files.map(({ key, predictions = [] }) => [key, typeof predictions === 'string' ? predictions : JSON.stringify(predictions)]),
  );
  await run(project, new Map(added.map(({ uid, key }) => [uid, said.get(key)!])));
  const items = new Map(added.map(({ uid, key }) => [key, uid]));
  return { project, name, pictures: new URL(added[0]!.upload_url).origin, items };
}

/** Runs a job with a model that says this of each item, by its uid. */
async function run(project: string, said: ReadonlyMap<string, string>): Promise<void> {
  const model = await serving(said);
  try {
    const { port } = model.address() as AddressInfo;
    const { uid } = await call<{ uid: string }>('POST', '/inference-providers/', {
      name: `Model ${randomUUID()}`,
      provider_type: 'http',
      project,
      config: { endpoint_url: `http://127.0.0.1:${port}/` },
    });
    const body = { provider_id: uid, confidence_threshold: 0 };
    const { uid: job } = await call<{ uid: string }>('POST', `/projects/${project}/auto-label/`, body);
    for (let end = null; !end;) {
      await new Promise((resolve) => {
        setTimeout(resolve, 200);
      });
      const now = await call<{ completed_at: string | null; failed_items: number }>('GET', `/auto-label-jobs/${job}/`);
      end = now.completed_at;
      if (now.failed_items > 0) {
        const failed = await call<unknown>('GET', `/auto-label-jobs/${job}/items/?outcome=failed`);
        throw new Error(`Items failed: ${JSON.stringify(failed)}`);
      }
    }
    await call('PATCH', `/inference-providers/${uid}/`, { is_active: false });
  } finally {
    model.close();
    // The system keeps connections for minutes, and the process would wait for them.
    model.closeAllConnections();
  }
}

async function serving(said: ReadonlyMap<string, string>): Promise<Server> {
  const server = createServer((request, answer) => {
    void textOf(request).then((text) => {
      const { asset_id: item } = JSON.parse(text || '{}') as { asset_id?: string };
      answer.setHeader('Content-Type', 'application/json');
      answer.end(`{"annotations": ${said.get(item ?? '') ?? '[]'}}`);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) {
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString();
}

/** The result of an item, as the API has it. */
export async function resultOf(project: string, item: string): Promise<Result> {
  const page = await call<{ results: Result[] }>('GET', `/projects/${project}/results/?item=${item}`);
  return page.results[0]!;
}

/** Runs a script of this folder with the packages of the repository, and gives what it prints. */
export function python(script: string, ...given: string[]): string {
  const command = [fileURLToPath(new URL(script, import.meta.url)), ...given];
  return execFileSync('.venv/bin/python', command, { cwd: fileURLToPath(ROOT), encoding: 'utf8' });
}
