import type { Prediction } from '../api/types.ts';
import { annotationsOf, isEqual, stateOf, type Annotation } from './annotation.ts';
import type { Change, Command } from './history.ts';

/** My changes as a command over theirs, and those that find no annotation of theirs any more. */
export interface Merged {
  readonly command: Command;
  /** Annotations that both sides changed: mine is added beside theirs. */
  readonly conflicts: readonly Annotation[];
  /** Annotations that I deleted and they changed or deleted: theirs holds. */
  readonly notDeleted: readonly Annotation[];
}

/**
 * Brings what a person did with one version of a result to another version, annotation by annotation. One that they left as it
 * was is changed as I did; what I added is added; what I changed and they changed or deleted too is added, so that nothing is
 * lost, and named a conflict. What I deleted and they changed stays, and is named.
 */
export function merge(mine: readonly Annotation[], theirs: readonly Prediction[]): Merged {
  const free = annotationsOf(theirs);
  let next = theirs.length;
  const changes: Change[] = [];
  const conflicts: Annotation[] = [];
  const notDeleted: Annotation[] = [];
  for (const annotation of mine) {
    if (annotation.draft !== null) {
      const at = free.findIndex(({ draft }) => isEqual(draft, annotation.draft));
      const [before] = at < 0 ? [] : free.splice(at, 1);
      if (before) {
        if (stateOf(annotation) !== 'open') {
          changes.push({ before, after: { ...annotation, id: before.id } });
        }
        continue;
      }
      if (annotation.verdict === 'deleted') {
        notDeleted.push(annotation);
      }
    }
    const isHere = theirs.some((prediction) => isEqual(prediction, annotation.now));
    if (stateOf(annotation) === 'changed' && !isHere) {
      changes.push({ before: null, after: { ...annotation, id: next++, draft: null } });
      conflicts.push(...(annotation.draft === null ? [] : [annotation]));
    }
  }
  return { command: { name: 'Merge', changes }, conflicts, notDeleted };
}
