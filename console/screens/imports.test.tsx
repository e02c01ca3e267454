import 'fake-indexeddb/auto';
import { expect, it } from 'vitest';
import { countOf, whereOf } from './imports.tsx';
import { flawOf } from './new-import.tsx';

it('says where in the file a reason is', () => {
  expect(whereOf({ line: 1200, path: null })).toBe(`Line ${(1200).toLocaleString()}`);
  expect(whereOf({ line: null, path: 'images[3]' })).toBe('images[3]');
  expect(whereOf({ line: null, path: null })).toBe('The file');
});

it('says how many reasons there are, and how many are shown', () => {
  expect([countOf(1, 1), countOf(3, 3), countOf(100, 250)]).toEqual(['1 reason', '3 reasons', 'The first 100 of 250 reasons']);
});

it('imports a file that has bytes and a format', () => {
  const file = new File(['{}'], 'a.json');
  expect(flawOf(null)).toBe('Choose a file first.');
  expect(flawOf({ file: new File([], 'a.json'), format: 'coco', isGuess: true })).toBe('The file is empty.');
  expect(flawOf({ file, format: null, isGuess: true })).toBe('Choose the format of the file.');
  expect(flawOf({ file, format: 'coco', isGuess: true })).toBe(false);
});
