import type { Prediction } from '../api/types.ts';

/** Pixels of the picture upright. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

type Points = readonly (readonly number[])[];

/** The smallest rectangle around an annotation; `null` of one that has no pixels. A mask has the whole of its picture. */
export function boundsOf(prediction: Prediction): Rect | null {
  switch (prediction.type) {
    case 'bounding_box':
      return prediction.coordinates;
    case 'polygon':
    case 'polyline':
      return boundsOfPoints(prediction.points);
    case 'segmentation_mask':
      return { x: 0, y: 0, width: prediction.mask.size[1] ?? 0, height: prediction.mask.size[0] ?? 0 };
    case 'classification':
    case 'bounding_box_3d':
      return null;
  }
}

export function boundsOfPoints(points: Points): Rect {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x = 0, y = 0] of points) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** Whether a point is inside of a closed polygon, by the even-odd rule. */
export function isInside(points: Points, x: number, y: number): boolean {
  let inside = false;
  for (let at = 0, before = points.length - 1; at < points.length; before = at++) {
    const [ax = 0, ay = 0] = points[at] ?? [];
    const [bx = 0, by = 0] = points[before] ?? [];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) {
      inside = !inside;
    }
  }
  return inside;
}

/** The distance from a point to the nearest edge; of a closed polygon the last edge too. */
export function distanceToLine(points: Points, closed: boolean, x: number, y: number): number {
  let least = Infinity;
  for (let at = closed ? 0 : 1; at < points.length; at++) {
    const from = points[at === 0 ? points.length - 1 : at - 1] ?? [];
    least = Math.min(least, distanceToEdge(from, points[at] ?? [], x, y));
  }
  return least;
}

function distanceToEdge([ax = 0, ay = 0]: readonly number[], [bx = 0, by = 0]: readonly number[], x: number, y: number) {
  const [dx, dy] = [bx - ax, by - ay];
  const squared = dx * dx + dy * dy;
  const along = squared === 0 ? 0 : Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / squared, 0), 1);
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** The area, by which the annotation is chosen that lies in another one. */
export function areaOf(prediction: Prediction): number {
  const bounds = boundsOf(prediction);
  return bounds === null ? 0 : bounds.width * bounds.height;
}

/**
 * Moves an annotation by pixels of the picture. It stays inside of `picture`, if that is known: it is moved less far. An
 * annotation without pixels, and a mask, stay as they are.
 */
export function moved(prediction: Prediction, dx: number, dy: number, picture: Rect | null): Prediction {
  const bounds = boundsOf(prediction);
  if (bounds === null || prediction.type === 'segmentation_mask') {
    return prediction;
  }
  const [right, down] = picture === null ? [dx, dy] : kept(bounds, dx, dy, picture);
  if (right === 0 && down === 0) {
    return prediction;
  }
  if (prediction.type === 'bounding_box') {
    const { x, y } = prediction.coordinates;
    return { ...prediction, coordinates: { ...prediction.coordinates, x: x + right, y: y + down } };
  }
  if (prediction.type === 'polygon' || prediction.type === 'polyline') {
    return { ...prediction, points: prediction.points.map(([x = 0, y = 0]) => [x + right, y + down]) };
  }
  return prediction;
}

function kept(bounds: Rect, dx: number, dy: number, picture: Rect): [number, number] {
  return [
    between(dx, picture.x - bounds.x, picture.x + picture.width - bounds.x - bounds.width),
    between(dy, picture.y - bounds.y, picture.y + picture.height - bounds.y - bounds.height),
  ];
}

function between(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, Math.min(least, 0)), Math.max(most, 0));
}

/** A rectangle from two corners in any order, inside of `picture`. */
export function rectOf(ax: number, ay: number, bx: number, by: number, picture: Rect): Rect {
  const [left, right] = [Math.min(ax, bx), Math.max(ax, bx)].map((x) => clip(x, picture.x, picture.width)) as [number, number];
  const [top, bottom] = [Math.min(ay, by), Math.max(ay, by)].map((y) => clip(y, picture.y, picture.height)) as [number, number];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The nearest value in a range that begins at `start`. */
export function clip(value: number, start: number, extent: number): number {
  return Math.min(Math.max(value, start), start + extent);
}
