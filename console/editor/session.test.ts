import { beforeEach, describe, expect, it } from 'vitest';
import type { Prediction } from '../api/types.ts';
import { numbers } from '../bench/scene.ts';
import { runsOf } from './rle.ts';
import { Session } from './session.ts';

const PICTURE = { x: 0, y: 0, width: 100, height: 80 };
const LABELS = ['car', 'cat', '<img onerror=alert(1)>'];
const drafts: Prediction[] = [
  { type: 'bounding_box', label: 'car', confidence: 0.9, coordinates: { x: 10, y: 10, width: 20, height: 20 } },
  { type: 'bounding_box', label: 'cat', confidence: 0.3, coordinates: { x: 50, y: 10, width: 20, height: 20 } },
  {
    type: 'polygon',
    label: 'cat',
    confidence: 0.6,
    points: [
      [50, 50],
      [70, 50],
      [60, 70],
    ],
  },
  { type: 'classification', label: 'night', confidence: 0.5 },
];

let session: Session;
beforeEach(() => {
  session = new Session(drafts, LABELS, PICTURE);
});
const selected = () => session.selected()!;

describe('by keyboard', () => {
  it('goes through the annotations, the least confident first, and round', () => {
    const seen = drafts.map(() => {
      session.step(1);
      return selected().now.confidence;
    });
    expect(seen).toEqual([0.3, 0.5, 0.6, 0.9]);
    session.step(1);
    expect(selected().now.confidence).toBe(0.3);
    session.step(-1);
    expect(selected().now.confidence).toBe(0.9);
    expect(session.state().announcement).toBe('car, bounding box, 90 %, open, 4 of 4');
  });

  it('accepts, deletes, relabels and moves the selected one; the second press takes it back', () => {
    session.select(1);
    session.accept();
    expect(selected().verdict).toBe('accepted');
    session.accept();
    expect(selected().verdict).toBe('open');
    session.remove();
    expect(session.correction()).toHaveLength(3);
    session.remove();
    session.relabel(LABELS[2]!);
    session.nudge(-1, 0);
    expect(selected().now).toMatchObject({ label: LABELS[2], coordinates: { x: 49, y: 10, width: 20, height: 20 } });
    expect(session.state().history.done).toBe(6);
  });

  it('moves nothing out of the picture', () => {
    session.select(0);
    session.nudge(-1000, 1000);
    expect(selected().now).toMatchObject({ coordinates: { x: 0, y: 60, width: 20, height: 20 } });
    session.nudge(-1, 0);
    expect(session.state().history.done).toBe(1);
  });

  it('does nothing without a selection, or on what has no pixels', () => {
    session.nudge(1, 1);
    session.remove();
    session.select(3);
    session.nudge(1, 1);
    expect(session.isChanged()).toBe(false);
    expect(session.state().history.done).toBe(0);
  });

  it('hides by confidence what it nevertheless saves', () => {
    session.setRange(0.5, 0.7);
    expect(session.shown().map(({ now }) => now.confidence)).toEqual([0.5, 0.6]);
    session.hide(true);
    expect(session.correction()).toEqual(drafts);
  });

  it('undoes and redoes, and says what', () => {
    session.select(0);
    session.nudge(1, 0);
    session.undo();
    expect(session.state().announcement).toBe('Undone: Move car');
    expect(session.correction()).toEqual(drafts);
    session.redo();
    expect(session.isChanged()).toBe(true);
    session.undo();
    session.undo();
    expect(session.state().announcement).toBe('Nothing to undo');
  });
});

it('changes nothing while another tab has the item', () => {
  session.select(0);
  session.nudge(1, 0);
  const before = session.correction();
  session.lock();
  session.remove();
  session.undo();
  session.redo();
  expect(session.correction()).toEqual(before);
  expect(session.state().announcement).toBe('Locked');
});

