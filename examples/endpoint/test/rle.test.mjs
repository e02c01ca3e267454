/** The expected strings come from COCO's own tools (pycocotools). */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { encodeMask, runsOf } from '../rle.mjs';

/**
 * @param {number} height
 * @param {number} width
 * @param {(x: number, y: number) => boolean} inside
 */
function drawn(height, width, inside) {
    const pixels = Uint8Array.from({ length: height * width }, (_, at) => Number(inside(at % width, Math.floor(at / width))));
    return { pixels, counts: encodeMask(pixels, height, width).counts };
}

/** @param {string} text */
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

test('the runs go down the columns and begin with background', () => {
    assert.deepEqual(runsOf(Uint8Array.of(0, 1, 1, 0, 1, 0), 2, 3), [2, 3, 1]);
    assert.deepEqual(runsOf(Uint8Array.of(1, 0, 0, 0), 2, 2), [0, 1, 3]);
});

test('small masks are written as COCO writes them', () => {
    assert.equal(encodeMask(Uint8Array.of(0, 1, 1, 0, 1, 0), 2, 3).counts, '231');
    assert.equal(drawn(2, 2, (x, y) => x === 0 && y === 0).counts, '013');
    assert.equal(drawn(3, 4, () => false).counts, '<');
    assert.equal(drawn(3, 4, () => true).counts, '0<');
});

test('large masks are written as COCO writes them', () => {
    const rectangle = drawn(480, 640, (x, y) => x >= 300 && x < 450 && y >= 100 && y < 200).counts;
    assert.equal(rectangle.slice(0, 13), 'Tg\\4T3l;00000');
    assert.equal(sha256(rectangle), '9202d4cacfc8f3efdab77c5daf50428818266bd9483b15a058d7595139a1275c');

    const disc = drawn(400, 600, (x, y) => (x - 300) ** 2 + (y - 200) ** 2 < 150 ** 2).counts;
    assert.equal(sha256(disc), 'b43d72f486616d2a76e55e064ba2fb3f1b7c7f3e3054af9d0b3bf36cf1f6e0e7');

    const rings = drawn(60, 80, (x, y) => (x * x + 3 * y * y) % 97 < 31).counts;
    assert.equal(sha256(rings), '884d6bf87d9aae06fbe9d51428efe3632b839935e756bcdeaa31e8df99620ef1');
});

test('a mask gives its size as height and width', () => {
    assert.deepEqual(encodeMask(new Uint8Array(6), 2, 3), { format: 'coco_rle', size: [2, 3], counts: '6' });
});
