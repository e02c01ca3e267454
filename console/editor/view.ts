/** Where the picture is on the canvas. Device pixels: `x * scale + left`. */
export interface View {
  /** Device pixels of a pixel of the picture. */
  readonly scale: number;
  /** Of the picture's left edge. A whole number, so that what is drawn can be scrolled. */
  readonly left: number;
  readonly top: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export type Point = readonly [x: number, y: number];

export const LARGEST_SCALE = 64;
const SMALLEST_SCALE = 1 / 64;
/** The share of the canvas that a fitted picture, or a fitted annotation, leaves free. */
const MARGIN = 0.04;

/** The whole of `box` (pixels of the picture) in the middle of the canvas. */
export function fit(box: { x: number; y: number; width: number; height: number }, canvas: Size, largest = 8): View {
  const room = 1 - 2 * MARGIN;
  const wanted = Math.min((canvas.width * room) / Math.max(box.width, 1), (canvas.height * room) / Math.max(box.height, 1));
  const scale = Math.min(Math.max(wanted, SMALLEST_SCALE), largest);
  return {
    scale,
    left: Math.round(canvas.width / 2 - (box.x + box.width / 2) * scale),
    top: Math.round(canvas.height / 2 - (box.y + box.height / 2) * scale),
  };
}

/** Zooms by `factor`; the picture's point under `at` (device pixels) stays there. */
export function zoom(view: View, factor: number, at: Point): View {
  const scale = Math.min(Math.max(view.scale * factor, SMALLEST_SCALE), LARGEST_SCALE);
  const [x, y] = toPicture(view, at);
  return { scale, left: Math.round(at[0] - x * scale), top: Math.round(at[1] - y * scale) };
}

/** Moves the picture by device pixels. */
export function pan(view: View, dx: number, dy: number): View {
  return { ...view, left: Math.round(view.left + dx), top: Math.round(view.top + dy) };
}

/** Pixels of the picture under a point of the canvas (device pixels). */
export function toPicture(view: View, [x, y]: Point): Point {
  return [(x - view.left) / view.scale, (y - view.top) / view.scale];
}
