import type { Client } from '../api/client.ts';

/** Which drafts a sweep works through. What is not given narrows nothing. */
export interface Chosen {
  readonly job?: string;
  readonly label?: string;
  readonly min_confidence?: number;
  readonly max_confidence?: number;
}

export type Verb = 'count' | 'accept' | 'reject' | 'undo';

/** How far a sweep is. */
export interface Swept {
  readonly verb: Verb;
  /** The drafts that it is about, whatever the person chooses afterwards. */
  readonly chosen: Chosen;
  /** Of its first call: one whose answer is lost is the same sweep when it is made once more. */
  readonly idempotencyKey: string;
  /** Results that were examined. */
  readonly examined: number;
  /** Drafts that match, or results that were changed. */
  readonly found: number;
  /** Where the next call goes on; `null`: from the start. */
  readonly cursor: string | null;
  readonly isDone: boolean;
  /** What an undo names; `null` before the first answer. */
  readonly sweep: string | null;
}

/** One call of a sweep, from where the one before ended. */
export type Step = (swept: Swept) => Promise<Pick<Swept, 'examined' | 'found' | 'cursor' | 'isDone' | 'sweep'>>;

/** A sweep over the drafts that are chosen; to undo, `sweep` says what. */
export function begun(verb: Verb, chosen: Chosen, sweep: string | null = null): Swept {
  const idempotencyKey = crypto.randomUUID();
  return { verb, chosen, idempotencyKey, examined: 0, found: 0, cursor: null, isDone: false, sweep };
}

/**
 * Makes the calls of a sweep one after another, each from where the one before ended, until it is done or stopped. A call that
 * is on its way is not cut off: what it did would not be counted. After an error it may be run again from what was reported last.
 */
export async function run(from: Swept, step: Step, report: (swept: Swept) => void, signal: AbortSignal): Promise<void> {
  let swept = from;
  while (!swept.isDone && !signal.aborted) {
    const { examined, found, ...rest } = await step(swept);
    swept = { ...swept, ...rest, examined: swept.examined + examined, found: swept.found + found };
    report(swept);
  }
}

/** The calls of sweeps over a project's drafts. */
export function stepOf(client: Client, project: string): Step {
  const path = { uid: project };
  return async ({ verb, chosen, cursor, sweep, idempotencyKey }) => {
    const isFirst = cursor === null;
    const once = isFirst ? { path, idempotencyKey } : { path };
    const body = { ...(isFirst ? chosen : { cursor }), count_only: verb === 'count' };
    switch (verb) {
      case 'count': {
        const { body: now } = await client.post('/projects/{uid}/results/accept/', { ...once, body });
        return { ...positionOf(now), found: now.matching ?? 0 };
      }
      case 'accept': {
        const { body: now } = await client.post('/projects/{uid}/results/accept/', { ...once, body });
        return { ...positionOf(now), found: now.accepted };
      }
      case 'reject': {
        const { body: now } = await client.post('/projects/{uid}/results/reject/', { ...once, body });
        return { ...positionOf(now), found: now.rejected };
      }
      case 'undo': {
        const undone = isFirst ? { sweep } : { cursor };
        const { body: now } = await client.post('/projects/{uid}/results/undo/', { ...once, body: undone });
        return { ...positionOf(now), found: now.reopened };
      }
    }
  };
}

function positionOf(now: { examined: number; cursor: string | null; done: boolean; sweep: string }) {
  return { examined: now.examined, cursor: now.cursor, isDone: now.done, sweep: now.sweep };
}

export interface Sweeping {
  /** The sweep that runs, or the last one; `null`: there was none. */
  readonly swept: Swept | null;
  /** The last count that is done, as long as nothing was changed after it. */
  readonly counted: Swept | null;
  /** What an undo would name; `null`: nothing was changed. */
  readonly last: string | null;
  readonly error: unknown;
  readonly isRunning: boolean;
}

/** The sweeps over one project's drafts, one at a time. What they have done is known as long as the person is signed in. */
export class Sweeps {
  readonly #step: Step;
  readonly #ended: () => void;
  #state: Sweeping = { swept: null, counted: null, last: null, error: null, isRunning: false };
  readonly #listeners = new Set<() => void>();
  #over = new AbortController();

  /** `ended` hears of each sweep that has come to its end, was stopped, or has failed. */
  constructor(step: Step, ended: () => void) {
    this.#step = step;
    this.#ended = ended;
  }

  readonly state = (): Sweeping => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Begins a sweep, or goes on with one. While one runs, no other begins. Never throws: what goes wrong is in the state. */
  async start(from: Swept): Promise<void> {
    if (this.#state.isRunning) {
      return;
    }
    this.#over = new AbortController();
    this.#set({ swept: from, error: null, isRunning: true });
    const error: unknown = await run(from, this.#step, (swept) => this.#report(swept), this.#over.signal).then(
      () => null,
      (failure: unknown) => failure,
    );
    this.#set({ error, isRunning: false });
    this.#ended();
  }

  /** Makes no further call. */
  stop(): void {
    this.#over.abort();
  }

  #report(swept: Swept): void {
    const { verb, isDone, found, sweep } = swept;
    const isChange = (verb === 'accept' || verb === 'reject') && found > 0;
    this.#set({
      swept,
      ...(isChange ? { last: sweep } : {}),
      ...(isDone ? { counted: verb === 'count' ? swept : null } : {}),
    });
  }

  #set(change: Partial<Sweeping>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) {
      listener();
    }
  }
}
