import type { Prediction, Result } from '../api/types.ts';
import type { State } from './renderer.ts';

/** An annotation in the editor. */
export interface Annotation {
  /** Its position in the result, from 0; of an added one, a number above all others. */
  readonly id: number;
  /** As the result has it; `null` of an added one. */
  readonly draft: Prediction | null;
  /** As it is now. Never changed: a change makes another object. */
  readonly now: Prediction;
  readonly verdict: 'open' | 'accepted' | 'deleted';
}

/** The annotations of a result, in its order. */
export function annotationsOf(predictions: readonly Prediction[]): Annotation[] {
  return predictions.map((prediction, id) => ({ id, draft: prediction, now: prediction, verdict: 'open' }));
}

export function stateOf({ draft, now, verdict }: Annotation): State {
  if (verdict === 'deleted') {
    return 'deleted';
  }
  if (draft === null || !isEqual(draft, now)) {
    return 'changed';
  }
  return verdict;
}

/** What a person says is right: what is not deleted, each unchanged one as it came. */
export function correctionOf(annotations: readonly Annotation[]): Prediction[] {
  return annotations.filter(({ verdict }) => verdict !== 'deleted').map(({ now }) => now);
}

/** Where the annotations of a result are in the model's draft; `null`: it is not known. */
export function positionsOf(result: Pick<Result, 'source' | 'annotations' | 'draft_indexes'>): readonly (number | null)[] | null {
  return result.source === 'auto_label' ? result.annotations.map((_, at) => at) : result.draft_indexes;
}

/** Of each annotation that is right, where it is in the draft; `null`: nowhere. `positions`: of the result that was opened. */
export function draftIndexesOf(
  annotations: readonly Annotation[],
  positions: readonly (number | null)[],
): readonly (number | null)[] {
  const right = annotations.filter(({ verdict }) => verdict !== 'deleted');
  return right.map(({ id, draft }) => (draft === null ? null : (positions[id] ?? null)));
}

/** Whether saving would change what the server has. What was added and deleted again would not. */
export function isChanged(annotations: readonly Annotation[]): boolean {
  return annotations.some((annotation) => {
    const state = stateOf(annotation);
    return state === 'changed' || (state === 'deleted' && annotation.draft !== null);
  });
}

/** Deep equality of JSON values. */
export function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) {
    return true;
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) {
    return false;
  }
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return (
    Array.isArray(one) === Array.isArray(other) &&
    names.length === others.length &&
    names.every((name) => isEqual(one[name as keyof typeof one], other[name as keyof typeof other]))
  );
}
