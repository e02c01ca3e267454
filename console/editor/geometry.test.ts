import { expect, it } from 'vitest';
import type { Prediction } from '../api/types.ts';
import { distanceToLine, isInside, moved, rectOf } from './geometry.ts';
import { handlesOf, withHandle } from './handles.ts';
import { hit } from './hit.ts';
import type { Shape } from './renderer.ts';
import { fit, pan, toPicture, zoom } from './view.ts';

const PICTURE = { x: 0, y: 0, width: 100, height: 100 };
const shape = (id: number, prediction: Prediction): Shape => ({ id, prediction, color: '#000', state: 'open', mask: null });
const box = (x: number, y: number, width: number, height: number): Prediction => ({
  type: 'bounding_box',
  label: 'car',
  confidence: 1,
  coordinates: { x, y, width, height },
});

it('finds the smallest annotation at a point, or an edge near it', () => {
  const shapes = [
    shape(0, box(0, 0, 90, 90)),
    shape(1, box(10, 10, 20, 20)),
    shape(2, {
      type: 'polyline',
      label: 'lane',
      confidence: 1,
      points: [
        [0, 95],
        [100, 95],
      ],
    }),
    shape(3, {
      type: 'polygon',
      label: 'l',
      confidence: 1,
      points: [
        [50, 50],
        [80, 50],
        [80, 80],
        [65, 55],
        [50, 80],
      ],
    }),
    shape(4, { type: 'classification', label: 'night', confidence: 1 }),
  ];
  expect(hit(shapes, 15, 15, 2)?.id).toBe(1);
  expect(hit(shapes, 5, 5, 2)?.id).toBe(0);
  expect(hit(shapes, 50, 94, 2)?.id).toBe(2);
  expect(hit(shapes, 50, 91.5, 2)?.id).toBe(0);
  expect(hit(shapes, 75, 55, 2)?.id).toBe(3);
  expect(hit(shapes, 65, 75, 2)?.id).toBe(0);
  expect(hit(shapes, 99, 5, 2)).toBeNull();
});

it('knows inside from outside, and how far an edge is', () => {
  const square = [
    [0, 0],
    [10, 0],
    [10, 10],
    [0, 10],
  ];
  expect(isInside(square, 5, 5)).toBe(true);
  expect(isInside(square, 11, 5)).toBe(false);
  expect(distanceToLine(square, true, -3, 5)).toBe(3);
  expect(distanceToLine(square, false, -3, 5)).toBe(Math.hypot(3, 5));
});

it('moves a box by each of its eight handles, never to nothing', () => {
  const at = box(10, 10, 20, 20);
  const corners = handlesOf(at).map(([x = 0, y = 0], handle) => {
    const other = withHandle(at, handle, x - 2, y - 2, PICTURE);
    return other.type === 'bounding_box' ? Object.values(other.coordinates) : [];
  });
  expect(corners).toEqual([
    [8, 8, 22, 22],
    [10, 8, 20, 22],
    [10, 8, 18, 22],
    [10, 10, 18, 20],
    [10, 10, 18, 18],
    [10, 10, 20, 18],
    [8, 10, 22, 18],
    [8, 10, 22, 20],
  ]);
  expect(withHandle(at, 0, 30, 30, PICTURE)).toBe(at);
  expect(withHandle(at, 4, 500, 500, PICTURE)).toMatchObject({ coordinates: { width: 90, height: 90 } });
});

it('clips a rectangle, and leaves a mask where it is', () => {
  expect(rectOf(90, -5, 120, 20, PICTURE)).toEqual({ x: 90, y: 0, width: 10, height: 20 });
  const mask: Prediction = {
    type: 'segmentation_mask',
    label: 'm',
    confidence: 1,
    mask: { format: 'coco_rle', size: [2, 2], counts: '4' },
  };
  expect(moved(mask, 1, 1, PICTURE)).toBe(mask);
});

it('zooms about a point, and fits what is to be seen', () => {
  const view = fit(PICTURE, { width: 400, height: 200 }, 1);
  expect(toPicture(view, [200, 100])).toEqual([50, 50]);
  const before = toPicture(view, [230, 120]);
  const after = toPicture(zoom(view, 3, [230, 120]), [230, 120]);
  expect(Math.abs(after[0] - before[0])).toBeLessThan(1);
  expect(Math.abs(after[1] - before[1])).toBeLessThan(1);
  expect(pan(view, 3.4, -2.6)).toEqual({ scale: view.scale, left: view.left + 3, top: view.top - 3 });
});
