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
  /** Whether the journal has it. If not, it is in this page alone. */
  readonly isKept: boolean;
}

export interface Saving {
  /** Decisions on their way. */
  readonly running: number;
  readonly unsaved: readonly Unsaved[];
  /** Decisions that can be taken back, the last one last. They are kept, and not sent yet. */
  readonly held: readonly Entry[];
  /** Decisions that another page can take back: they are sent here later, if it does not send them. */
  readonly waiting: number;
  /** A decision that was to be taken back, and was not: another page has sent it, or the person goes on with it there. */
  readonly late: Entry | null;
  /** Whether what an earlier page left in the journal has been read. */
  readonly isRead: boolean;
  /** Why the browser keeps nothing; empty if it does. */
  readonly problem: string;
}

/** How long a decision can be taken back, and how many younger ones end that. */
const HELD_MS = 5000;
const MOST_HELD = 3;

type Alone = (item: string, call: () => Promise<void>) => Promise<void>;
type Calls = Pick<Client, 'get' | 'post' | 'patch'>;

/**
 * Sends decisions while the person goes on with the next item. A decision is in the journal before it is sent, and until the
 * server has it. It is sent although the browser does not keep it.
 */
export class Saver {
  readonly #client: Calls;
  readonly #journal: Journal;
  readonly #changed: (entry: Entry) => void;
  readonly #alone: Alone;
  readonly #reviewer: string;
  #state: Saving = { running: 0, unsaved: [], held: [], waiting: 0, late: null, isRead: false, problem: '' };
  readonly #listeners = new Set<() => void>();
  readonly #running = new Map<string, Promise<void>>();
  /** By item, what ends the hold, and whether the journal has the decision. */
  readonly #holds = new Map<string, { readonly timer: ReturnType<typeof setTimeout>; readonly isKept: Promise<boolean> }>();
  /** By item, what ends the wait for a decision that another page holds. */
  readonly #waits = new Map<string, ReturnType<typeof setTimeout>>();
  /** Items that a person has before them; with a decision that only this page has, if there is one. */
  readonly #open = new Map<string, Entry | null>();

  /**
   * `changed` hears of each result that is another one now: by this decision, or by another person. `alone` does a call while no
   * other tab does one for the same item. `reviewer`: the name of the key, by which results say who decided.
   */
  constructor(
    client: Calls,
    journal: Journal,
    changed: (entry: Entry) => void,
    alone: Alone = (_, call) => call(),
    reviewer = '',
  ) {
    this.#alone = alone;
    this.#reviewer = reviewer;
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
    return this.#start(entry, false);
  }

