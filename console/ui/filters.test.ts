import { describe, expect, it } from 'vitest';
import { ALL, chosenOf, filtersOf, searchOf, withFilters, type Filters } from './filters.ts';

const SOME: Filters = { order: 'least_confident', label: '<img src=x> & co', job: 'j', range: [0.29, 0.57] };

describe('filters', () => {
  it('are read from an address as they were written into it', () => {
    for (const filters of [ALL, SOME, { ...SOME, range: [0, 0.07] } as const]) {
      expect(filtersOf(new URLSearchParams(searchOf(filters).toString()))).toEqual(filters);
    }
    expect(searchOf(ALL).toString()).toBe('');
  });

  it('leave the rest of an address alone', () => {
    const search = withFilters(new URLSearchParams('min=10&sweep=s'), { ...ALL, label: 'car' });
    expect(search.toString()).toBe('label=car&sweep=s');
  });

  it('narrow nothing where the address makes no sense', () => {
    for (const text of ['order=up', 'min=-1', 'max=101', 'min=half', 'min=80&max=20', 'min=0.5']) {
      expect(filtersOf(new URLSearchParams(text))).toEqual(ALL);
    }
  });

  it('send what narrows, and no end of the range', () => {
    expect(chosenOf(ALL)).toEqual({});
    expect(chosenOf(SOME)).toEqual({ label: SOME.label, job: 'j', min_confidence: 0.29, max_confidence: 0.57 });
  });
});
