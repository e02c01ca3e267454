import { pan, toPicture, zoom, type View } from '../editor/view.ts';
import type { Candidate } from './candidate.ts';
import { openlayers } from './openlayers.ts';
import { own } from './own.ts';
import { HEIGHT, numbers, picture, shapes, WIDTH } from './scene.ts';

const CANDIDATES = { own, openlayers };
const SECONDS = 5;
const HITS = 300;
/** A view of a third of the picture's width: about a tenth of the annotations. */
const START: View = { scale: 0.8, left: -800, top: -600 };
/** The whole picture. */
const WHOLE: View = { scale: 0.24, left: 160, top: 0 };

export interface Figures {
  readonly firstPaintMs: number;
  readonly panFps: number;
  readonly panWorstMs: number;
  readonly panWholeFps: number;
  readonly zoomFps: number;
  readonly zoomWorstMs: number;
  readonly hitP95Ms: number;
  readonly heapMb: number;
}

async function measure(name: keyof typeof CANDIDATES): Promise<Figures> {
  const host = document.querySelector<HTMLElement>('#host')!;
  const [pictureOf, shapesOf] = [await picture(), await shapes()];
  const start = performance.now();
  const candidate = CANDIDATES[name](host, pictureOf, shapesOf);
  candidate.setView(WHOLE);
  await candidate.drawn();
  const firstPaintMs = performance.now() - start;
  const panned = await frames((seconds) => candidate.setView(circled(START, seconds)));
  const whole = await frames((seconds) => candidate.setView(circled(WHOLE, seconds)));
  const zoomed = await frames((seconds) => candidate.setView(zoom(WHOLE, 2 ** (1.5 - 1.5 * Math.cos(seconds * 2)), [640, 360])));
  candidate.setView(START);
  await candidate.drawn();
  const hitP95Ms = hits(candidate);
  const { memory } = performance as unknown as { memory: { usedJSHeapSize: number } };
  return {
    firstPaintMs,
    panFps: panned.fps,
    panWorstMs: panned.worst,
    panWholeFps: whole.fps,
    zoomFps: zoomed.fps,
    zoomWorstMs: zoomed.worst,
    hitP95Ms,
    heapMb: memory.usedJSHeapSize / 2 ** 20,
  };
}

/** A circle with a speed of about 1,900 pixels a second, as a hand drags. */
function circled(view: View, seconds: number): View {
  return pan(view, 480 * Math.cos(seconds * 4) - 480, 480 * Math.sin(seconds * 4));
}

/** Frames a second, and the 99th percentile of the time between two of them. */
function frames(each: (seconds: number) => void): Promise<{ fps: number; worst: number }> {
  return new Promise((resolve) => {
    const times: number[] = [];
    const step = (now: number) => {
      times.push(now);
      const seconds = (now - times[0]!) / 1000;
      if (seconds >= SECONDS) {
        const between = times.slice(1).map((time, at) => time - times[at]!);
        resolve({ fps: between.length / seconds, worst: percentile(between, 0.99) });
        return;
      }
      each(seconds);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
}

function hits(candidate: Candidate): number {
  const random = numbers(3);
  const times = Array.from({ length: HITS }, () => {
    const [x, y] = toPicture(START, [random() * 1280, random() * 720]);
    const start = performance.now();
    candidate.hit(Math.min(Math.max(x, 0), WIDTH), Math.min(Math.max(y, 0), HEIGHT), START);
    return performance.now() - start;
  });
  return percentile(times, 0.95);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0;
}

Object.assign(window, { measure });