it('shows what holds when another tab turns out to have the item, and is open again if a decision is not done', () => {
  const { history } = session.state();
  session.select(0);
  session.nudge(1, 0);
  session.close();
  session.remove();
  session.reopen();
  session.nudge(1, 0);
  expect(session.state().history.done).toBe(2);
  session.lock(true, history);
  expect(session.correction()).toEqual(drafts);
  expect(session.state()).toMatchObject({ isLocked: true, isTaken: true });
});

describe('by pointer', () => {
  it('draws a box in any direction, clipped to the picture, with the chosen label', () => {
    session.relabel('cat');
    session.draw('bounding_box');
    expect(session.press(40, 40, null, 2)).toBe(true);
    session.drag(30, 30);
    session.release(-5, 20);
    expect(selected().now).toEqual({
      type: 'bounding_box',
      label: 'cat',
      confidence: 1,
      coordinates: { x: 0, y: 20, width: 40, height: 20 },
    });
    session.undo();
    expect(session.correction()).toEqual(drafts);
  });

  it('draws no box of a click', () => {
    session.draw('bounding_box');
    session.press(40, 40, null, 2);
    session.release(40, 40);
    session.finish();
    expect(session.correction()).toEqual(drafts);
  });

  it('draws a polygon; undo takes back a point while it is drawn, and all of it afterwards', () => {
    session.draw('polygon');
    for (const [x, y] of [
      [1, 1],
      [9, 1],
      [9, 9],
      [5, 20],
    ] as const) {
      session.press(x, y, null, 2);
      session.release(x, y);
    }
    session.undo();
    session.finish();
    expect(selected().now).toMatchObject({
      type: 'polygon',
      points: [
        [1, 1],
        [9, 1],
        [9, 9],
      ],
      label: 'car',
    });
    session.undo();
    expect(session.correction()).toEqual(drafts);
  });

  it('makes no polygon of two points, and gives a started one up', () => {
    session.draw('polygon');
    session.press(1, 1, null, 2);
    session.press(5, 5, null, 2);
    session.finish();
    session.draw('polyline');
    session.press(1, 1, null, 2);
    session.cancel();
    expect(session.correction()).toEqual(drafts);
    expect(session.state().gesture).toBeNull();
  });

  it('drags an annotation, and a corner of it, as one step each', () => {
    expect(session.press(15, 15, 0, 2)).toBe(true);
    session.drag(20, 15);
    session.release(25, 20);
    expect(selected().now).toMatchObject({ coordinates: { x: 20, y: 15, width: 20, height: 20 } });
    session.press(40.5, 35, 0, 2);
    session.release(60, 50);
    expect(selected().now).toMatchObject({ coordinates: { x: 20, y: 15, width: 40, height: 35 } });
    expect(session.state().history.done).toBe(2);
  });

  it('moves a point of a polygon', () => {
    session.select(2);
    session.press(60, 70, 2, 3);
    session.release(62, 75);
    expect(selected().now).toMatchObject({
      points: [
        [50, 50],
        [70, 50],
        [62, 75],
      ],
    });
  });

  it('undo in the middle of a drag gives the drag up and nothing else', () => {
    session.select(0);
    session.nudge(1, 0);
    session.press(25, 25, 0, 2);
    session.drag(40, 40);
    session.undo();
    expect(session.state().gesture).toBeNull();
    expect(session.state().history.done).toBe(1);
  });

  it('leaves the pointer to the page where nothing is', () => {
    expect(session.press(95, 75, null, 2)).toBe(false);
    expect(session.selected()).toBeNull();
  });
});

const paint = (x: number, y: number) => {
  session.press(x, y, null, 1);
  session.drag(x + 5, y);
  session.release(x + 5, y);
};
/** Pixels of the selected mask. */
const area = () => {
  const { now } = selected();
  return now.type === 'segmentation_mask' ? runsOf(now.mask.counts).reduce((sum, run, at) => sum + (at % 2) * run, 0) : 0;
};

