import type { Prediction } from '../api/types.ts';
import { clip, rectOf, type Rect } from './geometry.ts';

type Point = readonly number[];

/** The points by which an annotation is changed: of a box its corners and the middles of its edges, else its points. */
export function handlesOf(prediction: Prediction): readonly Point[] {
  if (prediction.type === 'polygon' || prediction.type === 'polyline') {
    return prediction.points;
  }
  if (prediction.type !== 'bounding_box') {
    return [];
  }
  const { x, y, width, height } = prediction.coordinates;
  const [right, bottom, middle, center] = [x + width, y + height, x + width / 2, y + height / 2];
  // Clockwise from the top left corner: SIDES has the same order.
  return [
    [x, y],
    [middle, y],
    [right, y],
    [right, center],
    [right, bottom],
    [middle, bottom],
    [x, bottom],
    [x, center],
  ];
}

/** Which sides a handle of a box moves: -1 the left or top one, 1 the right or bottom one. */
const SIDES = [
  [-1, -1],
  [0, -1],
  [1, -1],
  [1, 0],
  [1, 1],
  [0, 1],
  [-1, 1],
  [-1, 0],
] as const;

/** The handle within `tolerance` of a point, by its index. */
export function handleAt(prediction: Prediction, x: number, y: number, tolerance: number): number | null {
  const found = handlesOf(prediction).findIndex(([atX = 0, atY = 0]) => Math.hypot(atX - x, atY - y) <= tolerance);
  return found < 0 ? null : found;
}

/** The annotation with a handle moved to a point. A box has at least a pixel each way. */
export function withHandle(prediction: Prediction, handle: number, x: number, y: number, picture: Rect): Prediction {
  const [atX, atY] = [clip(x, picture.x, picture.width), clip(y, picture.y, picture.height)];
  if (prediction.type === 'polygon' || prediction.type === 'polyline') {
    return { ...prediction, points: prediction.points.with(handle, [atX, atY]) };
  }
  if (prediction.type !== 'bounding_box') {
    return prediction;
  }
  const [sideX, sideY] = SIDES[handle] ?? [0, 0];
  const { x: left, y: top, width, height } = prediction.coordinates;
  const fixed: [number, number] = [sideX < 0 ? left + width : left, sideY < 0 ? top + height : top];
  const free: [number, number] = [sideX === 0 ? left + width : atX, sideY === 0 ? top + height : atY];
  const rect = rectOf(...fixed, ...free, picture);
  return rect.width < 1 || rect.height < 1 ? prediction : { ...prediction, coordinates: rect };
}
