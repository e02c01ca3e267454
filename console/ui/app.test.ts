import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, expect, it, vi } from 'vitest';
import type { Key } from '../api/types.ts';
import type { Entry } from '../editor/journal.ts';
import { newApp, newQueries } from './app.tsx';
import { keepKey, readKey } from './session.ts';

const about = { name: 'Ann', organization: { uid: 'o', name: 'O' } } as Key;
const entry: Entry = {
  item: 'i',
  name: 'a.jpg',
  project: 'p',
  result: 'r',
  etag: '"1"',
  commands: [],
  done: 0,
  decision: { verdict: 'accept', annotations: null },
};

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  });
  vi.stubGlobal('indexedDB', new IDBFactory());
  vi.stubGlobal('navigator', { locks: { request: (_: string, call: () => Promise<void>) => call() } });
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ detail: 'The key is wrong.', code: 'x' }, { status: 401 })));
});

it('forgets the key that a decision or a read was refused with, and no newer one', async () => {
  for (const [inTab, isForgotten] of [
    ['avk_old', true],
    ['avk_new', false],
  ] as const) {
    const queries = newQueries('avk_old');
    const app = newApp('avk_old', about, queries);
    keepKey(inTab);
    await app.saver.submit(entry);
    expect(app.saver.state().unsaved).toMatchObject([{ status: 401 }]);
    expect(readKey() === null).toBe(isForgotten);
    keepKey(inTab);
    await queries.fetchQuery({ queryKey: ['x'], queryFn: () => app.client.get('/projects/') }).catch(() => undefined);
    expect(readKey() === null).toBe(isForgotten);
  }
});