describe('with the brush', () => {
  it('makes a mask of the first stroke, adds the next, erases, each as one step of undo', () => {
    session.brush(false);
    paint(20, 20);
    expect(selected().now).toMatchObject({ type: 'segmentation_mask', label: 'car', confidence: 1, mask: { size: [80, 100] } });
    const first = area();
    paint(60, 60);
    expect(area()).toBe(2 * first);
    session.brush(true);
    paint(60, 60);
    expect(area()).toBe(first);
    expect(session.state().history.done).toBe(3);
    session.undo();
    expect(area()).toBe(2 * first);
    session.undo();
    session.undo();
    expect(session.correction()).toEqual(drafts);
  });

  it('makes a new mask though a box was selected after the brush was chosen', () => {
    session.brush(false);
    session.select(0);
    paint(20, 20);
    expect(session.correction().slice(0, -1)).toEqual(drafts);
    expect(session.correction().at(-1)).not.toHaveProperty('coordinates');
    expect(selected().now.type).toBe('segmentation_mask');
  });

  it('deletes a mask of which nothing is left, and undo brings it back', () => {
    session.brush(false);
    paint(20, 20);
    session.brush(true);
    session.resizeBrush(1);
    paint(20, 20);
    expect(session.correction()).toEqual(drafts);
    session.undo();
    expect(session.correction()).toHaveLength(drafts.length + 1);
  });

  it('paints no box: what is selected and no mask is left alone', () => {
    session.select(0);
    session.brush(false);
    paint(20, 20);
    expect(session.correction().slice(0, -1)).toEqual(drafts);
    session.cancel();
    expect(session.state().gesture).toBeNull();
  });

  it('paints a new mask, and not the deleted one, after nothing is left', () => {
    session.brush(false);
    paint(20, 20);
    session.brush(true);
    session.resizeBrush(1);
    paint(20, 20);
    session.brush(false);
    paint(60, 60);
    expect(session.correction()).toHaveLength(drafts.length + 1);
    session.undo();
    expect(session.correction()).toEqual(drafts);
  });
});

const drag = () => {
  session.press(15, 15, 0, 2);
  session.drag(20, 15);
};

