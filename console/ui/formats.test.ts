import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HEAD_BYTES, kindOf } from './formats.ts';

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const kind = (head: string, name = 'a', size = 100) => kindOf(name, size, bytes(head));

describe('a file that is to be uploaded', () => {
  it('is a picture by its first bytes, whatever its name', () => {
    const heads = [
      '\xff\xd8\xff\xe0',
      '\x89PNG\r\n\x1a\n',
      'RIFF\n\0\x01\x02WEBPVP8 ',
      'GIF89a',
      'BM6',
      'II*\0',
      'MM\0*',
      'II+\0',
    ];
    expect(heads.map((head) => kind(head, 'scan.dat'))).toEqual(heads.map(() => ({ type: 'image' })));
    const sample = readFileSync(new URL('../../examples/pictures/horse.jpg', import.meta.url));
    expect(kindOf('horse.jpg', sample.length, sample.subarray(0, HEAD_BYTES))).toEqual({ type: 'image' });
  });

  it('is a point cloud by its name', () => {
    expect(kind('# .PCD v0.7', 'drive/1.PCD')).toEqual({ type: 'point_cloud' });
    expect(kind('\0\0\0\0', 'kitti/000.bin')).toEqual({ type: 'point_cloud' });
  });

  it.each([
    [kind('%PDF-1.7', 'a.jpg'), /none of the formats/],
    [kind('\0\0\0\x18ftypheic', 'a.heic'), /none of the formats/],
    [kind('II*\0', 'a.NEF'), /camera raw/],
    [kind('', 'a.jpg', 0), /empty/],
    [kind('\xff\xd8\xff', 'a.jpg', 3 * 1024 ** 3), /3\.0 GiB/],
    [kind('\xff\xd8\xff', 'ä'.repeat(451)), /902 bytes/],
  ])('is refused with a reason: %s', (refused, reason) => {
    expect('refusal' in refused && refused.refusal).toMatch(reason);
  });
});
