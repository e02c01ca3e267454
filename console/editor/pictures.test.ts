import { expect, it } from 'vitest';
import { Pictures } from './pictures.ts';
import type { Picture } from './renderer.ts';

const PICTURE: Picture = { width: 1, height: 1, levels: [] };

it('loads each picture once, whatever its address, and forgets the oldest of five', async () => {
  const loaded: string[] = [];
  const pictures = new Pictures(async (url) => {
    loaded.push(url);
    return PICTURE;
  });
  await pictures.get('a', 'a?1');
  await pictures.get('a', 'a?2');
  for (const name of ['b', 'c', 'd', 'e']) {
    await pictures.get(name, name);
  }
  await pictures.get('b', 'b');
  await pictures.get('a', 'a?3');
  expect(loaded).toEqual(['a?1', 'b', 'c', 'd', 'e', 'a?3']);
});

it('tries again what failed', async () => {
  let tries = 0;
  const pictures = new Pictures(async () => {
    tries += 1;
    if (tries === 1) {
      throw new Error('403');
    }
    return PICTURE;
  });
  await expect(pictures.get('a', 'a')).rejects.toThrow('403');
  await expect(pictures.get('a', 'a')).resolves.toBe(PICTURE);
});
