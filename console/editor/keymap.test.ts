import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { actionOf, isReleased, KEYMAP, keyOf, remapped, withKey } from './keymap.ts';

const press = (key: string, modifiers: Partial<Record<'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey', boolean>> = {}) => ({
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  key,
  ...modifiers,
});

it('binds each key once', () => {
  const keys = KEYMAP.flatMap((binding) => binding.keys);
  expect(new Set(keys).size).toBe(keys.length);
});

it('reads letters by what they write, with and without shift', () => {
  expect(actionOf(KEYMAP, press('a'))).toBe('accept');
  expect(actionOf(KEYMAP, press('h'))).toBe('peek');
  expect(actionOf(KEYMAP, press('H', { shiftKey: true }))).toBe('hide');
  expect(actionOf(KEYMAP, press('?', { shiftKey: true }))).toBe('help');
  expect(actionOf(KEYMAP, press('+', { shiftKey: true }))).toBe('zoomIn');
  expect(actionOf(KEYMAP, press('z', { metaKey: true }))).toBe('undo');
  expect(actionOf(KEYMAP, press('Z', { ctrlKey: true, shiftKey: true }))).toBe('redo');
  expect(keyOf(press(' '))).toBe('Space');
});

it('leaves the keys of the browser alone', () => {
  expect(actionOf(KEYMAP, press('r', { ctrlKey: true }))).toBeNull();
  expect(actionOf(KEYMAP, press('Tab'))).toBeNull();
});

it('gives a key that a person chose to that action alone', () => {
  const keymap = remapped({ accept: ['x'] });
  expect(actionOf(keymap, press('x'))).toBe('accept');
  expect(actionOf(keymap, press('a'))).toBeNull();
  expect(actionOf(keymap, press('Delete'))).toBe('delete');
});

it('takes a key from the action that a person gave it before', () => {
  const keymap = remapped(withKey(withKey({ delete: ['q'] }, 'accept', 'm'), 'brush', 'm'));
  expect(actionOf(keymap, press('m'))).toBe('brush');
  expect(actionOf(keymap, press('a'))).toBe('accept');
  expect(actionOf(keymap, press('q'))).toBe('delete');
});

it('knows the key that came up, whether shift is still down', () => {
  expect(isReleased(KEYMAP, 'peek', press('H', { shiftKey: true }))).toBe(true);
  expect(isReleased(KEYMAP, 'peek', press('h'))).toBe(true);
  expect(isReleased(KEYMAP, 'peek', press('j'))).toBe(false);
});

it('is what the guide says', () => {
  const guide = readFileSync(new URL('../../docs/guide/mission-control.md', import.meta.url), 'utf8');
  const rows = KEYMAP.map(({ keys, text }) => `| ${keys.map((key) => `\`${key}\``).join(', ')} | ${text} |`);
  expect(guide.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows);
});
