import { expect, it } from 'vitest';
import { ALL } from '../ui/filters.ts';
import { meaningOf } from './filter-form.tsx';

it('says in a sentence which drafts are meant', () => {
  expect(meaningOf(ALL)).toBe('All drafts.');
  expect(meaningOf({ ...ALL, range: [0.6, 1] })).toBe('Drafts of which every annotation has a confidence of at least 60 %.');
  expect(meaningOf({ ...ALL, label: 'car' })).toBe('Drafts with an annotation of this label.');
  expect(meaningOf({ ...ALL, label: 'car', range: [0.1, 0.29] })).toBe(
    'Drafts with an annotation of this label, if each one of this label has a confidence of at least 10 % and at most 29 %.',
  );
});
