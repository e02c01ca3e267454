import type { QueuedDraft } from '../api/types.ts';
import type { Presence } from './presence.ts';

/** Items of one claim, the number that are left when the next ones are claimed, and when claims are renewed. */
export const COUNT = 20;
const AHEAD = 5;
const RENEWED_AFTER_MS = 5 * 60_000;
/** Calls of one claim: each reads about 1,000 items of the queue. */
const MOST_CALLS = 20;

/** How many drafts are left; if not exact, there are more. */
export interface Left {
  readonly count: number;
  readonly is_exact: boolean;
}

export function leftOf({ count, is_exact: isExact }: Left): string {
  return `${count.toLocaleString()}${isExact ? '' : ' or more'} ${count === 1 && isExact ? 'draft' : 'drafts'} left`;
}

/** The calls of the review queue. */
export interface ClaimServer {
  /** `cursor`: where the call before ended. */
  claim(cursor: string | null): Promise<{ items: readonly QueuedDraft[]; cursor: string | null }>;
  renew(items: readonly string[]): Promise<{ lost: readonly string[] }>;
  release(items: readonly string[]): Promise<unknown>;
  skip(item: string): Promise<unknown>;
}

/** Hears of the rows of claimed items. */
export interface Rows {
  /** Gets each row once, when it is new. */
  taken(row: QueuedDraft): void;
  /** Others may change these from now on: their rows hold no longer. */
  dropped(items: readonly string[]): void;
}

/**
 * The items of the review queue that a person has claimed, in the order in which they came. No other person gets one of them
 * until it is decided, skipped or released, or this page is gone for ten minutes.
 */
export class Claims {
  readonly #server: ClaimServer;
  readonly #presence: Pick<Presence, 'come' | 'leave'>;
  readonly #rows: Rows;
  readonly #now: () => number;
  #order: string[] = [];
  readonly #done = new Set<string>();
  #running: Promise<void> | null = null;
  #isOver = false;
  #left: Left | null = null;
  #renewedAt = 0;

  /** `presence`: of the pages that have claims by the same key. They share what the server has claimed for it. */
  constructor(server: ClaimServer, presence: Pick<Presence, 'come' | 'leave'>, rows: Rows, now: () => number = Date.now) {
    this.#server = server;
    this.#presence = presence;
    this.#rows = rows;
    this.#now = now;
  }

  /** How many drafts were left when the person began: from then on they are counted down. */
  begin(left: Left): void {
    this.#left = left;
  }

  /** `null`: not known, after a reload. */
  get left(): Left | null {
    return this.#left;
  }

  /** What is claimed and not decided. */
  get open(): readonly string[] {
    return this.#order.filter((item) => !this.#done.has(item));
  }

  /** The first item that is not decided. */
  first(): string | undefined {
    return this.open[0];
  }

  /** The next item; of one that is not here any more, the first that is open. */
  after(item: string): string | undefined {
    const at = this.#order.indexOf(item);
    return at < 0 ? this.first() : this.#order[at + 1];
  }

  before(item: string): string | undefined {
    return this.#order[this.#order.indexOf(item) - 1];
  }

  /** Claims more if few are left behind an item. Throws what the API says. */
  async ahead(item: string): Promise<void> {
    const left = this.#order.length - 1 - this.#order.indexOf(item);
    if (left < AHEAD && !this.#isOver) {
      await this.more();
    }
  }

  /** Claims up to 20. One call at a time: who asks meanwhile waits for the same. */
  more(): Promise<void> {
    this.#running ??= this.#more().finally(() => (this.#running = null));
    return this.#running;
  }

  decided(item: string): void {
    if (!this.#done.has(item)) {
      this.#done.add(item);
      this.#count(-1);
    }
  }

  /** The decision was taken back: the claim is kept on. */
  undecided(item: string): void {
    if (this.#done.delete(item)) {
      this.#count(1);
    }
  }

  /** Gives an item back; this person does not get it again. */
  async skip(item: string): Promise<void> {
    await this.#server.skip(item);
    this.#drop([item]);
    this.#count(-1);
  }

  /** Claims again what is open, when its time is half over. */
  async renew(): Promise<void> {
    const { open } = this;
    if (open.length > 0 && this.#now() - this.#renewedAt > RENEWED_AFTER_MS) {
      const at = this.#now();
      const { lost } = await this.#server.renew(open);
      this.#renewedAt = at;
      this.#drop(lost);
    }
  }

  /** The person leaves: others get what is open, unless the person is at work in another tab too. */
  async release(): Promise<void> {
    // What is claimed after this call would be given back by no one.
    await this.#running?.catch(() => undefined);
    const { open } = this;
    this.#drop(this.#order);
    await this.#presence.leave(async () => {
      if (open.length > 0) {
        await this.#server.release(open);
      }
    });
  }

  /** An item that was claimed before and is still open comes first: it is in the order already. */
  async #more(): Promise<void> {
    await this.#presence.come();
    let cursor: string | null = null;
    let found = 0;
    const at = this.#now();
    for (let call = 0; call < MOST_CALLS && found === 0 && (call === 0 || cursor !== null); call++) {
      const { items, cursor: next }: { items: readonly QueuedDraft[]; cursor: string | null } = await this.#server.claim(cursor);
      const rows = items.filter(({ item }) => !this.#order.includes(item));
      for (const row of rows) {
        this.#order.push(row.item);
        this.#rows.taken(row);
      }
      found += rows.length;
      cursor = next;
    }
    this.#renewedAt = at;
    this.#isOver = found === 0;
  }

  #count(by: 1 | -1): void {
    this.#left = this.#left && { ...this.#left, count: Math.max(this.#left.count + by, 0) };
  }

  #drop(items: readonly string[]): void {
    this.#order = this.#order.filter((item) => !items.includes(item));
    this.#rows.dropped(items);
  }
}
