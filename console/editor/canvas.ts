import { boundsOf } from './geometry.ts';
import type { Brush, Overlay, Picture, Renderer, Shape } from './renderer.ts';
import { filterOf, type Tone } from './tone.ts';
import type { Point, Size, View } from './view.ts';

/** Device pixels. */
interface Region extends Size {
  readonly x: number;
  readonly y: number;
}

/** A full drawing that took longer is not repeated in each frame of a zoom: the old one is scaled until the zoom rests. */
const BUDGET_MS = 8;
const REST_MS = 120;
const LINE = 2;
const HANDLE = 8;
/** From the middle of the cross to its ends. */
const CROSS = 16;
/** Device pixels by which a line or a handle may exceed the bounds of its annotation. */
const BLEED = 4;
/** Dashes are for the eye: with more drafts in view than this they cost a frame and show nothing. */
const MOST_DASHED = 600;
const DASHES = [6, 4];
const SOLID: number[] = [];
/** Widths and colors of a line that is seen on every picture. */
const OUTLINED = [
  [3, '#000'],
  [1, '#fff'],
] as const;
const NOTHING: Overlay = { shapes: [], handles: [], brush: null, cross: null };

/**
 * Draws on Canvas 2D (decision 0037). Picture and annotations are in a drawing behind the visible canvas. Panning scrolls that
 * drawing and draws only the strips that come into view; for a changed annotation its own rectangle is drawn again. So a frame costs a
 * copy, and not the number of annotations.
 */
export class CanvasRenderer implements Renderer {
  readonly #front: CanvasRenderingContext2D;
  readonly #back: CanvasRenderingContext2D;
  #picture: Picture | null = null;
  #filter = 'none';
  #shapes: readonly Shape[] = [];
  #bounds = new Float64Array();
  #overlay = NOTHING;
  #view: View = { scale: 1, left: 0, top: 0 };
  /** The view of what is on the drawing behind; `null`: it is to be drawn as a whole. */
  #drawn: View | null = null;
  #stale: Region[] = [];
  #cost = 0;
  #frame = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(canvas: HTMLCanvasElement) {
    this.#front = contextOf(canvas);
    this.#back = contextOf(canvas.ownerDocument.createElement('canvas'));
    this.resize(canvas.width, canvas.height);
  }

  setPicture(picture: Picture | null): void {
    this.#picture = picture;
    this.#drawAll();
  }

  /** Of the picture alone: annotations are drawn above it without a filter. */
  setTone(tone: Tone): void {
    if (this.#filter !== filterOf(tone)) {
      this.#filter = filterOf(tone);
      this.#drawAll();
    }
  }

  setShapes(shapes: readonly Shape[]): void {
    const before = this.#shapes;
    this.#shapes = shapes;
    if (this.#drawn === null || !this.#notesChanges(before, shapes)) {
      this.#drawn = null;
    }
    this.#bounds = boundsOfAll(shapes);
    this.#request();
  }

  setOverlay(overlay: Overlay): void {
    this.#overlay = overlay;
    this.#request();
  }

  setView(view: View): void {
    this.#view = view;
    this.#request();
  }

  resize(width: number, height: number): void {
    for (const { canvas } of [this.#front, this.#back]) {
      canvas.width = Math.max(width, 1);
      canvas.height = Math.max(height, 1);
    }
    this.#drawAll();
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#rest);
    this.#back.canvas.width = 0;
  }

  #drawAll(): void {
    this.#drawn = null;
    this.#request();
  }

  #request(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** Notes the rectangles of the annotations that differ. False if so many do that all is better drawn again. */
  #notesChanges(before: readonly Shape[], after: readonly Shape[]): boolean {
    const known = new Map(before.map((shape) => [shape.id, shape]));
    const changed: Shape[] = [];
    for (const shape of after) {
      const old = known.get(shape.id);
      known.delete(shape.id);
      if (!old || !isSame(old, shape)) {
        changed.push(shape, ...(old ? [old] : []));
      }
    }
    changed.push(...known.values());
    if (changed.length > 50) {
      return false;
    }
    this.#stale.push(...changed.flatMap((shape) => this.#regionOf(shape) ?? []));
    return true;
  }

  #regionOf({ prediction, mask }: Shape): Region | null {
    const bounds = mask?.bounds ?? boundsOf(prediction);
    const view = this.#drawn;
    if (bounds === null || view === null) {
      return null;
    }
    const [x, y] = [Math.floor(bounds.x * view.scale) + view.left - BLEED, Math.floor(bounds.y * view.scale) + view.top - BLEED];
    const extent = (length: number) => Math.ceil(length * view.scale) + 2 * BLEED + 1;
    return { x, y, width: extent(bounds.width), height: extent(bounds.height) };
  }

  #draw(): void {
    const view = this.#view;
    if (this.#drawn?.scale === view.scale) {
      this.#scroll(this.#drawn, view);
    } else if (this.#drawn === null || this.#cost <= BUDGET_MS) {
      this.#redraw(view);
    } else {
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => this.#drawAll(), REST_MS);
    }
    this.#compose(this.#drawn ?? view, view);
  }

  #redraw(view: View): void {
    const start = performance.now();
    this.#drawn = view;
    this.#stale = [];
    this.#drawRegion(view, { x: 0, y: 0, ...sizeOf(this.#back) });
    this.#cost = performance.now() - start;
  }

  /** Moves what is drawn, and draws what has come into view. */
  #scroll(from: View, view: View): void {
    const [dx, dy] = [view.left - from.left, view.top - from.top];
    const { width, height } = sizeOf(this.#back);
    if (Math.abs(dx) >= width || Math.abs(dy) >= height) {
      this.#redraw(view);
      return;
    }
    this.#drawn = view;
    if (dx !== 0 || dy !== 0) {
      this.#back.globalCompositeOperation = 'copy';
      this.#back.drawImage(this.#back.canvas, dx, dy);
      this.#back.globalCompositeOperation = 'source-over';
      if (dx !== 0) {
        this.#drawRegion(view, { x: dx > 0 ? 0 : width + dx, y: 0, width: Math.abs(dx), height });
      }
      if (dy !== 0) {
        this.#drawRegion(view, { x: 0, y: dy > 0 ? 0 : height + dy, width, height: Math.abs(dy) });
      }
    }
    const stale = this.#stale.splice(0);
    for (const region of stale) {
      this.#drawRegion(view, { ...region, x: region.x + dx, y: region.y + dy });
    }
  }

  #drawRegion(view: View, region: Region): void {
    const context = this.#back;
    context.save();
    context.beginPath();
    context.rect(region.x, region.y, region.width, region.height);
    context.clip();
    context.clearRect(region.x, region.y, region.width, region.height);
    if (this.#picture) {
      context.filter = this.#filter;
      drawPicture(context, this.#picture, view);
      context.filter = 'none';
    }
    drawShapes(context, this.#inside(view, region), view);
    context.restore();
  }

  #inside({ scale, left, top }: View, region: Region): Shape[] {
    const bleed = BLEED / scale;
    const [x, y] = [(region.x - left) / scale - bleed, (region.y - top) / scale - bleed];
    const [right, bottom] = [x + region.width / scale + 2 * bleed, y + region.height / scale + 2 * bleed];
    const bounds = this.#bounds;
    return this.#shapes.filter((_, at) => touches(bounds, at * 4, x, y, right, bottom));
  }

  /** Shows the drawing, scaled if it is of another zoom, and the overlay above. */
  #compose(drawn: View, view: View): void {
    const context = this.#front;
    const { width, height } = sizeOf(context);
    const factor = view.scale / drawn.scale;
    context.clearRect(0, 0, width, height);
    context.drawImage(
      this.#back.canvas,
      Math.round(view.left - drawn.left * factor),
      Math.round(view.top - drawn.top * factor),
      width * factor,
      height * factor,
    );
    drawOverlay(context, this.#overlay, view);
  }
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d');
  if (context === null) {
    throw new Error('The browser gives no canvas to draw on.');
  }
  return context;
}