  /** Keeps a decision, and sends it later: until then the person can take it back. */
  hold(decided: Entry): void {
    const entry = { ...decided, heldUntil: Date.now() + HELD_MS };
    const { item } = entry;
    this.#unhold(item);
    this.#replace(item);
    const timer = setTimeout(() => this.#release(item), HELD_MS);
    this.#holds.set(item, { timer, isKept: this.keep(entry) });
    this.#set({ held: [...this.#state.held, entry], late: null });
    for (const oldest of this.#state.held.slice(0, -MOST_HELD)) {
      this.#release(oldest.item);
    }
  }

  /** Takes a held decision back: what was done with the item stays, undecided. Says whether it was still to be sent. */
  async takeBack(item: string): Promise<boolean> {
    const isKept = this.#holds.get(item)?.isKept;
    const entry = this.#unhold(item);
    if (!entry || !isKept) {
      return false;
    }
    let isBack = false;
    const back = async () => {
      isBack = !(await isKept) || !(await this.#isOver(entry));
      await (isBack ? this.keep({ ...entry, decision: null, heldUntil: undefined }) : undefined);
    };
    await this.#run(item, this.#alone(item, back));
    this.#set({ late: isBack ? null : entry });
    if (!isBack) {
      this.#changed(entry);
    }
    return isBack;
  }

  /** Sends what is held: the page is left. */
  sendHeld(): void {
    for (const { item } of this.#state.held) {
      this.#release(item);
    }
  }

  /** Resolves when no decision about the item is held or on its way: before that, its version is not known. */
  async settled(item: string): Promise<void> {
    this.#release(item);
    await this.#running.get(item);
  }

  /** What a person has done with an item and what is not saved. */
  async read(item: string): Promise<Entry | undefined> {
    const kept = await this.#journal.read(item).catch(() => undefined);
    return kept ?? this.#state.unsaved.find(({ entry, isKept }) => entry.item === item && !isKept)?.entry;
  }

  /** Writes into the journal. Never throws: that it cannot is in the state. */
  keep(entry: Entry): Promise<boolean> {
    return this.#isDone(this.#journal.write(entry));
  }

  /** An item is as the server has it. */
  async forget(item: string): Promise<void> {
    await this.#isDone(this.#journal.forget(item));
  }

  /** A person has an item before them: nothing about it is sent meanwhile, except by `submit` and `hold`. */
  open(item: string): void {
    const unkept = this.#state.unsaved.find(({ entry, isKept }) => entry.item === item && !isKept);
    this.#open.set(item, unkept?.entry ?? null);
    this.drop(item);
  }

  /** The person has left the item. A decision that they did not replace is sent. */
  close(item: string): void {
    const unkept = this.#open.get(item);
    this.#open.delete(item);
    if (unkept) {
      void this.submit(unkept);
    } else {
      void this.#resume(({ item: other }) => other === item);
    }
  }

  /** Sends again what is not saved: after a reload, a new key, or when the network is back. */
  async resume(): Promise<void> {
    await this.#resume(() => true);
    if (!this.#state.isRead) {
      this.#set({ isRead: true });
    }
  }

  /** Whether a decision found no answer, or no room: it may be taken when it is sent again. */
  isToBeRepeated(): boolean {
    return this.#state.unsaved.some(({ status }) => status === 0 || status === 429 || status >= 500);
  }

  /** Gives up a decision: the person opens the item again, or takes what another person did. */
  drop(item: string): void {
    this.#set({ unsaved: this.#state.unsaved.filter(({ entry }) => entry.item !== item) });
  }

  /** Gives up a decision for good: what it is about is not there any more. */
  async giveUp(item: string): Promise<void> {
    const given = this.#state.unsaved.find(({ entry }) => entry.item === item);
    this.drop(item);
    await (given && this.#isDone(this.#journal.forgetDecision(given.entry)));
  }

  /** Goes on with what is in the page alone and belongs to a saver of an earlier key: what it has not saved, now and later. */
  adopt(before: Saver): void {
    const take = () => {
      const taken = before.#handOver();
      if (taken.length > 0) {
        const { unsaved } = this.#state;
        const isNew = ({ entry: { item } }: Unsaved) => unsaved.every(({ entry }) => entry.item !== item);
        this.#set({ unsaved: [...unsaved, ...taken.filter(isNew)] });
        void this.resume();
      }
    };
    take();
    before.subscribe(take);
  }

  /** What only this page has. That the key was refused says nothing of the next one. */
  #handOver(): Unsaved[] {
    const unkept = this.#state.unsaved.filter(({ isKept }) => !isKept);
    if (unkept.length > 0) {
      this.#set({ unsaved: this.#state.unsaved.filter(({ isKept }) => isKept) });
    }
    return unkept.map((unsaved) => ({ ...unsaved, status: unsaved.status === 401 ? 0 : unsaved.status }));
  }

  #release(item: string): void {
    const isKept = this.#holds.get(item)?.isKept;
    const entry = this.#unhold(item);
    if (entry) {
      void this.#start(entry, false, isKept);
    }
  }

  #unhold(item: string): Entry | undefined {
    clearTimeout(this.#holds.get(item)?.timer);
    this.#holds.delete(item);
    const entry = this.#state.held.find((held) => held.item === item);
    if (entry) {
      this.#set({ held: this.#state.held.filter((held) => held !== entry) });
    }
    return entry;
  }

  /** A new decision about an open item counts instead of the one that only this page has. */
  #replace(item: string): void {
    if (this.#open.has(item)) {
      this.#open.set(item, null);
    }
  }

