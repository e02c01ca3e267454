import type { Command } from './history.ts';

/** What a person has done with an item and what the server does not have yet (I15). */
export interface Entry {
  readonly item: string;
  /** The version of the result that the commands begin with. */
  readonly etag: string;
  readonly commands: readonly Command[];
  /** Commands that hold; those after are undone. */
  readonly done: number;
}

const STORE = 'edits';

/** Keeps entries over a reload, a crash of the tab, an expired key and a lost network, in the browser's IndexedDB. */
export class Journal {
  readonly #database: Promise<IDBDatabase>;

  /** `name` has no secret: the organization, so that two of them do not see each other's entries. */
  constructor(name: string, factory: IDBFactory = indexedDB) {
    const request = factory.open(`console-${name}`, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'item' });
    this.#database = finished(request);
  }

  async read(item: string): Promise<Entry | undefined> {
    return finished<Entry | undefined>((await this.#store('readonly')).get(item));
  }

  /** The items with entries. */
  async items(): Promise<string[]> {
    return (await finished((await this.#store('readonly')).getAllKeys())).map(String);
  }

  async write(entry: Entry): Promise<void> {
    await finished((await this.#store('readwrite')).put(entry));
  }

  async forget(item: string): Promise<void> {
    await finished((await this.#store('readwrite')).delete(item));
  }

  async #store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    return (await this.#database).transaction(STORE, mode, { durability: 'strict' }).objectStore(STORE);
  }
}

function finished<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed.'));
  });
}
