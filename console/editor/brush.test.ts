import { expect, it } from 'vitest';
import { numbers } from '../bench/scene.ts';
import { distanceToLine } from './geometry.ts';
import { withStroke } from './brush.ts';
import { countsOf, runsOf } from './rle.ts';
import type { Point } from './view.ts';

const SIZE = { width: 40, height: 30 };

function bits(counts: string | null): boolean[] {
  const runs = counts === null ? [SIZE.width * SIZE.height] : runsOf(counts);
  return runs.flatMap((length, at) => Array.from({ length }, () => at % 2 === 1));
}

/** The plain way: the distance of each pixel's center. */
function expected(before: boolean[], points: readonly Point[], radius: number, erase: boolean): boolean[] {
  return before.map((is, position) => {
    const [x, y] = [Math.floor(position / SIZE.height) + 0.5, (position % SIZE.height) + 0.5];
    const distance = points.length === 1 ? Math.hypot(x - points[0]![0], y - points[0]![1]) : distanceToLine(points, false, x, y);
    return distance <= radius ? !erase : is;
  });
}

it('paints and erases the pixels that the plain way does, stroke after stroke', () => {
  const random = numbers(11);
  let counts: string | null = null;
  for (let stroke = 0; stroke < 300; stroke++) {
    const points = Array.from({ length: 1 + Math.floor(random() * 4) }, (): Point => [random() * 50 - 5, random() * 40 - 5]);
    const [radius, erase] = [0.3 + random() * 6, random() < 0.4];
    const wanted = expected(bits(counts), points, radius, erase);
    counts = withStroke(counts, { points, radius }, erase, SIZE);
    expect(bits(counts)).toEqual(wanted);
  }
});

it('leaves nothing of a mask that is erased as a whole, and makes none by erasing', () => {
  const whole = countsOf([0, SIZE.width * SIZE.height]);
  const stroke = { points: [[20, 15] as Point], radius: 100 };
  expect(withStroke(whole, stroke, true, SIZE)).toBeNull();
  expect(withStroke(null, stroke, true, SIZE)).toBeNull();
  expect(withStroke(null, stroke, false, SIZE)).toBe(whole);
});

it('takes a few milliseconds on a picture of 100 megapixels', () => {
  const picture = { width: 10_000, height: 10_000 };
  const points = Array.from({ length: 100 }, (_, at): Point => [at * 30, 5000 + 40 * Math.sin(at)]);
  const start = performance.now();
  expect(withStroke(null, { points, radius: 30 }, false, picture)).not.toBeNull();
  expect(performance.now() - start).toBeLessThan(1000);
});
