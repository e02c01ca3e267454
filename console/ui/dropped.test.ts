import { expect, it } from 'vitest';
import { droppedFiles } from './dropped.ts';

const file = (name: string) => ({ name, isFile: true, file: (take: (file: File) => void) => take(new File([''], name)) });
const folder = (name: string, ...pages: object[][]) => ({
  name,
  isFile: false,
  createReader: () => ({ readEntries: (take: (entries: object[]) => void) => take(pages.shift() ?? []) }),
});
const dropped = (...entries: object[]) =>
  ({ items: entries.map((entry) => ({ webkitGetAsEntry: () => entry })), files: [] }) as unknown as DataTransfer;

it('finds the files of folders, page by page, by their paths', async () => {
  const inner = folder('night', [file('3.jpg')]);
  const found = await droppedFiles(
    dropped(file('1.jpg'), folder('street', [file('2.jpg'), inner], [file('4.jpg'), file('.DS_Store')])),
  );
  expect(found.map(({ name }) => name)).toEqual(['1.jpg', 'street/2.jpg', 'street/night/3.jpg', 'street/4.jpg']);
});

it('takes the plain list of a browser without entries', async () => {
  const files = [new File([''], 'a.jpg')];
  const found = await droppedFiles({ items: [], files } as unknown as DataTransfer);
  expect(found).toEqual([{ name: 'a.jpg', file: files[0] }]);
});
