import { expect, it } from 'vitest';
import type { Prediction } from '../api/types.ts';
import { annotationsOf, correctionOf, type Annotation } from './annotation.ts';
import { historyOf, perform } from './history.ts';
import { merge } from './merge.ts';

const box = (x: number): Prediction => ({
  type: 'bounding_box',
  label: 'car',
  confidence: 0.5,
  coordinates: { x, y: 0, width: 5, height: 5 },
});

function both(mine: readonly Annotation[], theirs: readonly Prediction[]) {
  const { command, conflicts } = merge(mine, theirs);
  const merged = perform(historyOf(annotationsOf(theirs)), command);
  return {
    xs: correctionOf(merged.annotations).map((one) => (one.type === 'bounding_box' ? one.coordinates.x : null)),
    conflicts,
  };
}

const [one, two] = annotationsOf([box(1), box(2)]) as [Annotation, Annotation];

it('keeps what either side changed', () => {
  expect(both([{ ...one, now: box(10) }], [box(1), box(20)])).toEqual({ xs: [10, 20], conflicts: [] });
});

it('deletes what I deleted and they left', () => {
  expect(both([{ ...one, verdict: 'deleted' }], [box(1), box(2)]).xs).toEqual([2]);
});

it('adds what I added, once, though they may have it already', () => {
  const added: Annotation = { id: 9, draft: null, now: box(30), verdict: 'accepted' };
  expect(both([added], [box(1)]).xs).toEqual([1, 30]);
  expect(both([added], [box(1), box(30)]).xs).toEqual([1, 30]);
});

it('keeps both if both changed the same one, and names it', () => {
  const mine = { ...two, now: box(22) };
  expect(both([mine], [box(1), box(23)])).toEqual({ xs: [1, 23, 22], conflicts: [mine] });
});

it('lets theirs be if I deleted what they changed, and names it', () => {
  const mine: Annotation = { ...two, verdict: 'deleted' };
  expect(both([mine], [box(1), box(23)])).toEqual({ xs: [1, 23], conflicts: [] });
  expect(merge([mine], [box(1), box(23)]).notDeleted).toEqual([mine]);
  expect(merge([mine], [box(1), box(2)]).notDeleted).toEqual([]);
});

it('does not confuse annotations that are equal', () => {
  const [first] = annotationsOf([box(1), box(1)]) as [Annotation, Annotation];
  expect(both([{ ...first, verdict: 'deleted' }], [box(1), box(1)]).xs).toEqual([1]);
});
