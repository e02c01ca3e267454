import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { maskHas, rasterOf, type Raster } from './masks.ts';
import { countsOf, endsOf, hasPixel, runsOf } from './rle.ts';

/** Masks by pycocotools. */
const CORPUS = readFileSync(new URL('../../tests/conformance/masks.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { size: [number, number]; runs: number[]; counts: string });

it('reads and writes what an independent encoder writes', () => {
  expect(CORPUS.length).toBeGreaterThan(20);
  for (const { runs, counts } of CORPUS) {
    expect(runsOf(counts)).toEqual(runs);
    expect(countsOf(runs)).toBe(counts);
  }
});

it('paints exactly the foreground, and finds each pixel of it', () => {
  for (const { size, runs, counts } of CORPUS.filter((mask) => mask.size[0] * mask.size[1] < 30_000)) {
    const [height, width] = size;
    const pixels = runs.flatMap((length, at) => Array.from({ length }, () => at % 2 === 1));
    const raster = rasterOf(counts, size, [255, 0, 0]);
    const mask = { ...raster, bitmap: undefined as never };
    const wrong = pixels.filter((inside, position) => {
      const [x, y] = [Math.floor(position / height), position % height];
      return isPainted(raster, x, y) !== inside || maskHas(mask, x, y) !== inside;
    });
    expect({ width, wrong }).toEqual({ width, wrong: [] });
  }
});

function isPainted({ bounds, pixels, width, rows }: Raster, x: number, y: number): boolean {
  const [left, top] = [x - bounds.x, y - bounds.y];
  return left >= 0 && top >= 0 && left < width && top < rows && pixels[(top * width + left) * 4 + 3] !== 0;
}

it('holds nothing where there is no foreground', () => {
  const raster = rasterOf(countsOf([12]), [3, 4], [0, 0, 0]);
  expect(raster.bounds).toEqual({ x: 0, y: 0, width: 0, height: 0 });
  expect(hasPixel(endsOf([12]), 5)).toBe(false);
});

it('draws a mask of 100 megapixels at a part of its size', () => {
  const [height, width] = [10_000, 10_000];
  const raster = rasterOf(countsOf([0, height * width]), [height, width], [1, 2, 3]);
  expect(raster.width * raster.rows).toBeLessThanOrEqual(4_000_000);
  expect(raster.bounds).toEqual({ x: 0, y: 0, width, height });
});

it('refuses runs that are no mask of this size', () => {
  expect(() => rasterOf(countsOf([5]), [2, 2], [0, 0, 0])).toThrow('The mask');
  expect(() => runsOf('\u0001')).toThrow('malformed');
});
