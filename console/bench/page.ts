import { CanvasRenderer } from '../editor/canvas.ts';
import { hit } from '../editor/hit.ts';
import { maskPool } from '../editor/mask-pool.ts';
import type { Picture, Shape } from '../editor/renderer.ts';
import { pan, toPicture, zoom, type Point, type View } from '../editor/view.ts';
import { numbers, picture, shapes } from './scene.ts';
import { upright } from './upright.ts';

const SECONDS = 5;
const HITS = 300;
/** Levels of 255 by which the smoothed edge of a path may differ where its drawing was clipped to a strip. */
const SMOOTHING = 64;
const MIDDLE: Point = [640, 360];
/** A view of a third of the picture's width: about a tenth of the annotations. */
const START: View = { scale: 0.8, left: -800, top: -600 };
/** The whole picture. */
const WHOLE: View = { scale: 0.24, left: 160, top: 0 };

export interface Figures {
  readonly firstDrawingMs: number;
  readonly panFps: number;
  readonly panP99Ms: number;
  readonly panWholeFps: number;
  readonly zoomFps: number;
  readonly zoomP99Ms: number;
  /** The picture brighter and with more contrast. */
  readonly tonedPanFps: number;
  readonly tonedZoomFps: number;
  /** A stroke of the brush that grows with each frame. */
  readonly strokeFps: number;
  /** 20 masks of 12 megapixels by the worker, and the longest time between two frames meanwhile. */
  readonly masksMs: number;
  readonly masksFrameMs: number;
  readonly hitP95Ms: number;
  readonly heapMb: number;
}

/** Draws the scene, then pans and zooms it as a hand does. */
async function measure(): Promise<Figures> {
  const canvas = document.querySelector('canvas')!;
  const [pictureOf, shapesOf] = [await picture(), await shapes()];
  const start = performance.now();
  const renderer = new CanvasRenderer(canvas);
  renderer.setView(WHOLE);
  renderer.setPicture(pictureOf);
  renderer.setShapes(shapesOf);
  await drawn();
  const firstDrawingMs = performance.now() - start;
  const panned = await frames((seconds) => renderer.setView(circled(START, seconds)));
  const whole = await frames((seconds) => renderer.setView(circled(WHOLE, seconds)));
  const waves = (seconds: number) => renderer.setView(zoom(WHOLE, 2 ** (1.5 - 1.5 * Math.cos(seconds * 2)), MIDDLE));
  const zoomed = await frames(waves);
  renderer.setTone({ brightness: 1.5, contrast: 1.5 });
  const tonedPan = await frames((seconds) => renderer.setView(circled(START, seconds)));
  const tonedZoom = await frames(waves);
  renderer.setTone({ brightness: 1, contrast: 1 });
  renderer.setView(START);
  const stroked = await frames(stroke(renderer));
  const decoded = await decode(shapesOf);
  const { memory } = performance as unknown as { memory: { usedJSHeapSize: number } };
  return {
    firstDrawingMs,
    panFps: panned.fps,
    panP99Ms: panned.p99,
    panWholeFps: whole.fps,
    zoomFps: zoomed.fps,
    zoomP99Ms: zoomed.p99,
    tonedPanFps: tonedPan.fps,
    tonedZoomFps: tonedZoom.fps,
    strokeFps: stroked.fps,
    ...decoded,
    hitP95Ms: hits(shapesOf),
    heapMb: memory.usedJSHeapSize / 2 ** 20,
  };
}

/** A stroke that a hand draws in a spiral. */
function stroke(renderer: CanvasRenderer): (seconds: number) => void {
  const points: Point[] = [];
  return (seconds) => {
    points.push([1800 + 60 * seconds * Math.cos(seconds * 3), 1300 + 60 * seconds * Math.sin(seconds * 3)]);
    const brush = { points: [...points], radius: 30, color: '#ff4d4d', isDown: true };
    renderer.setOverlay({ shapes: [], handles: [], brush, cross: null });
  };
}

