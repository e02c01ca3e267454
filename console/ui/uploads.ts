import { ApiError } from '../api/client.ts';
import type { AddedItem, NewItem } from '../api/types.ts';
import { HEAD_BYTES, kindOf } from './formats.ts';

/** Files that are sent at the same time. */
const AT_ONCE = 3;
/** What one call adds: so much that it can be sent while the addresses are valid, an hour. */
const MOST_LINES = 50;
const MOST_BYTES = 256 * 1024 ** 2;

export type Stage = 'waiting' | 'adding' | 'ready' | 'sending' | 'sent' | 'refused' | 'failed' | 'taken';
/** Stages that a person can do something about. */
const OPEN_TO_RETRY: readonly Stage[] = ['failed', 'taken'];
const AT_WORK: readonly Stage[] = ['waiting', 'adding', 'ready', 'sending'];

/** A file on its way to be an item. */
export interface Upload {
  readonly id: number;
  /** The item's key. */
  readonly name: string;
  readonly file: File;
  readonly stage: Stage;
  /** Bytes. */
  readonly sent: number;
  /** What went wrong, and where; empty if nothing did. */
  readonly problem: string;
  /** Whether an item's file of that name is written over. */
  readonly isReplaced: boolean;
}

/** What a call has added and what it refused, by key. */
interface Answer {
  readonly results: readonly AddedItem[];
  readonly errors: readonly { readonly key: string | null; readonly detail: string }[];
}

/** The calls that uploads need. */
export interface Server {
  add(items: NewItem[]): Promise<Answer>;
  /** Sends a file. Fails with a sentence for people. */
  put(url: string, file: File, sent: (bytes: number) => void, signal: AbortSignal): Promise<void>;
}

export interface Uploading {
  readonly all: readonly Upload[];
  readonly counts: Readonly<Record<Stage, number>>;
  /** Whether some file is on its way. */
  readonly isRunning: boolean;
}

/** Files that become items of one project, a few at a time. What goes wrong with one stops no other. */
export class Uploads {
  readonly #server: Server;
  #all: Upload[] = [];
  /** By name, the last upload of that name. */
  readonly #names = new Map<string, number>();
  /** What waits, and what can be sent, in order. */
  #waiting: number[] = [];
  #ready: number[] = [];
  readonly #counts: Record<Stage, number> = countsOf();
  readonly #addresses = new Map<number, string>();
  #state: Uploading = { all: [], counts: countsOf(), isRunning: false };
  readonly #listeners = new Set<() => void>();
  #over = new AbortController();
  #isAdding = false;

  constructor(server: Server) {
    this.#server = server;
  }

  readonly state = (): Uploading => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Begins with files. `name` of each: the key of its item. */
  start(files: readonly { readonly name: string; readonly file: File }[]): void {
    for (const { name, file } of files) {
      const id = this.#all.length;
      const earlier = this.#all[this.#names.get(name) ?? -1];
      const isTwice = earlier !== undefined && [...AT_WORK, 'sent'].includes(earlier.stage);
      const stage = isTwice ? 'taken' : 'waiting';
      const problem = isTwice ? 'Another file of this name was given before.' : '';
      this.#all.push({ id, name, file, stage, sent: 0, problem, isReplaced: false });
      this.#counts[stage] += 1;
      if (!isTwice) {
        this.#names.set(name, id);
        this.#waiting.push(id);
      }
    }
    this.#goOn();
  }

  /** Tries again what failed; a file whose name is taken writes over the file of that item. */
  retry(id: number): void {
    this.#again(id);
    this.#goOn();
  }

  /** Tries again all that failed. Names that are taken wait for a word about each. */
  retryFailed(): void {
    for (const { id } of this.#all.filter(({ stage }) => stage === 'failed')) {
      this.#again(id);
    }
    this.#goOn();
  }

  /** Sends nothing more. */
  stop(): void {
    this.#over.abort();
    this.#over = new AbortController();
    this.#waiting = [];
    this.#ready = [];
    for (const { id, stage } of this.#all) {
      if (AT_WORK.includes(stage)) {
        this.#change(id, { stage: 'failed', problem: 'It was stopped.' });
      }
    }
    this.#goOn();
  }

