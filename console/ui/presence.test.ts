import { describe, expect, it } from 'vitest';
import { Presence } from './presence.ts';

/** The locks of a browser, of one name: the parts that are used. */
function browser() {
  let held: LockMode[] = [];
  let waiting: (() => void)[] = [];
  const request = async (
    name: string,
    { mode = 'exclusive', ifAvailable = false }: LockOptions,
    call: LockGrantedCallback<void>,
  ) => {
    const isFree = () => held.length === 0 || (mode === 'shared' && !held.includes('exclusive'));
    await Promise.resolve();
    if (!isFree() && ifAvailable) {
      return call(null);
    }
    while (!isFree()) {
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    held.push(mode);
    try {
      await call({ mode, name });
    } finally {
      held.splice(held.indexOf(mode), 1);
      for (const wake of waiting.splice(0)) {
        wake();
      }
    }
    return undefined;
  };
  return { request } as unknown as LockManager;
}

const later = () => new Promise((resolve) => setTimeout(resolve));

function defer() {
  let resolve: () => void = later;
  const promise = new Promise<void>((end) => (resolve = end));
  return { promise, resolve: () => resolve() };
}

describe('the presence of pages', () => {
  it('lets only the last one that leaves do what is to be done', async () => {
    const locks = browser();
    const [one, other] = [new Presence('q', locks), new Presence('q', locks)];
    const done: string[] = [];
    await Promise.all([one.come(), other.come(), one.come()]);
    await one.leave(async () => done.push('one'));
    expect(done).toEqual([]);
    await other.leave(async () => done.push('other'));
    expect(done).toEqual(['other']);
  });

  it('makes a page that comes wait until the one that leaves has left', async () => {
    const locks = browser();
    const [one, other] = [new Presence('q', locks), new Presence('q', locks)];
    const seen: string[] = [];
    await one.come();
    const { promise, resolve } = defer();
    const left = one.leave(() => promise.then(() => seen.push('left')));
    await later();
    const came = other.come().then(() => seen.push('came'));
    await later();
    resolve();
    await Promise.all([left, came]);
    expect(seen).toEqual(['left', 'came']);
  });

  it('of a page that comes while it leaves is known', async () => {
    const locks = browser();
    const one = new Presence('q', locks);
    const done: string[] = [];
    await one.come();
    const left = one.leave(async () => done.push('first'));
    await Promise.all([one.come(), left]);
    await new Presence('q', locks).leave(async () => done.push('second'));
    expect(done).not.toContain('second');
    await one.leave(async () => done.push('third'));
    expect(done.at(-1)).toBe('third');
  });
});
