import { expect, it } from 'vitest';
import type { Prediction } from '../api/types.ts';
import { keeps } from './preview.tsx';

const of = (label: string, confidence: number) => ({ type: 'classification', label, confidence }) as Prediction;

it('keeps what a job would: equal to the threshold, by label, of the wanted labels', () => {
  const choice = { threshold: 0.5, thresholds: { car: '70', cat: '' }, labels: [] };
  expect(keeps(choice, of('person', 0.5))).toBe(true);
  expect(keeps(choice, of('person', 0.49))).toBe(false);
  expect(keeps(choice, of('car', 0.69))).toBe(false);
  expect(keeps(choice, of('car', 0.7))).toBe(true);
  expect(keeps(choice, of('cat', 0.5))).toBe(true);
  expect(keeps({ ...choice, labels: ['car'] }, of('person', 0.9))).toBe(false);
});
