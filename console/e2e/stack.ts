/** The running local stack, as the tests need it: plain calls of the API, and a project with drafts. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Result } from '../api/types.ts';

export const ROOT = new URL('../../', import.meta.url);
export const PICTURES = new URL('examples/pictures/', ROOT);
const LABELS = [
  'person',
  'car',
  'pedestrian',
  'cup',
  'cat',
  'dog',
  'horse',
  'motorcycle',
  'dining table',
  '<img src=x onerror=alert(1)>',
];

function environment(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set. Run: make test-console-system`);
  }
  return value;
}

export const BASE = environment('AVALA_BASE_URL');
export const KEY = environment('AVALA_API_KEY');
export const ORIGIN = new URL(BASE).origin;

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${BASE}${path}`, {
    method,
    headers: { 'X-Avala-Api-Key': KEY, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) {
    throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export interface Sample {
  readonly project: string;
  readonly name: string;
  /** Where the bucket's files are read. */
  readonly pictures: string;
}

/** A project with the sample pictures, each twice, and what a job has drafted on them. */
export async function sample(): Promise<Sample> {
  const pictures = await samplePictures();
  const { uid: job } = await call<{ uid: string }>('POST', `/projects/${pictures.project}/auto-label/`, {
    confidence_threshold: 0.2,
  });
  for (;;) {
    const { completed_at: end } = await call<{ completed_at: string | null }>('GET', `/auto-label-jobs/${job}/`);
    if (end) {
      return pictures;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
  }
}

/** A project with the sample pictures, each twice. */
export async function samplePictures(name = `Pictures ${randomUUID().slice(0, 8)}`, labels = LABELS): Promise<Sample> {
  const { uid } = await call<{ uid: string }>('POST', '/projects/', { name, labels });
  const files = readdirSync(PICTURES).filter((file) => file.endsWith('.jpg'));
  const keys = [1, 2].flatMap((time) => files.map((file) => `${time}/${file}`));
  const { results: added } = await call<{ results: { key: string; upload_url: string }[] }>('POST', `/projects/${uid}/items/`, {
    items: keys.map((key) => ({ key, asset_type: 'image' })),
  });
  for (const { key, upload_url: url } of added) {
    const answer = await fetch(url, { method: 'PUT', body: readFileSync(new URL(key.slice(2), PICTURES)) });
    if (!answer.ok) {
      throw new Error(`Upload of ${key}: ${answer.status}`);
    }
  }
  return { project: uid, name, pictures: new URL(added[0]!.upload_url).origin };
}

/** The results of a project in the order of the queue. */
export async function results(project: string, status: 'draft' | 'accepted'): Promise<Result[]> {
  const page = await call<{ results: Result[] }>('GET', `/projects/${project}/results/?status=${status}&ordering=created_at`);
  return page.results;
}

/** A model server on this machine. The ports of a stack move together. */
export const MODEL = `http://127.0.0.1:${Number(new URL(BASE).port) - 8080 + 4601}/invocations`;

/** A key of the demo organization with these scopes alone, by the administration command. */
export function keyOf(name: string, ...scopes: string[]): string {
  return keyUntil('2099-01-01T00:00:00Z', name, ...scopes);
}

/** The same; the key ends then. */
export function keyUntil(end: string, name: string, ...scopes: string[]): string {
  const given = scopes.flatMap((scope) => ['--scope', scope]);
  const options = ['--expires', end, ...given];
  const command = ['-m', 'local', 'keys', 'create', '--organization', 'demo', '--name', name, ...options];
  const printed = execFileSync('.venv/bin/python', command, { cwd: fileURLToPath(ROOT), encoding: 'utf8' });
  const key = /avk_\S+/.exec(printed)?.[0];
  if (!key) {
    throw new Error('The administration command printed no key.');
  }
  return key;
}
