import 'fake-indexeddb/auto';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import type { Key } from '../api/types.ts';
import { AppProvider } from '../ui/app.tsx';
import { ALL } from '../ui/filters.ts';
import { FilterForm, meaningOf } from './filter-form.tsx';

it('says in a sentence which drafts are meant', () => {
  expect(meaningOf(ALL)).toBe('All drafts.');
  expect(meaningOf({ ...ALL, range: [0.6, 1] })).toBe('Drafts of which every annotation has a confidence of at least 60 %.');
  expect(meaningOf({ ...ALL, label: 'car' })).toBe('Drafts with an annotation of this label.');
  expect(meaningOf({ ...ALL, label: 'car', range: [0.1, 0.29] })).toBe(
    'Drafts with an annotation of this label, if each one of this label has a confidence of at least 10 % and at most 29 %.',
  );
});

it('is off while a sweep runs, and says why', () => {
  const about = { organization: { uid: 'o' } } as Key;
  const filtering = { filters: ALL, settled: ALL, change: () => undefined };
  const formOf = (off: string | false) =>
    renderToStaticMarkup(
      <AppProvider apiKey="k" about={about}>
        <FilterForm project="p" filtering={filtering} hasOrder={false} off={off} />
      </AppProvider>,
    );
  expect(formOf('A sweep runs.')).toMatch(/<fieldset[^>]* disabled="" title="A sweep runs."/);
  expect(formOf(false)).not.toContain('disabled');
});
