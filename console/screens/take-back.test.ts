import { expect, it } from 'vitest';
import type { Entry } from '../editor/journal.ts';
import { wayBack } from './take-back.ts';

it('goes back to an item in its own project, and in its queue if that is open', () => {
  const entry = { project: 'p', item: 'i' } as Entry;
  expect(wayBack(entry, 'p', '?queue=review&order=newest')).toBe('/projects/p/items/i?queue=review&order=newest');
  expect(wayBack(entry, 'q', '?queue=review&order=newest')).toBe('/projects/p/items/i?queue=all');
  expect(wayBack(entry, null, '?from=x')).toBe('/projects/p/items/i?queue=all');
});
