import 'fake-indexeddb/auto';
import { expect, it } from 'vitest';
import type { Key } from '../api/types.ts';
import { presenceOf } from './claimed.ts';

it('keeps the pages of two keys of one name separate: each gives its own claims back', () => {
  const key = { name: 'Ann', created_at: '2026-12-01T00:00:00.000Z', organization: { uid: 'o' } } as Key;
  expect(presenceOf(key, 'p')).toBe(presenceOf({ ...key }, 'p'));
  const others = [
    presenceOf({ ...key, created_at: '2026-12-01T00:00:00.001Z' }, 'p'),
    presenceOf({ ...key, name: 'Ben' }, 'p'),
    presenceOf(key, 'q'),
  ];
  expect(others).not.toContain(presenceOf(key, 'p'));
});
