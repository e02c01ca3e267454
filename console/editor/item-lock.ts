/** Longer than a page takes to leave an item's lock and to have it again. */
const WAIT_MS = 500;

/** Locks that this page has left, and that the browser may not have released yet. */
const leaving = new Set<string>();

export interface Listener {
  /** The item was another tab's until now: what is kept of it may be another. */
  returned(): void;
  /** Another tab edits the item. `isTaken`: it took the item from this one. `isFirst`: this one has never had it. */
  refused(isTaken: boolean, isFirst: boolean): void;
}

interface Waiting {
  run(): void;
  giveUp(): void;
}

/** One tab edits an item at a time, since the journal has one entry of it. */
export class ItemLock {
  readonly #name: string;
  readonly #listener: Listener;
  readonly #locks: LockManager;
  #turn: 'unknown' | 'mine' | 'others' = 'unknown';
  #waiting: Waiting[] = [];
  #over = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(item: string, listener: Listener, locks: LockManager = navigator.locks) {
    this.#name = `item ${item}`;
    this.#listener = listener;
    this.#locks = locks;
  }

  /** Asks for the item. */
  open(): void {
    this.#over = new AbortController();
    this.#turn = 'unknown';
    this.#request({ ifAvailable: true });
  }

  /** Takes the item from the tab that has it. */
  take(): void {
    this.#request({ steal: true });
  }

  /** Leaves the item to others. What waits is given up without a word. */
  close(): void {
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#over.abort();
  }

  /** Runs what only the tab that edits the item may do: now, or when that is known. */
  whenMine(run: () => void, giveUp: () => void = () => undefined): void {
    if (this.#turn === 'mine') {
      run();
    } else if (this.#turn === 'others') {
      giveUp();
    } else {
      this.#waiting.push({ run, giveUp });
    }
  }

  #request(options: LockOptions): void {
    const { signal } = this.#over;
    let isHeld = false;
    const hold = (lock: Lock | null) => {
      isHeld = lock !== null;
      return signal.aborted ? undefined : lock ? this.#hold(signal) : this.#queue(signal);
    };
    this.#locks
      .request(this.#name, options, hold)
      // This page is left before it has the lock. Or another tab took it: it does not come back by itself.
      .catch(() => signal.aborted || this.#refused(true))
      .finally(() => isHeld && leaving.delete(this.#name));
  }

  #hold(signal: AbortSignal): Promise<void> {
    this.#granted();
    return new Promise((resolve) => {
      const leave = () => {
        if (this.#turn === 'mine') {
          leaving.add(this.#name);
        }
        resolve();
      };
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Another tab has the item; or this page still has, and waits a moment for itself. */
  #queue(signal: AbortSignal): void {
    if (leaving.has(this.#name)) {
      this.#timer = setTimeout(() => this.#refused(false), WAIT_MS);
    } else {
      this.#refused(false);
    }
    this.#request({ signal });
  }

  #granted(): void {
    clearTimeout(this.#timer);
    const wasOthers = this.#turn === 'others';
    this.#turn = 'mine';
    if (wasOthers) {
      this.#listener.returned();
    }
    for (const { run } of this.#waiting.splice(0)) {
      run();
    }
  }

  #refused(isTaken: boolean): void {
    const isFirst = this.#turn === 'unknown';
    this.#turn = 'others';
    for (const { giveUp } of this.#waiting.splice(0)) {
      giveUp();
    }
    this.#listener.refused(isTaken, isFirst);
  }
}
