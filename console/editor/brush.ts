import type { Prediction } from '../api/types.ts';
import { countsOf, runsOf } from './rle.ts';
import type { Point, Size } from './view.ts';

/** A stroke of the brush: a line with a radius. Pixels of the picture. */
export interface Stroke {
  readonly points: readonly Point[];
  readonly radius: number;
}

type Interval = [from: number, to: number];

/**
 * The mask with a stroke added, or taken away; `null` if nothing is left. A pixel is in the stroke if its center is. Works on run
 * lengths alone, column by column, so that the size of the picture costs nothing.
 */
export function withStroke(counts: string | null, stroke: Stroke, erase: boolean, picture: Size): string | null {
  const total = picture.width * picture.height;
  const before = counts === null ? [total] : runsOf(counts);
  const runs = combined(before, runsOfStroke(stroke, picture), erase);
  return runs.length < 2 ? null : countsOf(runs);
}

/** A mask as an annotation without label. */
export function maskOf(
  counts: string,
  { width, height }: Size,
): Pick<Extract<Prediction, { type: 'segmentation_mask' }>, 'type' | 'mask'> {
  return { type: 'segmentation_mask', mask: { format: 'coco_rle', size: [height, width], counts } };
}

function runsOfStroke({ points, radius }: Stroke, { width, height }: Size): number[] {
  const xs = points.map(([x]) => x);
  const first = Math.max(Math.floor(Math.min(...xs) - radius), 0);
  const last = Math.min(Math.ceil(Math.max(...xs) + radius), width - 1);
  const runs: number[] = [];
  let end = 0;
  for (let column = first; column <= last; column++) {
    for (const [from, to] of covered(points, radius, column + 0.5, height)) {
      runs.push(column * height + from - end, to - from);
      end = column * height + to;
    }
  }
  return [...runs, width * height - end];
}

/** The rows of a column that a stroke covers: whole pixels, the end excluded, in order and separate. */
function covered(points: readonly Point[], radius: number, x: number, height: number): Interval[] {
  const intervals: Interval[] = [];
  for (const [at, point] of points.entries()) {
    const before = points[at - 1] ?? point;
    const isNear = x >= Math.min(before[0], point[0]) - radius && x <= Math.max(before[0], point[0]) + radius;
    const range = isNear ? capsuleAt(before, point, radius, x) : null;
    const from = range ? Math.max(Math.ceil(range[0] - 0.5), 0) : 0;
    const to = range ? Math.min(Math.floor(range[1] - 0.5) + 1, height) : 0;
    if (from < to) {
      intervals.push([from, to]);
    }
  }
  intervals.sort(([one], [other]) => one - other);
  const joined: Interval[] = [];
  for (const [from, to] of intervals) {
    const open = joined.at(-1);
    if (open && from <= open[1]) {
      open[1] = Math.max(open[1], to);
    } else {
      joined.push([from, to]);
    }
  }
  return joined;
}

/** Where a vertical line crosses the line from `a` to `b` with a radius. That shape is convex, so there is one interval or none. */
function capsuleAt(a: Point, b: Point, radius: number, x: number): Interval | null {
  const ys = [a, b].flatMap(([cx, cy]) => {
    const half = Math.sqrt(radius ** 2 - (x - cx) ** 2);
    return Number.isNaN(half) ? [] : [cy - half, cy + half];
  });
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = Math.hypot(dx, dy);
  if (length > 0) {
    const [nx, ny] = [(-dy / length) * radius, (dx / length) * radius];
    const corners: Point[] = [
      [a[0] + nx, a[1] + ny],
      [b[0] + nx, b[1] + ny],
      [b[0] - nx, b[1] - ny],
      [a[0] - nx, a[1] - ny],
    ];
    corners.forEach((from, at) => {
      const to = corners[(at + 1) % corners.length] ?? from;
      if (from[0] !== to[0] && (from[0] - x) * (to[0] - x) <= 0) {
        ys.push(from[1] + ((to[1] - from[1]) * (x - from[0])) / (to[0] - from[0]));
      }
    });
  }
  return ys.length === 0 ? null : [Math.min(...ys), Math.max(...ys)];
}

/** The union of two masks, or the first without the second: their runs are read side by side. */
function combined(one: readonly number[], other: readonly number[], erase: boolean): number[] {
  const runs: number[] = [];
  let [at, atOther, left, leftOther] = [0, 0, one[0] ?? 0, other[0] ?? 0];
  let color = false;
  let length = 0;
  while (at < one.length && atOther < other.length) {
    const isInside = at % 2 === 1;
    const isInStroke = atOther % 2 === 1;
    const wanted = erase ? isInside && !isInStroke : isInside || isInStroke;
    const step = Math.min(left, leftOther);
    if (step > 0 && wanted !== color) {
      runs.push(length);
      [color, length] = [wanted, 0];
    }
    length += step;
    left -= step;
    leftOther -= step;
    if (left === 0) {
      left = one[++at] ?? 0;
    }
    if (leftOther === 0) {
      leftOther = other[++atOther] ?? 0;
    }
  }
  return [...runs, length];
}