function sizeOf({ canvas }: CanvasRenderingContext2D): Size {
  return { width: canvas.width, height: canvas.height };
}

function isSame(one: Shape, other: Shape): boolean {
  return one.prediction === other.prediction && one.state === other.state && one.color === other.color && one.mask === other.mask;
}

/** Left, top, right and bottom of each; of one without pixels such that it is in no region. */
function boundsOfAll(shapes: readonly Shape[]): Float64Array<ArrayBuffer> {
  const all = new Float64Array(shapes.length * 4);
  shapes.forEach(({ prediction, mask }, at) => {
    const bounds = mask?.bounds ?? boundsOf(prediction);
    all.set(bounds ? [bounds.x, bounds.y, bounds.x + bounds.width, bounds.y + bounds.height] : [NaN, NaN, NaN, NaN], at * 4);
  });
  return all;
}

function drawPicture(context: CanvasRenderingContext2D, picture: Picture, { scale, left, top }: View): void {
  const wanted = scale >= 1 ? 0 : Math.floor(Math.log2(1 / scale));
  const level = picture.levels[Math.min(wanted, picture.levels.length - 1)];
  if (level) {
    context.imageSmoothingEnabled = scale < 2;
    context.drawImage(level, left, top, picture.width * scale, picture.height * scale);
  }
}

function drawShapes(context: CanvasRenderingContext2D, shapes: readonly Shape[], view: View): void {
  const dashed = shapes.length <= MOST_DASHED;
  for (const shape of shapes) {
    drawShape(context, shape, view, dashed);
  }
}

