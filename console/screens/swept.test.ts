import { QueryClient } from '@tanstack/react-query';
import { expect, it } from 'vitest';
import type { Client } from '../api/client.ts';
import type { Loaded } from '../ui/queries.ts';
import { begun } from '../ui/sweep.ts';
import { sweepsOf } from './swept.ts';

it('forgets after a sweep what was read before it', async () => {
  const body = { examined: 1, accepted: 1, cursor: null, done: true, sweep: 's' };
  const client = { post: async () => ({ body }) } as unknown as Client;
  const claimed = new Map([['i', {} as Loaded]]);
  const queries = new QueryClient();
  queries.setQueryData(['item', 'i'], {});
  const app = { client, claimed, sweeps: new Map() };
  await sweepsOf(app, queries, 'p').start(begun('accept', {}));
  expect(claimed.size).toBe(0);
  expect(queries.getQueryData(['item', 'i'])).toBeUndefined();
  // Who comes back to the screen finds the same sweeps.
  expect(sweepsOf(app, queries, 'p').state().last).toBe('s');
});
