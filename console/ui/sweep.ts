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

/** One call of a sweep. */
export type Step = (cursor: string | null) => Promise<Pick<Swept, 'examined' | 'found' | 'cursor' | 'isDone' | 'sweep'>>;

export function begun(verb: Verb, sweep: string | null = null): Swept {
  return { verb, examined: 0, found: 0, cursor: null, isDone: false, sweep };
}

/**
 * Makes the calls of a sweep one after another, each from where the one before ended, until it is done or stopped. A call that
 * is on its way is not cut off: what it did would not be counted. After an error it may be run again from what was reported last.
 */
export async function run(from: Swept, step: Step, report: (swept: Swept) => void, signal: AbortSignal): Promise<void> {
  let swept = from;
  while (!swept.isDone && !signal.aborted) {
    const { examined, found, ...rest } = await step(swept.cursor);
    swept = { ...swept, ...rest, examined: swept.examined + examined, found: swept.found + found };
    report(swept);
  }
}

/** The call of a sweep over a project's drafts; to undo, `sweep` says what. */
export function stepOf(client: Client, project: string, verb: Verb, chosen: Chosen, sweep: string | null): Step {
  const path = { uid: project };
  return async (cursor) => {
    const body = cursor === null ? { ...chosen, count_only: verb === 'count' } : { cursor, count_only: verb === 'count' };
    switch (verb) {
      case 'count': {
        const { body: now } = await client.post('/projects/{uid}/results/accept/', { path, body });
        return { ...positionOf(now), found: now.matching ?? 0 };
      }
      case 'accept': {
        const { body: now } = await client.post('/projects/{uid}/results/accept/', { path, body });
        return { ...positionOf(now), found: now.accepted };
      }
      case 'reject': {
        const { body: now } = await client.post('/projects/{uid}/results/reject/', { path, body });
        return { ...positionOf(now), found: now.rejected };
      }
      case 'undo': {
        const undone = cursor === null ? { sweep } : { cursor };
        const { body: now } = await client.post('/projects/{uid}/results/undo/', { path, body: undone });
        return { ...positionOf(now), found: now.reopened };
      }
    }
  };
}

function positionOf(now: { examined: number; cursor: string | null; done: boolean; sweep: string }) {
  return { examined: now.examined, cursor: now.cursor, isDone: now.done, sweep: now.sweep };
}
