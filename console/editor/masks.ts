import type { Rect } from './geometry.ts';
import { endsOf, hasPixel, runsOf } from './rle.ts';

/** A decoded mask. */
export interface Mask {
  /** Where each run ends: see `endsOf`. */
  readonly ends: Uint32Array;
  /** Pixels; that of the picture. */
  readonly height: number;
  /** The foreground's. */
  readonly bounds: Rect;
  /** The foreground in its color, `bounds` scaled by `1 / 2 ** level`. */
  readonly bitmap: ImageBitmap;
}

/** What a mask is drawn with, before a browser has made a bitmap of it. */
export interface Raster {
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly height: number;
  readonly bounds: Rect;
  /** RGBA of `width * height`. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly width: number;
  readonly rows: number;
}

/** Pixels that a drawn mask may have; above, it is drawn at half the size. */
const MOST_PIXELS = 4_000_000;
const OPACITY = 115;

export function maskHas(mask: Mask, x: number, y: number): boolean {
  return y >= 0 && y < mask.height && x >= 0 && hasPixel(mask.ends, x * mask.height + y);
}

/** Decodes a mask of `[height, width]` and paints its foreground in `color`. */
export function rasterOf(counts: string, size: readonly number[], color: readonly [number, number, number]): Raster {
  const [height = 0, width = 0] = size;
  const runs = runsOf(counts);
  const ends = endsOf(runs);
  if ((ends[ends.length - 1] ?? 0) !== width * height) {
    throw new Error(`The mask's runs have ${ends[ends.length - 1] ?? 0} pixels and not ${width} x ${height}.`);
  }
  const bounds = boundsOfRuns(ends, height);
  let step = 1;
  while ((bounds.width * bounds.height) / (step * step) > MOST_PIXELS) {
    step *= 2;
  }
  const [columns, rows] = [Math.ceil(bounds.width / step), Math.ceil(bounds.height / step)];
  const pixels = new Uint8ClampedArray(columns * rows * 4);
  paint(new Uint32Array(pixels.buffer), columns, step, ends, height, bounds, colorOf(color));
  return { ends, height, bounds, pixels, width: columns, rows };
}

function colorOf([red, green, blue]: readonly [number, number, number]): number {
  return ((OPACITY << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** The rectangle around the foreground; of an empty mask one without extent. */
function boundsOfRuns(ends: Uint32Array, height: number): Rect {
  let [left, right, top, bottom] = [Infinity, -1, Infinity, -1];
  for (let at = 1; at < ends.length; at += 2) {
    const [first, last] = [ends[at - 1] ?? 0, (ends[at] ?? 0) - 1];
    if (last < first) {
      continue;
    }
    const [from, to] = [Math.floor(first / height), Math.floor(last / height)];
    left = Math.min(left, from);
    right = Math.max(right, to);
    top = Math.min(top, from === to ? first % height : 0);
    bottom = Math.max(bottom, from === to ? last % height : height - 1);
  }
  return right < 0 ? { x: 0, y: 0, width: 0, height: 0 } : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

/** Paints each `step`-th pixel of the foreground. */
function paint(
  target: Uint32Array,
  columns: number,
  step: number,
  ends: Uint32Array,
  height: number,
  bounds: Rect,
  color: number,
) {
  for (let at = 1; at < ends.length; at += 2) {
    const end = ends[at] ?? 0;
    for (let start = ends[at - 1] ?? 0; start < end;) {
      const column = Math.floor(start / height);
      const stop = Math.min(end, (column + 1) * height);
      if ((column - bounds.x) % step === 0) {
        const x = (column - bounds.x) / step;
        const from = Math.ceil((start - column * height - bounds.y) / step);
        const to = Math.ceil((stop - column * height - bounds.y) / step);
        for (let y = from; y < to; y++) {
          target[y * columns + x] = color;
        }
      }
      start = stop;
    }
  }
}
