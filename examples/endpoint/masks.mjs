/**
 * Masks without a segmentation model: GrabCut (Rother, Kolmogorov and Blake, 2004) inside the detector's boxes.
 *
 * GrabCut learns the colours inside and outside the box and cuts where they part. It follows an outline well where
 * object and background differ in colour, and badly where they do not.
 */

import sharp from 'sharp';

import { encodeMask } from './rle.mjs';

/** @typedef {import('./types.mjs').Box} Box */
/** @typedef {import('./picture.mjs').Picture} Picture */

/** The longest side that GrabCut works on: it needs a second for 256 x 256 pixels, and more for more. */
const SIDE = 256;
const ITERATIONS = 3;
/** Part of the box's size that is added on each side, so that GrabCut sees background. */
const MARGIN = 0.15;

/** OpenCV is 8 MB of JavaScript with WebAssembly in it: it is loaded when the first mask is asked for. */
async function openCv() {
    const { default: cv } = await import('@techstark/opencv-js');
    if (!cv.Mat) await new Promise((resolve) => (cv.onRuntimeInitialized = () => resolve(undefined)));
    // Wrapped, because the module has a `then` and would be awaited for ever.
    return { cv };
}

/** @type {ReturnType<typeof openCv> | undefined} */
let loading;

/**
 * @param {Picture} picture
 * @param {Box} box
 * @returns {Promise<import('./types.mjs').Mask | undefined>} nothing if no foreground was found
 */
export async function maskOf(picture, box) {
    const region = around(box, picture);
    const scale = Math.min(1, SIDE / Math.max(region.width, region.height));
    const size = { width: Math.ceil(region.width * scale), height: Math.ceil(region.height * scale) };
    const inside = within(box, region, scale, size);
    if (inside.width < 1 || inside.height < 1) return undefined;

    loading ??= openCv();
    const { cv } = await loading;
    const cutout = cut(cv, await pixelsOf(picture, region, size), size, inside);
    if (!cutout.includes(1)) return undefined;
    return encodeMask(placed(cutout, size, region, picture), picture.height, picture.width);
}

/**
 * The box with some background around it, in whole pixels.
 *
 * @param {Box} box
 * @param {Picture} picture
 * @returns {Box}
 */
function around(box, picture) {
    const x = Math.max(0, Math.floor(box.x - MARGIN * box.width));
    const y = Math.max(0, Math.floor(box.y - MARGIN * box.height));
    const right = Math.min(picture.width, Math.ceil(box.x + (1 + MARGIN) * box.width));
    const bottom = Math.min(picture.height, Math.ceil(box.y + (1 + MARGIN) * box.height));
    return { x, y, width: right - x, height: bottom - y };
}

/**
 * The box in the scaled region, at least one pixel away from the region's edge: without background there is no cut.
 *
 * @param {Box} box
 * @param {Box} region
 * @param {number} scale
 * @param {{ width: number, height: number }} size
 * @returns {Box}
 */
function within(box, region, scale, size) {
    const x = Math.max(1, Math.round((box.x - region.x) * scale));
    const y = Math.max(1, Math.round((box.y - region.y) * scale));
    const right = Math.min(size.width - 1, Math.round((box.x + box.width - region.x) * scale));
    const bottom = Math.min(size.height - 1, Math.round((box.y + box.height - region.y) * scale));
    return { x, y, width: right - x, height: bottom - y };
}

/**
 * @param {Picture} picture
 * @param {Box} region
 * @param {{ width: number, height: number }} size
 */
function pixelsOf({ pixels, width, height }, region, size) {
    return sharp(pixels, { raw: { width, height, channels: 3 } })
        .extract({ left: region.x, top: region.y, width: region.width, height: region.height })
        .resize(size.width, size.height, { fit: 'fill' })
        .raw()
        .toBuffer();
}

/**
 * @param {any} cv
 * @param {Uint8Array} pixels
 * @param {{ width: number, height: number }} size
 * @param {Box} inside
 * @returns {Uint8Array} 1 for foreground, row by row
 */
function cut(cv, pixels, size, inside) {
    const region = cv.matFromArray(size.height, size.width, cv.CV_8UC3, pixels);
    const [mask, background, foreground] = [new cv.Mat(), new cv.Mat(), new cv.Mat()];
    try {
        const { x, y, width, height } = inside;
        const start = new cv.Rect(x, y, width, height);
        cv.grabCut(region, mask, start, background, foreground, ITERATIONS, cv.GC_INIT_WITH_RECT);
        // Of GrabCut's four classes the odd ones are foreground and probable foreground.
        return Uint8Array.from(mask.data, (kind) => kind & 1);
    } finally {
        // OpenCV's memory knows no garbage collection.
        for (const mat of [region, mask, background, foreground]) mat.delete();
    }
}

/**
 * The scaled cutout at its position in the whole picture.
 *
 * @param {Uint8Array} cutout
 * @param {{ width: number, height: number }} size
 * @param {Box} region
 * @param {Picture} picture
 */
function placed(cutout, size, region, picture) {
    const whole = new Uint8Array(picture.width * picture.height);
    for (let row = 0; row < region.height; row += 1) {
        const from = Math.floor((row * size.height) / region.height) * size.width;
        const to = (region.y + row) * picture.width + region.x;
        for (let column = 0; column < region.width; column += 1) {
            whole[to + column] = cutout[from + Math.floor((column * size.width) / region.width)];
        }
    }
    return whole;
}