describe('in the middle of something', () => {
  it('a key does its command after the drag, and each is a step of undo', () => {
    const keys: readonly (readonly [string, () => void, object])[] = [
      ['Delete car', () => session.remove(), { verdict: 'deleted' }],
      ['Accept car', () => session.accept(), { verdict: 'accepted' }],
      ['Relabel cat', () => session.relabel('cat'), { now: { label: 'cat' } }],
      ['Move car', () => session.nudge(0, 1), { now: { coordinates: { x: 15, y: 11, width: 20, height: 20 } } }],
    ];
    for (const [name, press, after] of keys) {
      session = new Session(drafts, LABELS, PICTURE);
      drag();
      press();
      session.drag(50, 50);
      session.release(50, 50);
      expect(session.state().history.commands.map((command) => command.name)).toEqual(['Move car', name]);
      expect(selected()).toMatchObject(after);
      session.undo();
      expect(selected()).toMatchObject({ verdict: 'open', now: { label: 'car', coordinates: { x: 15, y: 10 } } });
      session.undo();
      expect(session.correction()).toEqual(drafts);
      session.redo();
      session.redo();
      expect(selected()).toMatchObject(after);
    }
  });

  it('redo ends the drag, and with it there is nothing to redo', () => {
    session.select(0);
    session.remove();
    session.undo();
    drag();
    session.redo();
    expect(session.state().history.commands.map(({ name }) => name)).toEqual(['Move car']);
  });

  it('undo and cancel give a stroke up and leave the brush', () => {
    for (const giveUp of [() => session.undo(), () => session.cancel()]) {
      session.brush(false);
      session.press(20, 20, null, 1);
      session.drag(30, 20);
      giveUp();
      session.release(40, 20);
      expect(session.correction()).toEqual(drafts);
      expect(session.state().gesture?.kind).toBe('brush');
      session.cancel();
    }
  });

  it('another tool ends a polygon, and leaving ends what is drawn or dragged', () => {
    const polygon = () => {
      session.draw('polygon');
      for (const [x, y] of [
        [1, 1],
        [9, 1],
        [9, 9],
      ] as const) {
        session.press(x, y, null, 2);
      }
    };
    polygon();
    session.draw('bounding_box');
    expect(session.correction()).toHaveLength(drafts.length + 1);
    polygon();
    session.brush(false);
    expect(session.correction()).toHaveLength(drafts.length + 2);
    session.cancel();
    session.select(null);
    drag();
    session.leave();
    expect(session.state().history.commands.at(-1)?.name).toBe('Move car');
    expect(session.state().gesture).toBeNull();
  });

  it('nothing is done after the person has decided', () => {
    session.select(0);
    session.close();
    session.remove();
    session.undo();
    session.leave();
    expect(session.isClosed()).toBe(true);
    expect(session.correction()).toEqual(drafts);
  });

  it('undoes and redoes 500 seeded commands and gestures to the byte', () => {
    const random = numbers(16);
    const upTo = (number: number) => Math.floor(random() * number);
    const steps: readonly (() => void)[] = [
      () => session.step(random() < 0.5 ? 1 : -1),
      () => session.accept(),
      () => session.remove(),
      () => session.relabel(LABELS[upTo(3)]!),
      () => session.nudge(upTo(9) - 4, upTo(9) - 4),
      () => session.draw((['bounding_box', 'polygon', 'polyline'] as const)[upTo(3)]!),
      () => session.brush(random() < 0.3),
      () => session.press(upTo(100), upTo(80), null, 2),
      () => session.press(15, 15, 0, 2),
      () => session.drag(upTo(100), upTo(80)),
      () => session.release(upTo(100), upTo(80)),
      () => session.point(),
      () => session.finish(),
      () => session.cancel(),
    ];
    while (session.state().history.done < 500) {
      steps[upTo(steps.length)]!();
    }
    session.leave();
    const { done } = session.state().history;
    const end = JSON.stringify(session.state().history.annotations);
    for (let step = 0; step < done; step++) {
      session.undo();
    }
    expect(session.state().history.done).toBe(0);
    expect(JSON.stringify(session.correction())).toBe(JSON.stringify(drafts));
    for (let step = 0; step < done; step++) {
      session.redo();
    }
    expect(JSON.stringify(session.state().history.annotations)).toBe(end);
  });
});

describe('by the keyboard alone', () => {
  it('draws a box: a cross, a point, the cross again, a second point', () => {
    session.draw('bounding_box');
    session.point();
    expect(session.state().announcement).toBe('Cross at 50, 40');
    session.nudge(-10, -5);
    session.point();
    session.nudge(20, 1000);
    session.point();
    expect(selected().now).toMatchObject({ type: 'bounding_box', coordinates: { x: 40, y: 35, width: 20, height: 45 } });
    session.undo();
    expect(session.correction()).toEqual(drafts);
  });

  it('draws a polygon, takes a point back, and finishes it', () => {
    session.draw('polygon');
    session.point();
    for (const [dx, dy] of [
      [0, 0],
      [10, 0],
      [0, 10],
      [30, 30],
    ] as const) {
      session.nudge(dx, dy);
      session.point();
    }
    session.undo();
    session.finish();
    expect(selected().now).toMatchObject({
      points: [
        [50, 40],
        [60, 40],
        [60, 50],
      ],
    });
  });

  it('paints a dot with the brush', () => {
    session.brush(false);
    session.point();
    session.point();
    expect(area()).toBeGreaterThan(0);
    session.cancel();
    session.point();
    expect(session.state().history.done).toBe(1);
  });
});

it('shows what a person has drawn whatever range of confidence is shown', () => {
  session.setRange(0.5, 0.7);
  session.draw('bounding_box');
  session.press(40, 40, null, 2);
  session.release(50, 50);
  expect(selected().now.confidence).toBe(1);
  expect(session.shown()).toContain(selected());
});

it('draws nothing on an item of unknown size', () => {
  const empty = new Session([], LABELS, { x: 0, y: 0, width: 0, height: 0 });
  empty.draw('bounding_box');
  expect(empty.state().gesture).toBeNull();
});
