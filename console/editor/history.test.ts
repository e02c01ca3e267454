import { describe, expect, it } from 'vitest';
import type { Prediction } from '../api/types.ts';
import { numbers } from '../bench/scene.ts';
import { annotationsOf, correctionOf, draftIndexesOf, isChanged, positionsOf, stateOf } from './annotation.ts';
import { historyOf, perform, redo, undo, type Command } from './history.ts';

const box = (x: number, label = 'car'): Prediction => ({
  type: 'bounding_box',
  label,
  confidence: 0.5,
  coordinates: { x, y: 1, width: 10, height: 10 },
});
const drafts = Array.from({ length: 20 }, (_, at) => box(at * 12.25));

/** A command as the editor makes them, or one that deletes, adds, moves. */
function some(random: () => number, annotations: ReturnType<typeof annotationsOf>): Command {
  const before = annotations[Math.floor(random() * annotations.length)]!;
  const kind = Math.floor(random() * 4);
  if (kind === 0) {
    const id = Math.max(...annotations.map((annotation) => annotation.id)) + 1;
    return {
      name: 'Draw',
      changes: [{ before: null, after: { id, draft: null, now: box(random() * 100), verdict: 'accepted' } }],
    };
  }
  if (kind === 1) {
    return { name: 'Delete', changes: [{ before, after: { ...before, verdict: 'deleted' } }] };
  }
  if (kind === 2) {
    return { name: 'Relabel', changes: [{ before, after: { ...before, now: { ...before.now, label: `label ${random()}` } } }] };
  }
  return { name: 'Move', changes: [{ before, after: { ...before, now: box(random() * 100) } }] };
}

describe('the history', () => {
  it('gives byte-equal annotations after 500 commands are undone and redone', () => {
    const random = numbers(7);
    let history = historyOf(annotationsOf(drafts));
    const start = JSON.stringify(history.annotations);
    for (let step = 0; step < 500; step++) {
      history = perform(history, some(random, [...history.annotations]));
    }
    const end = JSON.stringify(history.annotations);
    for (let step = 0; step < 500; step++) {
      history = undo(history);
    }
    expect(JSON.stringify(history.annotations)).toBe(start);
    for (let step = 0; step < 500; step++) {
      history = redo(history);
    }
    expect(JSON.stringify(history.annotations)).toBe(end);
  });

  it('drops what was undone when something else is done', () => {
    const random = numbers(8);
    const start = historyOf(annotationsOf(drafts));
    const first = perform(start, some(random, [...start.annotations]));
    const other = perform(undo(first), some(random, [...start.annotations]));
    expect(other.commands).toHaveLength(1);
    expect(redo(other)).toBe(other);
  });

  it('stays as it is at both ends, and by a command without changes', () => {
    const start = historyOf(annotationsOf(drafts));
    expect(undo(start)).toBe(start);
    expect(redo(start)).toBe(start);
    expect(perform(start, { name: 'Nothing', changes: [] })).toBe(start);
  });
});

describe('annotations', () => {
  it('are saved as they came where nothing was changed, whatever their type', () => {
    const given: Prediction[] = [
      box(1.5),
      { type: 'segmentation_mask', label: 'm', confidence: 0.25, mask: { format: 'coco_rle', size: [2, 2], counts: '04' } },
      {
        type: 'bounding_box_3d',
        label: 'truck',
        confidence: 0.125,
        coordinates: {
          center: { x: 1, y: 2, z: 3 },
          dimensions: { length: 4, width: 5, height: 6 },
          rotation: { x: 0, y: 0, z: 0.6, w: 0.8 },
        },
        attributes: { track: 7 },
      },
      { type: 'classification', label: 'night', confidence: 1 },
    ];
    const annotations = annotationsOf(given).map((annotation) => ({ ...annotation, verdict: 'accepted' as const }));
    expect(JSON.stringify(correctionOf(annotations))).toBe(JSON.stringify(given));
    expect(isChanged(annotations)).toBe(false);
  });

  it('that were added and deleted again change nothing', () => {
    const added = { id: 0, draft: null, now: box(3), verdict: 'deleted' as const };
    expect(isChanged([added])).toBe(false);
    expect(isChanged([{ ...added, draft: box(3) }])).toBe(true);
    expect(isChanged([{ ...added, verdict: 'accepted' }])).toBe(true);
  });

  it('that are moved back are as the draft was', () => {
    const [annotation] = annotationsOf([box(3)]);
    expect(stateOf({ ...annotation!, now: box(4) })).toBe('changed');
    expect(stateOf({ ...annotation!, now: box(3) })).toBe('open');
    expect(stateOf({ ...annotation!, now: box(4), verdict: 'deleted' })).toBe('deleted');
  });

  it('are where they were in the draft, and nowhere if a person added them', () => {
    const [first, second] = annotationsOf([box(3), box(4)]);
    const added = { id: 2, draft: null, now: box(5), verdict: 'accepted' as const };
    const mine = [{ ...first!, verdict: 'deleted' as const }, second!, added];
    const result = { source: 'auto_label' as const, annotations: [box(3), box(4)], draft_indexes: null };
    const human = { ...result, source: 'human' as const };
    expect(draftIndexesOf(mine, positionsOf(result)!)).toEqual([1, null]);
    expect(draftIndexesOf(mine, positionsOf({ ...human, draft_indexes: [7, null] })!)).toEqual([null, null]);
    expect(draftIndexesOf(mine, positionsOf({ ...human, draft_indexes: [null, 7] })!)).toEqual([7, null]);
    expect(positionsOf(human)).toBeNull();
  });
});
