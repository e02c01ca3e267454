import { describe, expect, it } from 'vitest';
import type { Client } from '../api/client.ts';
import { begun, run, stepOf, type Swept } from './sweep.ts';

const answers = [
  { examined: 100, accepted: 3, matching: 0, cursor: 'a', done: false, sweep: 's' },
  { examined: 50, accepted: 2, matching: 0, cursor: null, done: true, sweep: 's' },
];

/** A server that gives the answers in turn, and remembers what it was sent. */
function server(given: readonly object[] = answers) {
  const calls: unknown[] = [];
  const left = [...given];
  const post = async (path: string, { body }: { body: unknown }) => {
    calls.push([path.split('/').at(-2), body]);
    const answer = left.shift();
    if (answer instanceof Error) {
      throw answer;
    }
    return { body: answer };
  };
  return { calls, client: { post } as unknown as Client };
}

describe('a sweep', () => {
  it('goes on where each call ended, and adds up', async () => {
    const { calls, client } = server();
    const seen: Swept[] = [];
    const chosen = { label: 'car', min_confidence: 0.6 };
    const step = stepOf(client, 'p', 'accept', chosen, null);
    await run(begun('accept'), step, (swept) => seen.push(swept), new AbortController().signal);
    expect(calls).toEqual([
      ['accept', { ...chosen, count_only: false }],
      ['accept', { cursor: 'a', count_only: false }],
    ]);
    expect(seen.map(({ examined, found, isDone }) => [examined, found, isDone])).toEqual([
      [100, 3, false],
      [150, 5, true],
    ]);
    expect(seen.at(-1)?.sweep).toBe('s');
  });

  it('stops between two calls', async () => {
    const { calls, client } = server();
    const over = new AbortController();
    await run(begun('accept'), stepOf(client, 'p', 'accept', {}, null), () => over.abort(), over.signal);
    expect(calls).toHaveLength(1);
  });

  it('goes on after an error from what was reported last', async () => {
    const { calls, client } = server([answers[0]!, new Error('The service is busy.'), answers[1]!]);
    let last = begun('accept');
    const report = (swept: Swept) => (last = swept);
    const step = stepOf(client, 'p', 'accept', {}, null);
    const { signal } = new AbortController();
    await expect(run(last, step, report, signal)).rejects.toThrow('busy');
    await run(last, step, report, signal);
    expect(last).toMatchObject({ examined: 150, found: 5, isDone: true });
    expect(calls.at(-1)).toEqual(['accept', { cursor: 'a', count_only: false }]);
  });

  it('counts without a change, and undoes what it is named', async () => {
    const counted = { examined: 9, accepted: 0, matching: 4, cursor: null, done: true, sweep: 'c' };
    const undone = { examined: 4, reopened: 4, cursor: null, done: true, sweep: 's' };
    const { calls, client } = server([counted, undone]);
    const seen: Swept[] = [];
    const { signal } = new AbortController();
    await run(begun('count'), stepOf(client, 'p', 'count', {}, null), (swept) => seen.push(swept), signal);
    await run(begun('undo', 's'), stepOf(client, 'p', 'undo', {}, 's'), (swept) => seen.push(swept), signal);
    expect(calls).toEqual([
      ['accept', { count_only: true }],
      ['undo', { sweep: 's' }],
    ]);
    expect(seen.map(({ found }) => found)).toEqual([4, 4]);
  });
});
