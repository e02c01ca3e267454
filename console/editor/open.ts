import type { Result } from '../api/types.ts';
import type { Rect } from './geometry.ts';
import { touchedBy, type Journal } from './journal.ts';
import { merge } from './merge.ts';
import { Session } from './session.ts';

/** A session with what the journal had of it. */
export interface Opened {
  readonly session: Session;
  /** What became of kept changes, for people; empty if there were none. */
  readonly note: string;
}

/**
 * Opens an item with its result, if it has one. What a person did before a crash or a reload is done again; over a version that another person has changed
 * meanwhile it is merged, annotation by annotation.
 */
export async function open(
  item: string,
  result: Result | null,
  etag: string,
  labels: readonly string[],
  picture: Rect,
  journal: Journal,
): Promise<Opened> {
  const session = new Session(result?.annotations ?? [], labels, picture);
  const entry = await journal.read(item);
  if (!entry || entry.done === 0) {
    return { session, note: '' };
  }
  if (entry.etag === etag) {
    session.replay(entry.commands, entry.done);
    return { session, note: `Your ${counted(entry.done, 'unsaved change')} came back.` };
  }
  const { command, conflicts } = merge(touchedBy(entry), result?.annotations ?? []);
  session.replay([command], 1);
  const both =
    conflicts.length === 0 ? '' : ` ${counted(conflicts.length, 'annotation')} of yours and theirs stand side by side.`;
  return {
    session,
    note: `${result?.reviewed_by ?? 'Another person'} changed this result meanwhile. Yours is merged with it.${both}`,
  };
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