  #again(id: number): void {
    const upload = this.#all[id];
    if (upload && OPEN_TO_RETRY.includes(upload.stage)) {
      this.#change(id, { stage: 'waiting', problem: '', sent: 0, isReplaced: upload.isReplaced || upload.stage === 'taken' });
      this.#waiting.push(id);
    }
  }

  /** Starts what can be started, and shows what has changed. */
  #goOn(): void {
    while (this.#counts.sending < AT_ONCE && this.#ready.length > 0) {
      const next = this.#all[this.#ready.shift() ?? -1];
      if (next) {
        void this.#send(next);
      }
    }
    if (!this.#isAdding && this.#ready.length === 0 && this.#waiting.length > 0) {
      void this.#add();
    }
    const counts = { ...this.#counts };
    const isRunning = AT_WORK.some((stage) => counts[stage] > 0);
    // The list itself, not a copy: each report of each file would copy all of them.
    this.#state = { all: this.#all, counts, isRunning };
    for (const listener of this.#listeners) {
      listener();
    }
  }

  /** Adds the items of the next files, and keeps the addresses that they are sent to. */
  async #add(): Promise<void> {
    this.#isAdding = true;
    const { signal } = this.#over;
    const batch = this.#nextBatch();
    for (const { id } of batch) {
      this.#change(id, { stage: 'adding' });
    }
    try {
      const items = (await Promise.all(batch.map((upload) => this.#itemOf(upload)))).filter((item) => item !== null);
      const answer: Answer =
        items.length > 0
          ? await this.#server.add(items).catch((error: unknown) => refusalOf(error, items))
          : { results: [], errors: [] };
      if (!signal.aborted) {
        this.#take(batch, answer);
      }
    } catch (error) {
      for (const { id } of signal.aborted ? [] : batch) {
        this.#giveUp(id, 'failed', `Adding the item: ${messageOf(error)}`);
      }
    }
    this.#isAdding = false;
    this.#goOn();
  }

  #nextBatch(): Upload[] {
    const batch: Upload[] = [];
    let bytes = 0;
    for (const id of this.#waiting.slice(0, MOST_LINES)) {
      const upload = this.#all[id];
      bytes += upload?.file.size ?? 0;
      if (!upload || (batch.length > 0 && bytes > MOST_BYTES)) {
        break;
      }
      batch.push(upload);
    }
    this.#waiting.splice(0, batch.length);
    return batch;
  }

  /** A line of the call; `null` of a file that the API would refuse, or that cannot be read, which is said now. */
  async #itemOf({ id, name, file }: Upload): Promise<NewItem | null> {
    try {
      const head = await file.slice(0, HEAD_BYTES).arrayBuffer();
      const kind = kindOf(name, file.size, new Uint8Array(head));
      if (!('refusal' in kind)) {
        return { key: name, asset_type: kind.type };
      }
      this.#giveUp(id, 'refused', kind.refusal);
    } catch (error) {
      this.#giveUp(id, 'failed', `Reading the file: ${messageOf(error)}`);
    }
    return null;
  }

  /** Of a file that is not added. One that was stopped meanwhile stays as it is. */
  #giveUp(id: number, stage: Stage, problem: string): void {
    if (this.#all[id]?.stage === 'adding') {
      this.#change(id, { stage, problem });
    }
  }

  #take(batch: readonly Upload[], { results, errors }: Answer): void {
    const added = new Map(results.map((item) => [item.key, item]));
    const wrong = new Map(errors.map(({ key, detail }) => [key, detail]));
    for (const { id, name, isReplaced } of batch.filter((upload) => this.#all[upload.id]?.stage === 'adding')) {
      const item = added.get(name);
      if (!item?.upload_url) {
        const problem = wrong.get(name) ?? (item ? 'The item has a file elsewhere.' : 'The API did not add the item.');
        this.#change(id, { stage: 'refused', problem });
      } else if (!item.created && item.version !== null && !isReplaced) {
        const problem = 'The project has an item of this name. Other bytes withdraw its draft.';
        this.#change(id, { stage: 'taken', problem });
      } else {
        this.#addresses.set(id, item.upload_url);
        this.#ready.push(id);
        this.#change(id, { stage: 'ready' });
      }
    }
  }

  async #send({ id, file }: Upload): Promise<void> {
    const { signal } = this.#over;
    this.#change(id, { stage: 'sending' });
    try {
      const report = (sent: number) => {
        this.#change(id, { sent });
        this.#goOn();
      };
      await this.#server.put(this.#addresses.get(id) ?? '', file, report, signal);
      this.#change(id, { stage: 'sent', sent: file.size });
    } catch (error) {
      if (!signal.aborted) {
        this.#change(id, { stage: 'failed', problem: `Sending the file: ${messageOf(error)}` });
      }
    }
    this.#addresses.delete(id);
    this.#goOn();
  }

  #change(id: number, change: Partial<Upload>): void {
    const upload = this.#all[id];
    if (upload) {
      this.#counts[upload.stage] -= 1;
      this.#all[id] = { ...upload, ...change };
      this.#counts[this.#all[id].stage] += 1;
    }
  }
}

function countsOf(): Record<Stage, number> {
  return { waiting: 0, adding: 0, ready: 0, sending: 0, sent: 0, refused: 0, failed: 0, taken: 0 };
}

/**
 * A call without a good line is refused as a whole, with complaints such as `items[3].key`. Here it is an answer that adds
 * nothing. Throws what is no complaint about lines.
 */
function refusalOf(error: unknown, items: readonly NewItem[]): Answer {
  const complaints = error instanceof ApiError && error.status === 400 ? Object.entries(error.errors) : [];
  const details = new Map<string, string[]>();
  for (const [path, messages] of complaints) {
    const [, line, field] = /^items\[(\d+)\](?:\.(.+))?$/.exec(path) ?? [];
    const key = line === undefined ? undefined : items[Number(line)]?.key;
    if (key === undefined) {
      throw error;
    }
    details.set(key, [...(details.get(key) ?? []), ...messages.map((message) => (field ? `${field}: ${message}` : message))]);
  }
  if (details.size === 0) {
    throw error;
  }
  return { results: [], errors: [...details].map(([key, all]) => ({ key, detail: all.join('; ') })) };
}

function messageOf(error: unknown): string {
  const complaints = error instanceof ApiError ? Object.values(error.errors).flat() : [];
  return complaints.length > 0 ? complaints.join(' ') : error instanceof Error ? error.message : String(error);
}
