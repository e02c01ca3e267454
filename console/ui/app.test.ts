import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, expect, it, vi } from 'vitest';
import type { Key } from '../api/types.ts';
import { Journal, type Entry } from '../editor/journal.ts';
import { newApp, newQueries, succeed } from './app.tsx';
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

const appOf = (key: string) => newApp(key, about, newQueries(key));

beforeEach(() => {
  vi.restoreAllMocks();
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

it('sends with the next key what the browser could not keep, also if the old key is refused later', async () => {
  vi.spyOn(Journal.prototype, 'write').mockRejectedValue(new Error('The disk is full.'));
  const refused = Response.json({ detail: 'The key is wrong.', code: 'x' }, { status: 401 });
  const done = Response.json({ uid: 'r', status: 'accepted' });
  const send = vi.fn((_: string, { headers }: { headers: Record<string, string> }) =>
    Promise.resolve((headers['X-Avala-Api-Key'] === 'avk_old' ? refused : done).clone()),
  );
  vi.stubGlobal('fetch', send);
  const [old, next] = [appOf('avk_old'), appOf('avk_new')];
  succeed(old);
  await old.saver.submit(entry);
  expect(old.saver.state().unsaved).toMatchObject([{ status: 401, isKept: false }]);
  keepKey('avk_new');
  succeed(next);
  succeed(next);
  await vi.waitFor(() => expect(next.saver.state()).toMatchObject({ running: 0, unsaved: [] }));
  await old.saver.submit({ ...entry, item: 'late', result: 's' });
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(4));
  await vi.waitFor(() => expect(next.saver.state()).toMatchObject({ running: 0, unsaved: [] }));
  expect(old.saver.state().unsaved).toEqual([]);
  expect(send.mock.calls.map(([to, { headers }]) => [to.split('/').at(-3), headers['X-Avala-Api-Key']])).toEqual([
    ['r', 'avk_old'],
    ['r', 'avk_new'],
    ['s', 'avk_old'],
    ['s', 'avk_new'],
  ]);
  expect(readKey()).toBe('avk_new');
});
