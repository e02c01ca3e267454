import { expect, it } from 'vitest';
import { droppedFiles, unreadOf } from './dropped.ts';

const file = (name: string) => ({ name, isFile: true, file: (take: (file: File) => void) => take(new File([''], name)) });
const folder = (name: string, ...pages: object[][]) => ({
  name,
  isFile: false,
  createReader: () => ({ readEntries: (take: (entries: object[]) => void) => take(pages.shift() ?? []) }),
});
const fail = (_: unknown, refuse: (error: Error) => void) => refuse(new Error('It is gone.'));
const dropped = (...entries: object[]) =>
  ({ items: entries.map((entry) => ({ webkitGetAsEntry: () => entry })), files: [] }) as unknown as DataTransfer;

it('finds the files of folders, page by page, by their paths', async () => {
  const inner = folder('night', [file('3.jpg')]);
  const found = await droppedFiles(
    dropped(file('1.jpg'), folder('street', [file('2.jpg'), inner], [file('4.jpg'), file('.DS_Store')])),
  );
  expect(found.unread).toEqual([]);
  expect(found.files.map(({ name }) => name)).toEqual(['1.jpg', 'street/2.jpg', 'street/night/3.jpg', 'street/4.jpg']);
});

it('takes the plain list of a browser without entries', async () => {
  const files = [new File([''], 'a.jpg')];
  const found = await droppedFiles({ items: [], files } as unknown as DataTransfer);
  expect(found).toEqual({ files: [{ name: 'a.jpg', file: files[0] }], unread: [] });
});

it('names what the browser does not give, and goes on with the others', async () => {
  const bad = { name: 'bad.jpg', isFile: true, file: fail };
  const closed = { name: 'closed', isFile: false, createReader: () => ({ readEntries: fail }) };
  const found = await droppedFiles(dropped(folder('street', [file('1.jpg'), bad, closed, file('2.jpg')]), file('3.jpg')));
  expect(found.files.map(({ name }) => name)).toEqual(['street/1.jpg', 'street/2.jpg', '3.jpg']);
  expect(unreadOf(found.unread)).toBe(
    'The browser could not read street/bad.jpg (It is gone.), street/closed (It is gone.). Drop them once more.',
  );
  const many = Array.from({ length: 7 }, (_, at) => ({ name: `${at}`, problem: 'no' }));
  expect(unreadOf(many)).toMatch(/4 \(no\), and 2 more\./);
  expect(unreadOf([])).toBe('');
});
