import { expect, it } from 'vitest';
import type { Job } from '../api/types.ts';
import { remaining } from './job.tsx';

const job = (processed: number) =>
  ({ started_at: '2026-01-01T00:00:00.000Z', processed_items: processed, total_items: 1000 }) as Job;
const at = (seconds: number) => Date.parse('2026-01-01T00:00:00.000Z') + seconds * 1000;

it('says rate and remaining time by what was done', () => {
  expect(remaining(job(0), at(5))).toBe('no item is done yet');
  expect(remaining(job(500), at(50))).toBe('10.0 items a second, about 50 seconds left');
  expect(remaining(job(100), at(100))).toBe('1.0 items a second, about 15 minutes left');
});
