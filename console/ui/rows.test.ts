import { expect, it } from 'vitest';
import { windowOf } from './rows.tsx';

it('has rows for what is in view and around it, however long the list is', () => {
  expect(windowOf(0, 0, 36)).toEqual({ first: 0, count: 0 });
  expect(windowOf(5, 0, 36)).toEqual({ first: 0, count: 5 });
  expect(windowOf(1_000_000, 0, 36)).toEqual({ first: 0, count: 30 });
  expect(windowOf(1_000_000, 36 * 500_000, 36)).toEqual({ first: 499_990, count: 30 });
  expect(windowOf(100, 36 * 100, 36)).toEqual({ first: 90, count: 10 });
});