async function decode(among: readonly Shape[]): Promise<{ masksMs: number; masksFrameMs: number }> {
  const masks = among.flatMap(({ prediction }) => (prediction.type === 'segmentation_mask' ? [prediction.mask] : []));
  const start = performance.now();
  let [longest, last, isOver] = [0, start, false];
  const watch = (now: number) => {
    [longest, last] = [Math.max(longest, now - last), now];
    if (!isOver) {
      requestAnimationFrame(watch);
    }
  };
  requestAnimationFrame(watch);
  const decoded = await Promise.all(masks.map(({ counts, size }) => maskPool().decode({ counts, size, color: [255, 0, 128] })));
  const masksMs = performance.now() - start;
  isOver = true;
  decoded.forEach(({ bitmap }) => bitmap.close());
  return { masksMs, masksFrameMs: longest };
}

function drawn(): Promise<void> {
  return new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
  });
}

/** A circle with a speed of about 1,900 pixels a second. */
function circled(view: View, seconds: number): View {
  return pan(view, 480 * Math.cos(seconds * 4) - 480, 480 * Math.sin(seconds * 4));
}

/** Frames a second, and the 99th percentile of the time between two of them. */
function frames(each: (seconds: number) => void): Promise<{ fps: number; p99: number }> {
  return new Promise((resolve) => {
    const times: number[] = [];
    const step = (now: number) => {
      times.push(now);
      const seconds = (now - times[0]!) / 1000;
      if (seconds >= SECONDS) {
        const between = times.slice(1).map((time, at) => time - times[at]!);
        resolve({ fps: between.length / seconds, p99: percentile(between, 0.99) });
        return;
      }
      each(seconds);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
}

function hits(among: readonly Shape[]): number {
  const random = numbers(3);
  const times = Array.from({ length: HITS }, () => {
    const [x, y] = toPicture(START, [random() * 1280, random() * 720]);
    const start = performance.now();
    hit(among, x, y, 4 / START.scale);
    return performance.now() - start;
  });
  return percentile(times, 0.95);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0;
}

/**
 * Pans, zooms and changes annotations at random. Gives the pixels of the drawing that was scrolled and patched that differ from
 * those of one that was drawn at once.
 */
async function compare(): Promise<number[]> {
  const random = numbers(5);
  const pictureOf = await picture();
  let shapesOf = (await shapes()).filter(({ id }) => id < 600);
  const canvas = document.querySelector('canvas')!;
  const renderer = new CanvasRenderer(canvas);
  renderer.setPicture(pictureOf);
  renderer.setShapes(shapesOf);
  let view = START;
  const differences: number[] = [];
  for (let step = 0; step < 60; step++) {
    view = pan(view, (random() - 0.5) * 300, (random() - 0.5) * 300);
    if (step % 20 === 19) {
      view = zoom(view, 0.5 + random(), MIDDLE);
    }
    const changed = Math.floor(random() * shapesOf.length);
    shapesOf = shapesOf.filter(({ id }) => id !== changed).concat({ ...shapesOf[changed]!, id: 1000 + step, state: 'accepted' });
    renderer.setView(view);
    renderer.setShapes(shapesOf);
    await drawn();
    if (step % 10 === 9) {
      await new Promise((resolve) => {
        setTimeout(resolve, 300);
      });
      differences.push(await difference(canvas, view, pictureOf, shapesOf));
    }
  }
  renderer.destroy();
  return differences;
}

async function difference(canvas: HTMLCanvasElement, view: View, of: Picture, shapesOf: readonly Shape[]): Promise<number> {
  const other = document.createElement('canvas');
  [other.width, other.height] = [canvas.width, canvas.height];
  const renderer = new CanvasRenderer(other);
  renderer.setView(view);
  renderer.setPicture(of);
  renderer.setShapes(shapesOf);
  await drawn();
  const [one, two] = [canvas, other].map((from) => from.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data);
  renderer.destroy();
  let pixels = 0;
  for (let at = 0; at < one!.length; at += 4) {
    const most = Math.max(...[0, 1, 2, 3].map((channel) => Math.abs(one![at + channel]! - two![at + channel]!)));
    pixels += most > SMOOTHING ? 1 : 0;
  }
  return pixels;
}

Object.assign(window, { measure, compare, upright });
