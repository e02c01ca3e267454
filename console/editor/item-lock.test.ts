import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ItemLock } from './item-lock.ts';

interface Asked {
  readonly run: () => void;
  readonly fail: () => void;
}

/** The browser's locks, of one name. A lock that is left is free a task later, as there. */
class Locks {
  #held: Asked | null = null;
  readonly #queue: Asked[] = [];
  /** Ends the wait of a page's own lock. */
  slow: Promise<void> = Promise.resolve();

  request = (_: string, options: LockOptions, call: (lock: Lock | null) => Promise<void> | void) =>
    new Promise<void>((resolve, reject) => {
      const fail = () => reject(new DOMException('Gone.', 'AbortError'));
      const asked: Asked = { fail, run: () => void this.#give(asked, call).then(resolve) };
      options.signal?.addEventListener('abort', () => {
        if (this.#queue.includes(asked)) {
          this.#queue.splice(this.#queue.indexOf(asked), 1);
          fail();
        }
      });
      if (options.steal) {
        this.#held?.fail();
        this.#held = null;
        asked.run();
      } else if (this.#held === null && this.#queue.length === 0) {
        asked.run();
      } else if (options.ifAvailable) {
        void Promise.resolve()
          .then(() => call(null))
          .then(resolve);
      } else {
        this.#queue.push(asked);
      }
    });

  async #give(asked: Asked, call: (lock: Lock | null) => Promise<void> | void): Promise<void> {
    this.#held = asked;
    await Promise.resolve();
    await call({ name: 'item i', mode: 'exclusive' });
    await this.slow;
    if (this.#held === asked) {
      this.#held = null;
      this.#queue.shift()?.run();
    }
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('the lock of an item', () => {
  let locks: Locks;
  const done: string[] = [];
  const tab = (name: string) => {
    const listener = {
      returned: () => done.push(`${name} returned`),
      refused: (isTaken: boolean, isFirst: boolean) => done.push(`${name} ${isTaken ? 'taken' : 'refused'} ${isFirst}`),
    };
    return new ItemLock('i', listener, locks as unknown as LockManager);
  };
  const decide = (lock: ItemLock, name: string) =>
    lock.whenMine(
      () => done.push(`${name} decides`),
      () => done.push(`${name} gives up`),
    );
  beforeEach(() => {
    locks = new Locks();
    done.length = 0;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lets nothing be done before it is known whose turn it is, then at once', async () => {
    const one = tab('one');
    one.open();
    decide(one, 'one');
    expect(done).toEqual([]);
    await settled();
    expect(done.splice(0)).toEqual(['one decides']);
    decide(one, 'one');
    expect(done).toEqual(['one decides']);
    one.close();
  });

  it('gives up what was to be done while another tab has the item, and says when it comes back', async () => {
    const [one, other] = [tab('one'), tab('other')];
    one.open();
    await settled();
    other.open();
    decide(other, 'other');
    await settled();
    decide(other, 'other');
    expect(done.splice(0)).toEqual(['other gives up', 'other refused true', 'other gives up']);
    one.close();
    await settled();
    expect(done).toEqual(['other returned']);
    other.close();
    await settled();
  });

  it('is taken over, and does not come back by itself', async () => {
    const [one, other] = [tab('one'), tab('other')];
    one.open();
    await settled();
    other.open();
    await settled();
    done.length = 0;
    other.take();
    await settled();
    expect(done.splice(0)).toEqual(['one taken false', 'other returned']);
    other.close();
    await settled();
    decide(one, 'one');
    expect(done).toEqual(['one gives up']);
    one.close();
    const again = tab('again');
    again.open();
    await settled();
    decide(again, 'again');
    expect(done).toEqual(['one gives up', 'again decides']);
    again.close();
    await settled();
  });

  it('waits for itself when the page opens the item once more', async () => {
    let free!: () => void;
    locks.slow = new Promise((resolve) => (free = resolve));
    const [before, now] = [tab('before'), tab('now')];
    before.open();
    await settled();
    before.close();
    now.open();
    decide(now, 'now');
    await settled();
    expect(done).toEqual([]);
    free();
    await settled();
    expect(done.splice(0)).toEqual(['now decides']);
    vi.advanceTimersByTime(1000);
    expect(done).toEqual([]);
    now.close();
    await settled();
  });

  it('does not wait longer than that', async () => {
    locks.slow = new Promise(() => undefined);
    const [before, now] = [tab('before'), tab('now')];
    before.open();
    await settled();
    before.close();
    now.open();
    await settled();
    vi.advanceTimersByTime(1000);
    expect(done).toEqual(['now refused true']);
    now.close();
  });

  it('is asked for no more when the item is left', async () => {
    const one = tab('one');
    one.open();
    decide(one, 'one');
    one.close();
    await settled();
    expect(done).toEqual([]);
  });
});
