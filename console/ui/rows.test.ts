import { describe, expect, it } from 'vitest';
import { windowOf } from './rows.tsx';

/** Pixels of the list in view. */
const HEIGHT = 360;

const rowAt = (top: number) => windowOf(1_000_000, top, 44).first;

describe('the rows on the page', () => {
  it('are those in view and around it, however long the list is', () => {
    expect(windowOf(0, 0, 36)).toEqual({ first: 0, count: 0, above: 0, all: 0 });
    expect(windowOf(5, 0, 36)).toEqual({ first: 0, count: 5, above: 0, all: 180 });
    expect(windowOf(100_000, 0, 36)).toEqual({ first: 0, count: 30, above: 0, all: 3_600_000 });
    expect(windowOf(100_000, 36 * 50_000, 36)).toEqual({
      first: 49_990,
      count: 30,
      above: 36 * 49_990,
      all: 3_600_000,
    });
    expect(windowOf(100, 36 * 100, 36)).toMatchObject({ first: 90, count: 10, all: 3600 });
  });

  it('of a million are in a list that every browser shows, from the first to the last', () => {
    const [length, height] = [1_000_000, 44];
    const { all } = windowOf(length, 0, height);
    expect(all).toBeLessThan(17_000_000);
    const end = all - HEIGHT;
    for (const top of [0, 1, 10, 150, 151, 5000, all / 2, end - 10, end]) {
      const { first, count, above } = windowOf(length, top, height);
      // The view is covered by rows.
      expect(above).toBeLessThanOrEqual(top);
      expect(above + count * height + 0.001).toBeGreaterThanOrEqual(top + HEIGHT);
      expect(first + count).toBeLessThanOrEqual(length);
    }
    expect(windowOf(length, 0, height).first).toBe(0);
    const last = windowOf(length, end, height);
    expect(last.first + last.count).toBe(length);
    expect(last.above + last.count * height).toBeCloseTo(all, 3);
  });

  it('are reached by a wheel, none left out', () => {
    const aWheel = 100;
    expect(rowAt(1_000_000 + aWheel) - rowAt(1_000_000)).toBeLessThanOrEqual(HEIGHT / 44);
  });
});