/** Hue is the label, the line is the state: dashed or thin an open draft, solid an accepted or changed one (WCAG 1.4.1). */
function drawShape(context: CanvasRenderingContext2D, { prediction, color, state, mask }: Shape, view: View, dashed: boolean) {
  const { scale, left, top } = view;
  context.strokeStyle = color;
  context.lineWidth = state === 'open' ? LINE : LINE * 1.5;
  context.setLineDash(state === 'open' && dashed ? DASHES : SOLID);
  if (prediction.type === 'bounding_box') {
    const { x, y, width, height } = prediction.coordinates;
    context.strokeRect(x * scale + left, y * scale + top, width * scale, height * scale);
  } else if (prediction.type === 'polygon' || prediction.type === 'polyline') {
    // A miter would exceed the annotation's bounds by more than `BLEED`.
    context.lineJoin = 'round';
    context.stroke(pathOf(prediction.points, prediction.type === 'polygon', view));
    context.lineJoin = 'miter';
  } else if (mask) {
    const { x, y, width, height } = mask.bounds;
    context.imageSmoothingEnabled = scale < 2;
    context.drawImage(mask.bitmap, x * scale + left, y * scale + top, width * scale, height * scale);
  }
}

function pathOf(points: readonly (readonly number[])[], closed: boolean, { scale, left, top }: View): Path2D {
  const path = new Path2D();
  points.forEach(([x = 0, y = 0], at) =>
    at === 0 ? path.moveTo(x * scale + left, y * scale + top) : path.lineTo(x * scale + left, y * scale + top),
  );
  if (closed) {
    path.closePath();
  }
  return path;
}

function drawOverlay(context: CanvasRenderingContext2D, { shapes, handles, brush, cross }: Overlay, view: View): void {
  for (const shape of shapes) {
    drawHighlight(context, shape, view);
    drawShape(context, shape, view, false);
  }
  context.setLineDash(SOLID);
  if (brush) {
    drawBrush(context, brush, view);
  }
  context.lineWidth = 1;
  context.strokeStyle = '#000';
  context.fillStyle = '#fff';
  for (const [x = 0, y = 0] of handles) {
    const [atX, atY] = [x * view.scale + view.left - HANDLE / 2, y * view.scale + view.top - HANDLE / 2];
    context.fillRect(atX, atY, HANDLE, HANDLE);
    context.strokeRect(atX, atY, HANDLE, HANDLE);
  }
  if (cross) {
    drawCross(context, cross, view);
  }
}

/** Black with a white line in it, so that it is seen on every picture. */
function drawCross(context: CanvasRenderingContext2D, [x, y]: Point, { scale, left, top }: View): void {
  const [atX, atY] = [x * scale + left, y * scale + top];
  const path = new Path2D();
  path.moveTo(atX - CROSS, atY);
  path.lineTo(atX + CROSS, atY);
  path.moveTo(atX, atY - CROSS);
  path.lineTo(atX, atY + CROSS);
  for (const [width, style] of OUTLINED) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke(path);
  }
}

/** A stroke as it will be, or the circle that the brush would paint. */
function drawBrush(context: CanvasRenderingContext2D, { points, radius, color, isDown }: Brush, view: View): void {
  const { scale, left, top } = view;
  const [x = 0, y = 0] = points.at(-1) ?? [];
  if (isDown) {
    context.save();
    context.globalAlpha = 0.5;
    context.strokeStyle = color;
    context.lineWidth = 2 * radius * scale;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    // A line of one point is none: it ends where it begins.
    context.stroke(pathOf(points.length === 1 ? [...points, ...points] : points, false, view));
    context.restore();
  }
  for (const [width, style] of OUTLINED) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.beginPath();
    context.arc(x * scale + left, y * scale + top, Math.max(radius * scale, 1), 0, 2 * Math.PI);
    context.stroke();
  }
}

/** A white line below that of the annotation, and its area in a light shade. */
function drawHighlight(context: CanvasRenderingContext2D, shape: Shape, view: View): void {
  const bounds = shape.mask?.bounds ?? boundsOf(shape.prediction);
  if (bounds === null) {
    return;
  }
  const { scale, left, top } = view;
  const { prediction } = shape;
  const hasPoints = prediction.type === 'polygon' || prediction.type === 'polyline';
  const path = hasPoints ? pathOf(prediction.points, prediction.type === 'polygon', view) : new Path2D();
  if (!hasPoints) {
    path.rect(bounds.x * scale + left, bounds.y * scale + top, bounds.width * scale, bounds.height * scale);
  }
  context.setLineDash(SOLID);
  context.strokeStyle = 'rgb(255 255 255 / 85%)';
  context.lineWidth = LINE * 2.5;
  context.stroke(path);
  if (prediction.type !== 'polyline' && shape.mask === null) {
    context.fillStyle = 'rgb(255 255 255 / 15%)';
    context.fill(path);
  }
}

/** Whether the bounds from index `at` on touch a rectangle. NaN does not. */
function touches(bounds: Float64Array, at: number, x: number, y: number, right: number, bottom: number): boolean {
  return (
    (bounds[at] ?? NaN) <= right &&
    (bounds[at + 1] ?? NaN) <= bottom &&
    (bounds[at + 2] ?? NaN) >= x &&
    (bounds[at + 3] ?? NaN) >= y
  );
}
