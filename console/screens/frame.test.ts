import { expect, it } from 'vitest';
import { savedOf } from './frame.tsx';

it('says that all is saved only when it is known, and nothing is held by another page', () => {
  const saving = { running: 0, unsaved: [], held: [], waiting: 0, late: null, isRead: true, problem: '' };
  expect(savedOf(saving)).toBe('All saved');
  expect(savedOf({ ...saving, isRead: false })).toBe('');
  expect(savedOf({ ...saving, waiting: 1 })).toBe('1 not sent yet');
  expect(savedOf({ ...saving, waiting: 1, running: 2 })).toBe('Saving 2…');
});
