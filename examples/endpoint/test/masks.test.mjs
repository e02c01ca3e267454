import assert from 'node:assert/strict';
import { test } from 'node:test';

import sharp from 'sharp';

import { maskOf } from '../masks.mjs';
import { decode } from '../picture.mjs';

const [WIDTH, HEIGHT] = [600, 400];
/** @param {number} x @param {number} y */
const inDisc = (x, y) => (x - 300) ** 2 + (y - 200) ** 2 < 120 ** 2;

/** A red disc on a grey-blue ground, as a file. */
async function disc() {
    const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
    for (let at = 0; at < WIDTH * HEIGHT; at += 1) {
        const noise = (at * 7919) % 17;
        const colour = inDisc(at % WIDTH, Math.floor(at / WIDTH)) ? [200, 40, 30] : [90, 110, 140];
        pixels.set(colour.map((value) => value + noise), at * 3);
    }
    return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).png().toBuffer();
}

/** @param {string} counts */
function areaOf(counts) {
    let [area, at, index] = [0, 0, 0];
    /** @type {number[]} */
    const runs = [];
    while (at < counts.length) {
        let [run, shift, group] = [0, 0, 0];
        do {
            group = counts.charCodeAt(at++) - 48;
            run |= (group & 0x1f) << shift;
            shift += 5;
        } while (group & 0x20);
        if (group & 0x10) run |= -1 << shift;
        if (index > 2) run += runs[index - 2];
        runs.push(run);
        if (index % 2 === 1) area += run;
        index += 1;
    }
    assert.equal(runs.reduce((sum, run) => sum + run), WIDTH * HEIGHT);
    return area;
}

test('a disc of its own colour is cut out along its edge', async () => {
    const mask = await maskOf(await decode(await disc()), { x: 175, y: 75, width: 250, height: 250 });
    assert.deepEqual(mask?.size, [HEIGHT, WIDTH]);
    const area = areaOf(mask?.counts ?? '');
    const expected = Math.PI * 120 ** 2;
    assert.ok(Math.abs(area - expected) / expected < 0.08, `${area} pixels of ${Math.round(expected)}`);
});

test('a box of a few pixels has no mask', async () => {
    const picture = await decode(await disc());
    assert.equal(await maskOf(picture, { x: 0, y: 0, width: 0.4, height: 0.4 }), undefined);
});

test('grey pictures and transparent ones are decoded to three colours', async () => {
    const [width, height] = [4, 3];
    const grey = await sharp({ create: { width, height, channels: 3, background: '#777' } }).greyscale().png().toBuffer();
    const clear = await sharp({ create: { width, height, channels: 4, background: '#0000' } }).png().toBuffer();
    assert.equal((await decode(grey)).pixels.length, width * height * 3);
    assert.deepEqual([...(await decode(clear)).pixels.subarray(0, 3)], [255, 255, 255]);
});
