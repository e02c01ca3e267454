import { describe, expect, it } from 'vitest';
import type { QueuedDraft } from '../api/types.ts';
import { Claims, COUNT, leftOf, type ClaimServer } from './claims.ts';

const MINUTE = 60_000;

/** A queue of items, of which a person may have some. A call finds at most `reach` of them. */
class Queue implements ClaimServer {
  calls: string[] = [];
  yours: string[] = [];
  lost: string[] = [];
  left: string[];
  reach = COUNT;

  constructor(count: number) {
    this.left = Array.from({ length: count }, (_, at) => `${at}`);
  }

  claim = async (cursor: string | null) => {
    this.calls.push(`claim ${cursor ?? ''}`.trim());
    const more = this.left.splice(0, Math.min(this.reach, COUNT - this.yours.length));
    this.yours = [...this.yours, ...more];
    const items = this.yours.map((item) => ({ item }) as QueuedDraft);
    return { items, cursor: this.yours.length < COUNT && this.left.length > 0 ? 'on' : null };
  };
  renew = async (items: readonly string[]) => {
    this.calls.push(`renew ${items.length}`);
    return { lost: this.lost };
  };
  release = async (items: readonly string[]) => this.calls.push(`release ${items.length}`);
  skip = async (item: string) => {
    this.calls.push(`skip ${item}`);
    this.decide(item);
  };

  decide(item: string): void {
    this.yours = this.yours.filter((other) => other !== item);
  }
}

/** No other page is there, unless `others` says so. */
class Alone {
  others = false;
  calls: string[] = [];

  come = async () => void this.calls.push('come');
  leave = async (call: () => Promise<unknown>) => {
    this.calls.push('leave');
    await (this.others ? undefined : call());
  };
}

function claimsOf(queue: Queue) {
  const taken: string[] = [];
  const dropped: string[] = [];
  const clock = { now: 0 };
  const presence = new Alone();
  const rows = {
    taken: ({ item }: QueuedDraft) => taken.push(item),
    dropped: (items: readonly string[]) => dropped.push(...items),
  };
  return { claims: new Claims(queue, presence, rows, () => clock.now), taken, dropped, clock, presence };
}

/** Decides every item in turn, as the editor does. */
async function review(claims: Claims, queue: Queue): Promise<string[]> {
  const seen: string[] = [];
  await claims.more();
  for (let item = claims.first(); item !== undefined; item = claims.after(item)) {
    seen.push(item);
    claims.decided(item);
    queue.decide(item);
    await claims.ahead(item);
  }
  return seen;
}

it('says how many are left', () => {
  expect(leftOf({ count: 1, is_exact: true })).toBe('1 draft left');
  expect(leftOf({ count: 1000, is_exact: false })).toMatch(/^1.?000 or more drafts left$/);
});

describe('claims', () => {
  it('are twenty at a time, the next ones ahead, each item once', async () => {
    const queue = new Queue(55);
    const { claims, taken } = claimsOf(queue);
    const seen = await review(claims, queue);
    expect(seen).toEqual(Array.from({ length: 55 }, (_, at) => `${at}`));
    expect(taken).toEqual(seen);
    expect(queue.calls.length).toBeLessThanOrEqual(8);
  });

  it('go on where a call ended that found nothing', async () => {
    const queue = new Queue(3);
    queue.reach = 0;
    const { claims } = claimsOf(queue);
    const { claim } = queue;
    queue.claim = async (cursor) => {
      queue.reach = cursor === null ? 0 : COUNT;
      return claim(cursor);
    };
    await claims.more();
    expect(queue.calls).toEqual(['claim', 'claim on']);
    expect(claims.open).toEqual(['0', '1', '2']);
  });

  it('are made once, though they are asked for twice at the same time', async () => {
    const queue = new Queue(5);
    const { claims } = claimsOf(queue);
    await Promise.all([claims.more(), claims.more()]);
    expect(queue.calls).toEqual(['claim']);
  });

  it('are renewed in time, and what was lost is gone', async () => {
    const queue = new Queue(5);
    const { claims, clock, dropped } = claimsOf(queue);
    await claims.more();
    claims.decided('0');
    clock.now = 5 * MINUTE;
    await claims.renew();
    clock.now = 5 * MINUTE + 1;
    queue.lost = ['2'];
    await claims.renew();
    await claims.renew();
    expect(queue.calls).toEqual(['claim', 'renew 4']);
    expect(claims.open).toEqual(['1', '3', '4']);
    expect(dropped).toEqual(['2']);
  });

  it('are given back when they are skipped, and when the person leaves', async () => {
    const queue = new Queue(5);
    const { claims } = claimsOf(queue);
    await claims.more();
    claims.begin({ count: 5, is_exact: false });
    await claims.skip('1');
    claims.decided('0');
    claims.decided('0');
    expect(claims.left && leftOf(claims.left)).toBe('3 or more drafts left');
    expect([claims.after('0'), claims.before('2')]).toEqual(['2', '0']);
    await claims.release();
    await claims.release();
    expect(queue.calls).toEqual(['claim', 'skip 1', 'release 3']);
  });

  it('hold no rows of what was given back: others may have changed it', async () => {
    const queue = new Queue(4);
    const { claims, dropped } = claimsOf(queue);
    await claims.more();
    await claims.skip('1');
    expect(dropped).toEqual(['1']);
    await claims.release();
    expect(dropped).toEqual(['1', '0', '2', '3']);
  });

  it('are kept on when a decision is taken back', async () => {
    const queue = new Queue(2);
    const { claims, clock } = claimsOf(queue);
    await claims.more();
    claims.begin({ count: 2, is_exact: true });
    claims.decided('0');
    claims.undecided('0');
    claims.undecided('1');
    expect(claims.open).toEqual(['0', '1']);
    expect(claims.left?.count).toBe(2);
    clock.now = 5 * MINUTE + 1;
    await claims.renew();
    expect(queue.calls).toEqual(['claim', 'renew 2']);
  });

  it('stay when the person is at work in another tab too', async () => {
    const queue = new Queue(2);
    const { claims, presence, dropped } = claimsOf(queue);
    await claims.more();
    presence.others = true;
    await claims.release();
    expect(queue.calls).toEqual(['claim']);
    expect(presence.calls).toEqual(['come', 'leave']);
    expect(dropped).toEqual(['0', '1']);
  });

  it('that are on their way when the person leaves are given back as well', async () => {
    const queue = new Queue(2);
    const { claims } = claimsOf(queue);
    void claims.more();
    await claims.release();
    expect(queue.calls).toEqual(['claim', 'release 2']);
  });
});
