import type { NewItem } from '../api/types.ts';

type AssetType = NonNullable<NewItem['asset_type']>;

const LARGEST_BYTES = 2 * 1024 ** 3;
const LONGEST_KEY_BYTES = 900;
/** Bytes at the start of a file that say its format. */
export const HEAD_BYTES = 16;

/** What pictures begin with: `.` stands for any byte. */
const PICTURES = [/^\xff\xd8\xff/, /^\x89PNG\r\n/, /^RIFF....WEBP/s, /^GIF8[79]a/, /^BM/, /^II[*+]\0/, /^MM\0[*+]/] as const;
const POINT_CLOUDS = /\.(pcd|las|laz|ply|bin)$/i;
/** They begin as a TIFF does. */
const CAMERA_RAW = /\.(dng|nef|nrw|arw|srf|sr2|cr2|cr3|orf|rw2|raf|pef|srw|3fr|iiq)$/i;

export const FORMATS = 'JPEG, PNG, WebP, GIF, BMP, TIFF; PCD, LAS, LAZ, PLY and .bin point clouds; at most 2 GiB each';

/** What a file is, or why the API would refuse it. */
export type Kind = { readonly type: AssetType } | { readonly refusal: string };

/**
 * What an upload is, by its first bytes, as the API itself reads it. `name`: the key of the item. The API judges the whole
 * file: it may still refuse one that is broken.
 */
export function kindOf(name: string, bytes: number, head: Uint8Array): Kind {
  const keyBytes = new TextEncoder().encode(name).length;
  if (keyBytes > LONGEST_KEY_BYTES) {
    return { refusal: `Its name has ${keyBytes} bytes. An item's key has at most ${LONGEST_KEY_BYTES}.` };
  }
  if (bytes === 0) {
    return { refusal: 'The file is empty.' };
  }
  if (bytes > LARGEST_BYTES) {
    return { refusal: `The file has ${(bytes / 1024 ** 3).toFixed(1)} GiB. At most 2 are taken.` };
  }
  if (CAMERA_RAW.test(name)) {
    return { refusal: 'It is a camera raw file. Upload the developed picture.' };
  }
  if (POINT_CLOUDS.test(name)) {
    return { type: 'point_cloud' };
  }
  const text = String.fromCharCode(...head);
  return PICTURES.some((start) => start.test(text))
    ? { type: 'image' }
    : { refusal: 'By its first bytes it has none of the formats that are taken.' };
}
