import { expect, it } from 'vitest';
import { described, lack } from './rights.ts';

it('names the scope that a key lacks', () => {
  const reviewer = { is_unrestricted: false, scopes: ['projects.read', 'results.write'] as const };
  const key = { ...reviewer, scopes: [...reviewer.scopes] };
  expect(lack(key, 'review')).toBe(false);
  expect(lack(key, 'change')).toBe('Your key needs the scope projects.write.');
  expect(lack({ ...key, scopes: ['projects.write'] }, 'review')).toBe(false);
  expect(lack({ ...key, scopes: [] }, 'review')).toBe('Your key needs the scope results.write.');
  expect(lack({ is_unrestricted: true, scopes: [] }, 'changeProviders')).toBe(false);
});

it('says whose key it is, and until when', () => {
  expect(described({ name: 'ann', expires_at: null })).toBe('ann');
  expect(described({ name: 'ann', expires_at: '2027-01-01T12:00:00.000Z' })).toMatch(/^ann, until .*2027/);
});
