import type { Result } from '../api/types.ts';
import type { Rect } from './geometry.ts';
import { touchedBy, type Entry } from './journal.ts';
import { merge } from './merge.ts';
import { Session } from './session.ts';

/** A session with what the journal had of it. */
export interface Opened {
  readonly session: Session;
  /** What became of kept changes, for people; empty if there were none. */
  readonly note: string;
}

/**
 * Opens an item with its result, if it has one. What a person did before a crash or a reload is done again; over a version that
 * another person has changed meanwhile it is merged, annotation by annotation.
 */
export async function open(
  item: string,
  result: Pick<Result, 'annotations' | 'reviewed_by'> | null,
  etag: string,
  labels: readonly string[],
  picture: Rect,
  journal: { read(item: string): Promise<Entry | undefined> },
): Promise<Opened> {
  const session = new Session(result?.annotations ?? [], labels, picture);
  const entry = await journal.read(item);
  const who = `${result?.reviewed_by ?? 'Another person'} changed this result meanwhile.`;
  if (!entry || entry.done === 0) {
    const isOld = entry?.decision && entry.etag !== etag;
    return { session, note: isOld ? `${who} You wanted to ${entry.decision.verdict} it as it was: decide again.` : '' };
  }
  if (entry.etag === etag) {
    session.replay(entry.commands, entry.done);
    return { session, note: `Your ${counted(entry.done, 'unsaved change')} came back.` };
  }
  const { command, conflicts, notDeleted } = merge(touchedBy(entry), result?.annotations ?? []);
  session.replay([command], 1);
  const both =
    conflicts.length === 0 ? '' : ` ${counted(conflicts.length, 'annotation')} of yours and theirs stand side by side.`;
  const left =
    notDeleted.length === 0 ? '' : ` ${counted(notDeleted.length, 'deletion')} of yours not done: they changed the same.`;
  return { session, note: `${who} Yours is merged with it.${both}${left}` };
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
