import type { Prediction } from '../api/types.ts';
import { rasterOf } from '../editor/masks.ts';
import type { Picture, Shape } from '../editor/renderer.ts';
import { countsOf } from '../editor/rle.ts';

/** What the bars of the editor are measured with: 5,000 boxes, 200 polygons and 20 masks on a picture of 12 megapixels. */
export const WIDTH = 4000;
export const HEIGHT = 3000;
export const BOXES = 5000;
export const POLYGONS = 200;
export const MASKS = 20;
const COLORS = ['#e6194b', '#3cb44b', '#ffe119', '#4363d8', '#f58231', '#911eb4', '#46f0f0', '#f032e6'];

/** The same numbers from 0 to 1 in each run. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function canvasOf(width: number, height: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d')!;
  const random = numbers(1);
  for (let at = 0; at < 4000; at++) {
    context.fillStyle = `hsl(${Math.floor(random() * 360)} 40% ${Math.floor(20 + random() * 60)}%)`;
    context.fillRect(random() * width, random() * height, random() * 300, random() * 300);
  }
  return canvas;
}

export async function picture(): Promise<Picture> {
  const whole = canvasOf(WIDTH, HEIGHT);
  const levels: ImageBitmap[] = [];
  for (let factor = 1; factor <= 8; factor *= 2) {
    levels.push(
      await createImageBitmap(whole, { resizeWidth: WIDTH / factor, resizeHeight: HEIGHT / factor, resizeQuality: 'medium' }),
    );
  }
  return { width: WIDTH, height: HEIGHT, levels };
}

export async function shapes(): Promise<Shape[]> {
  const random = numbers(2);
  const all: Shape[] = [];
  const add = (prediction: Prediction, mask: Shape['mask'] = null) =>
    all.push({ id: all.length, prediction, color: COLORS[all.length % COLORS.length]!, state: 'open', mask });
  for (let at = 0; at < MASKS; at++) {
    const counts = ellipse(300 + random() * 3400, 300 + random() * 2400, 100 + random() * 200);
    const raster = rasterOf(counts, [HEIGHT, WIDTH], [255, 0, 128]);
    const bitmap = await createImageBitmap(new ImageData(raster.pixels, raster.width, raster.rows));
    const { ends, height, bounds } = raster;
    const mask = { format: 'coco_rle' as const, size: [HEIGHT, WIDTH], counts };
    add({ type: 'segmentation_mask', label: 'mask', confidence: 0.5, mask }, { ends, height, bounds, bitmap });
  }
  for (let at = 0; at < POLYGONS; at++) {
    const [x, y] = [random() * 3600 + 200, random() * 2600 + 200];
    const points = Array.from({ length: 24 }, (_, corner) => {
      const [angle, radius] = [(corner / 24) * 2 * Math.PI, 40 + random() * 100];
      return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
    });
    add({ type: 'polygon', label: 'polygon', confidence: 0.5, points });
  }
  for (let at = 0; at < BOXES; at++) {
    const [width, height] = [10 + random() * 90, 10 + random() * 90];
    const coordinates = { x: random() * (WIDTH - width), y: random() * (HEIGHT - height), width, height };
    add({ type: 'bounding_box', label: 'box', confidence: random(), coordinates });
  }
  return all;
}

/** Run lengths of a circle. */
function ellipse(x: number, y: number, radius: number): string {
  const runs: number[] = [];
  let last = 0;
  for (let column = Math.ceil(x - radius); column < x + radius; column++) {
    const half = Math.floor(Math.sqrt(Math.max(radius ** 2 - (column - x) ** 2, 0)));
    const start = column * HEIGHT + Math.floor(y) - half;
    if (half > 0) {
      runs.push(start - last, 2 * half);
      last = start + 2 * half;
    }
  }
  runs.push(WIDTH * HEIGHT - last);
  return countsOf(runs);
}