  async #resume(isMeant: (entry: Entry) => boolean): Promise<void> {
    const unkept = this.#state.unsaved.filter(({ isKept }) => !isKept).map(({ entry }) => entry);
    const entries = [...(await this.#journal.all().catch(() => [])), ...unkept];
    for (const { item } of entries.filter(isMeant)) {
      if (!this.#isBusy(item)) {
        await this.#alone(item, () => this.#again(item));
      }
    }
  }

  /** Much may have happened since the list was read: what is sent is what is there now. */
  async #again(item: string): Promise<void> {
    const entry = await this.read(item);
    if (!entry?.decision || this.#isBusy(item)) {
      return;
    }
    const wait = this.#state.unsaved.some((unsaved) => unsaved.entry.item === item) ? 0 : waitOf(entry);
    await (wait > 0 ? this.#wait(item, wait) : this.#start(entry, true));
  }

  /** Another page holds the decision. Should it be gone, the decision is sent here. */
  #wait(item: string, milliseconds: number): void {
    clearTimeout(this.#waits.get(item));
    const again = () => {
      this.#waits.delete(item);
      void this.#resume((entry) => entry.item === item).finally(() => this.#set({ waiting: this.#waits.size }));
    };
    this.#waits.set(item, setTimeout(again, milliseconds));
    this.#set({ waiting: this.#waits.size });
  }

  /** Whether a decision about the item is held or on its way, or a person is at it, or must be. */
  #isBusy(item: string): boolean {
    const isConflict = this.#state.unsaved.some(({ entry, conflict }) => entry.item === item && conflict);
    return isConflict || this.#running.has(item) || this.#holds.has(item) || this.#open.has(item);
  }

  #start(entry: Entry, isAgain: boolean, held?: Promise<boolean>): Promise<void> {
    return this.#run(entry.item, this.#submit(entry, isAgain, held));
  }

  #run(item: string, call: Promise<void>): Promise<void> {
    const run = call.finally(() => {
      if (this.#running.get(item) === run) {
        this.#running.delete(item);
      }
    });
    this.#running.set(item, run);
    return run;
  }

  /** `held`: the decision was held, and whether the journal has it. */
  async #submit(entry: Entry, isAgain: boolean, held?: Promise<boolean>): Promise<void> {
    const before = this.#state.unsaved.find((unsaved) => unsaved.entry.item === entry.item);
    const others = this.#state.unsaved.filter((unsaved) => unsaved !== before);
    this.#set({ running: this.#state.running + 1, unsaved: others });
    this.#replace(entry.item);
    // What is sent again is in the journal. Written once more, it could be older than what is there.
    const isKept = await (held ?? (isAgain ? (before?.isKept ?? true) : this.keep(entry)));
    const send = async () => {
      if (!isAgain && isKept && (await this.#isOver(entry))) {
        return;
      }
      await this.#send(entry);
      await this.#isDone(this.#journal.forgetDecision(entry));
    };
    try {
      await (isAgain ? send() : this.#alone(entry.item, send));
      this.#changed(entry);
      this.#set({ running: this.#state.running - 1 });
    } catch (error) {
      const conflict = error instanceof ApiError && [404, 409, 412].includes(error.status);
      const message = error instanceof Error ? error.message : String(error);
      const status = error instanceof ApiError ? error.status : 0;
      const unsaved = [...this.#state.unsaved, { entry, message, status, conflict, isKept }];
      this.#set({ running: this.#state.running - 1, unsaved });
      if (conflict) {
        this.#changed(entry);
      }
    }
  }

  /** Whether another tab has sent this decision, or the person has begun or decided something else there since. */
  async #isOver(entry: Entry): Promise<boolean> {
    const now = await this.#journal.read(entry.item).catch(() => entry);
    return !isEqual(now, entry);
  }

  async #isDone(call: Promise<void>): Promise<boolean> {
    const problem = await call.then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (problem !== this.#state.problem) {
      this.#set({ problem });
    }
    return problem === '';
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
      if (isAsDecided(entry, now.body, this.#reviewer)) {
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
      const origin: object = decision.draftIndexes ? { draft_indexes: decision.draftIndexes } : {};
      return this.#client.patch('/results/{uid}/', { ...options, body: { annotations: [...decision.annotations], ...origin } });
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

/** Milliseconds that another page still has to take a decision back. A clock that was put back makes none of it longer. */
function waitOf({ heldUntil = 0 }: Entry): number {
  const wait = heldUntil - Date.now();
  return wait <= HELD_MS ? wait : 0;
}

function isAsDecided({ decision, etag }: Entry, result: Result, reviewer: string): boolean {
  if (decision?.verdict === 'reject') {
    return result.status === 'rejected';
  }
  if (decision === null || result.status !== 'accepted') {
    return false;
  }
  if (decision.annotations !== null) {
    return isEqual(result.annotations, decision.annotations);
  }
  // A draft of the model is as it was. What people made is, if this person's decision was the only change.
  const isOwn = result.reviewed_by === reviewer && `"${result.revision - 1}"` === etag;
  return result.source === 'auto_label' || isOwn;
}
