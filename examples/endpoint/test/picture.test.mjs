/** Pictures as people see them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import sharp from 'sharp';

import { decode } from '../picture.mjs';

test('a picture is upright as its EXIF orientation says', async () => {
    const stored = sharp({ create: { width: 40, height: 30, channels: 3, background: '#fff' } });
    const photo = await stored.withMetadata({ orientation: 6 }).jpeg().toBuffer();

    const { width, height } = await decode(new Uint8Array(photo));

    assert.deepEqual([width, height], [30, 40]);
});
