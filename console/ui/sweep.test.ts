import { describe, expect, it } from 'vitest';
import type { Client } from '../api/client.ts';
import { begun, run, stepOf, Sweeps, type Swept } from './sweep.ts';

const answers = [
  { examined: 100, accepted: 3, matching: 0, cursor: 'a', done: false, sweep: 's' },
  { examined: 50, accepted: 2, matching: 0, cursor: null, done: true, sweep: 's' },
];

/** A server that gives the answers in turn, and remembers what it was sent. */
function server(given: readonly object[] = answers) {
  const calls: unknown[][] = [];
  const left = [...given];
  const keys: (string | undefined)[] = [];
  const post = async (path: string, { body, idempotencyKey }: { body: unknown; idempotencyKey?: string }) => {
    calls.push([path.split('/').at(-2), body]);
    keys.push(idempotencyKey);
    const answer = left.shift();
    if (answer instanceof Error) {
      throw answer;
    }
    return { body: answer };
  };
  return { calls, keys, client: { post } as unknown as Client };
}

describe('a sweep', () => {
  it('goes on where each call ended, and adds up', async () => {
    const { calls, client } = server();
    const seen: Swept[] = [];
    const chosen = { label: 'car', min_confidence: 0.6 };
    await run(begun('accept', chosen), stepOf(client, 'p'), (swept) => seen.push(swept), new AbortController().signal);
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
    await run(begun('accept', {}), stepOf(client, 'p'), () => over.abort(), over.signal);
    expect(calls).toHaveLength(1);
  });

  it('goes on after an error from what was reported last', async () => {
    const { calls, client } = server([answers[0]!, new Error('The service is busy.'), answers[1]!]);
    let last = begun('accept', {});
    const report = (swept: Swept) => (last = swept);
    const step = stepOf(client, 'p');
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
    await run(begun('count', {}), stepOf(client, 'p'), (swept) => seen.push(swept), signal);
    await run(begun('undo', {}, 's'), stepOf(client, 'p'), (swept) => seen.push(swept), signal);
    expect(calls).toEqual([
      ['accept', { count_only: true }],
      ['undo', { sweep: 's' }],
    ]);
    expect(seen.map(({ found }) => found)).toEqual([4, 4]);
  });
});

const lost = new Error('The server cannot be reached.');

describe('the sweeps of a project', () => {
  it('make a first call whose answer was lost once more as the same one, and know what to undo', async () => {
    const { calls, keys, client } = server([lost, ...answers]);
    const sweeps = new Sweeps(stepOf(client, 'p'), () => undefined);
    await sweeps.start(begun('accept', { label: 'car' }));
    expect(sweeps.state()).toMatchObject({ error: lost, isRunning: false, last: null });
    await sweeps.start(sweeps.state().swept!);
    expect(sweeps.state()).toMatchObject({ error: null, last: 's', swept: { found: 5, isDone: true } });
    expect(calls[0]).toEqual(['accept', { label: 'car', count_only: false }]);
    expect(calls[1]).toEqual(calls[0]);
    expect(keys[0]).toBeTruthy();
    expect(keys).toEqual([keys[0], keys[0], undefined]);
    expect(begun('accept', {}).idempotencyKey).not.toBe(keys[0]);
  });

  it('run one at a time, and end with a word', async () => {
    const { calls, client } = server();
    let ended = 0;
    const sweeps = new Sweeps(stepOf(client, 'p'), () => ended++);
    const first = sweeps.start(begun('accept', {}));
    await sweeps.start(begun('reject', {}));
    expect([sweeps.state().isRunning, ended]).toEqual([true, 0]);
    sweeps.stop();
    await first;
    expect(calls.map(([verb]) => verb)).toEqual(['accept']);
    expect([sweeps.state().isRunning, sweeps.state().last, ended]).toEqual([false, 's', 1]);
  });

  it('know what was counted until something is changed', async () => {
    const counted = { examined: 9, accepted: 0, matching: 4, cursor: null, done: true, sweep: 'c' };
    const { client } = server([counted, answers[1]!]);
    const sweeps = new Sweeps(stepOf(client, 'p'), () => undefined);
    await sweeps.start(begun('count', { label: 'car' }));
    expect(sweeps.state()).toMatchObject({ counted: { found: 4, chosen: { label: 'car' } }, last: null });
    await sweeps.start(begun('reject', {}));
    expect(sweeps.state().counted).toBeNull();
  });
});
