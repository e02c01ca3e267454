import type { Prediction } from '../api/types.ts';
import { isEqual, type Annotation } from './annotation.ts';
import type { Command } from './history.ts';

/** What a person decided about an item. */
export interface Decision {
  readonly verdict: 'accept' | 'reject';
  /** All annotations that are right; `null`: those of the draft, unchanged. */
  readonly annotations: readonly Prediction[] | null;
  /** Where each of them is in the model's draft, if that is known. */
  readonly draftIndexes?: readonly (number | null)[] | null;
}

/** What a person has done with an item and what the server does not have yet (I15). */
export interface Entry {
  readonly item: string;
  /** The item's key, for people. */
  readonly name: string;
  readonly project: string;
  /** `null`: the item has none, and gets one by the decision. */
  readonly result: string | null;
  /** The version of the result that the commands begin with. */
  readonly etag: string;
  readonly commands: readonly Command[];
  /** Commands that hold; those after are undone. */
  readonly done: number;
  /** `null`: still at work. */
  readonly decision: Decision | null;
  /** Until then (milliseconds since 1970) the person can take the decision back, and no other page sends it. */
  readonly heldUntil?: number | undefined;
}

const STORE = 'edits';

/** Keeps entries over a reload, a crash of the tab, an expired key and a lost network, in the browser's IndexedDB. */
export class Journal {
  readonly #database: Promise<IDBDatabase>;

  /** `name` separates organizations; it is no secret. */
  constructor(name: string, factory: IDBFactory = indexedDB) {
    const request = factory.open(`console-${name}`, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'item' });
    this.#database = new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB failed.'));
    });
    // A browser without it is no crash: each call says so.
    this.#database.catch(() => undefined);
  }

  async read(item: string): Promise<Entry | undefined> {
    return this.#done<Entry | undefined>('readonly', (store) => store.get(item));
  }

  async all(): Promise<Entry[]> {
    return this.#done<Entry[]>('readonly', (store) => store.getAll());
  }

  async write(entry: Entry): Promise<void> {
    await this.#done('readwrite', (store) => committed(store, store.put(entry)));
  }

  async forget(item: string): Promise<void> {
    await this.#done('readwrite', (store) => committed(store, store.delete(item)));
  }

  /** Forgets a decision that the server has. What a person has begun or decided after it, in whatever tab, stays. */
  async forgetDecision(entry: Entry): Promise<void> {
    await this.#done('readwrite', (store) => {
      const request: IDBRequest<Entry | undefined> = store.get(entry.item);
      request.onsuccess = () => isEqual(request.result, entry) && store.delete(entry.item);
      return request;
    });
  }

  /** Resolves when the transaction is complete: before that, what was written may still fail. */
  async #done<T>(mode: IDBTransactionMode, call: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const transaction = (await this.#database).transaction(STORE, mode, { durability: 'strict' });
    const request = call(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      const fail = () => reject(transaction.error ?? request.error ?? new Error('IndexedDB failed.'));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = fail;
      transaction.onerror = fail;
    });
  }
}

/** Nothing else follows: the browser then keeps it although the tab is killed before it has answered. */
function committed<T>({ transaction }: IDBObjectStore, request: IDBRequest<T>): IDBRequest<T> {
  transaction.commit();
  return request;
}

/** The annotations that an entry's commands have changed, as they are after them. */
export function touchedBy({ commands, done }: Pick<Entry, 'commands' | 'done'>): Annotation[] {
  const touched = new Map<number, Annotation | null>();
  for (const { changes } of commands.slice(0, done)) {
    for (const { before, after } of changes) {
      touched.set(after?.id ?? before?.id ?? -1, after);
    }
  }
  return [...touched.values()].filter((annotation) => annotation !== null);
}
