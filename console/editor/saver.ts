import { ApiError, type Answered, type Client } from '../api/client.ts';
import type { Result } from '../api/types.ts';
import { isEqual } from './annotation.ts';
import type { Entry, Journal } from './journal.ts';

/** A decision that the server did not take. */
export interface Unsaved {
  readonly entry: Entry;
  /** For people. */
  readonly message: string;
  readonly status: number;
  /** Another person changed the result; both must be shown. */
  readonly conflict: boolean;
}

export interface Saving {
  /** Decisions on their way. */
  readonly running: number;
  readonly unsaved: readonly Unsaved[];
}

type Calls = Pick<Client, 'get' | 'post' | 'patch'>;

/**
 * Sends decisions while the person goes on with the next item. A decision is in the journal before it is sent, and until the
 * server has it.
 */
export class Saver {
  readonly #client: Calls;
  readonly #journal: Journal;
  readonly #changed: (entry: Entry) => void;
  #state: Saving = { running: 0, unsaved: [] };
  readonly #listeners = new Set<() => void>();
  readonly #running = new Map<string, Promise<void>>();

  /** `changed` hears of each result that is another one now: by this decision, or by another person. */
  constructor(client: Calls, journal: Journal, changed: (entry: Entry) => void) {
    this.#client = client;
    this.#journal = journal;
    this.#changed = changed;
  }

  readonly state = (): Saving => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Keeps a decision, then sends it. Never throws: what goes wrong is in the state. */
  submit(entry: Entry): Promise<void> {
    const run = this.#submit(entry).finally(() => {
      if (this.#running.get(entry.item) === run) {
        this.#running.delete(entry.item);
      }
    });
    this.#running.set(entry.item, run);
    return run;
  }

  /** Resolves when no decision about the item is on its way: before that, its version is not known. */
  async settled(item: string): Promise<void> {
    await this.#running.get(item);
  }

  async #submit(entry: Entry): Promise<void> {
    const others = this.#state.unsaved.filter((unsaved) => unsaved.entry.item !== entry.item);
    this.#set({ running: this.#state.running + 1, unsaved: others });
    try {
      await this.#journal.write(entry);
      await this.#send(entry);
      await this.#journal.forget(entry.item);
      this.#changed(entry);
      this.#set({ running: this.#state.running - 1 });
    } catch (error) {
      const conflict = error instanceof ApiError && [404, 409, 412].includes(error.status);
      if (conflict) {
        this.#changed(entry);
      }
      const message = error instanceof Error ? error.message : String(error);
      const status = error instanceof ApiError ? error.status : 0;
      this.#set({ running: this.#state.running - 1, unsaved: [...this.#state.unsaved, { entry, message, status, conflict }] });
    }
  }

  /** Sends again what the journal has: after a reload, a new key, or when the network is back. */
  async resume(): Promise<void> {
    const entries = await this.#journal.all();
    const conflicts = new Set(this.#state.unsaved.filter(({ conflict }) => conflict).map(({ entry }) => entry.item));
    for (const entry of entries) {
      if (entry.decision !== null && !conflicts.has(entry.item)) {
        await this.submit(entry);
      }
    }
  }

  /** Gives up a decision: the person opens the item again, or takes what another person did. */
  drop(item: string): void {
    this.#set({ unsaved: this.#state.unsaved.filter(({ entry }) => entry.item !== item) });
  }

  async #send(entry: Entry): Promise<Answered<Result>> {
    try {
      return await this.#call(entry);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) {
        throw error;
      }
      if (entry.result === null) {
        throw error;
      }
      // The answer of an earlier attempt may have been lost: then the result is as the person wanted it.
      const now = await this.#client.get('/results/{uid}/', { path: { uid: entry.result } });
      if (isAsDecided(entry, now.body)) {
        return now;
      }
      throw error;
    }
  }

  #call({ item, result, etag, decision }: Entry): Promise<Answered<Result>> {
    if (result === null) {
      const body = { annotations: [...(decision?.annotations ?? [])] };
      return this.#client.post('/items/{uid}/results/', { path: { uid: item }, body });
    }
    const options = { path: { uid: result }, ifMatch: etag };
    if (decision?.verdict === 'reject') {
      return this.#client.post('/results/{uid}/reject/', options);
    }
    if (decision?.annotations) {
      return this.#client.patch('/results/{uid}/', { ...options, body: { annotations: [...decision.annotations] } });
    }
    return this.#client.post('/results/{uid}/accept/', options);
  }

  #set(change: Partial<Saving>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

function isAsDecided({ decision }: Entry, result: Result): boolean {
  if (decision?.verdict === 'reject') {
    return result.status === 'rejected';
  }
  return (
    decision !== null &&
    result.status === 'accepted' &&
    (decision.annotations === null ? result.source === 'auto_label' : isEqual(result.annotations, decision.annotations))
  );
}
