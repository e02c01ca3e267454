import 'fake-indexeddb/auto';
import { expect, it } from 'vitest';
import type { Export } from '../api/types.ts';
import { chosenOf, sizeOf } from './exports.tsx';

const all = { statuses: ['accepted'], labels: [], min_confidence: null, job: null, split: null } as unknown as Export;

it('says what an export is about', () => {
  expect(chosenOf(all)).toBe('items that are accepted');
  const some: Partial<Export> = { statuses: ['draft', 'none'], labels: ['cat', 'dog'], min_confidence: 0.55, job: 'j' };
  expect(chosenOf({ ...all, ...some, split: { train: 0.7, val: 0.2, test: 0.1 } })).toBe(
    'items that are draft or without a result; labels cat, dog; confidence from 55 %; drafted by one job; split 70 / 20 / 10 %',
  );
});

it('says how large a file is', () => {
  expect([0, 1023, 1024, 1_500_000, 5 * 1024 ** 4].map(sizeOf)).toEqual([
    '0 bytes',
    '1023 bytes',
    '1.0 KiB',
    '1.4 MiB',
    '5.0 TiB',
  ]);
});
