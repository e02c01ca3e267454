/**
 * Masks without a segmentation model: GrabCut (Rother, Kolmogorov and Blake, 2004) inside the detector's boxes.
 *
 * GrabCut learns the colours inside and outside the box and cuts where they part. It follows an outline well where
 * object and background differ in colour, and badly where they do not.
 */

import { encodeMask } from './rle.mjs';

/** @typedef {import('./types.mjs').Box} Box */
/** @typedef {import('./picture.mjs').Picture} Picture */

const SIDE = 256;
const ITERATIONS = 3;
/** Part of the box's size that is looked at on each side, so that GrabCut sees background. */
const MARGIN = 0.15;

/** OpenCV is 8 MB of WebAssembly in JavaScript: it is loaded when the first mask is asked for. */
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
    loading ??= openCv();
    const { cv } = await loading;
    const foreground = cut(cv, picture, box);
    return foreground?.includes(1) ? encodeMask(foreground, picture.height, picture.width) : undefined;
}

/**
 * The foreground of the whole picture, row by row.
 *
 * @param {any} cv
 * @param {Picture} picture
 * @param {Box} box
 */
function cut(cv, picture, box) {
    const region = around(box, picture);
    const scale = Math.min(1, SIDE / Math.max(region.width, region.height));
    const size = new cv.Size(Math.max(1, Math.round(region.width * scale)), Math.max(1, Math.round(region.height * scale)));
    const inside = new cv.Rect(...within(box, region, scale, size));
    if (inside.width < 1 || inside.height < 1) return undefined;
    const whole = cv.matFromArray(picture.height, picture.width, cv.CV_8UC3, picture.pixels);
    const view = whole.roi(new cv.Rect(region.x, region.y, region.width, region.height));
    const [small, mask, background, foreground] = [new cv.Mat(), new cv.Mat(), new cv.Mat(), new cv.Mat()];
    const full = new cv.Mat();
    try {
        cv.resize(view, small, size, 0, 0, cv.INTER_AREA);
        cv.grabCut(small, mask, inside, background, foreground, ITERATIONS, cv.GC_INIT_WITH_RECT);
        // Of GrabCut's four classes the odd ones are foreground and probable foreground.
        mask.data.forEach((/** @type {number} */ kind, /** @type {number} */ at) => (mask.data[at] = kind & 1));
        cv.resize(mask, full, new cv.Size(region.width, region.height), 0, 0, cv.INTER_NEAREST);
        return place(full.data, region, picture);
    } finally {
        for (const mat of [whole, view, small, mask, background, foreground, full]) mat.delete();
    }
}

/**
 * The box with some background around it, in whole pixels.
 *
 * @param {Box} box
 * @param {Picture} picture
 */
function around(box, picture) {
    const x = Math.max(0, Math.floor(box.x - MARGIN * box.width));
    const y = Math.max(0, Math.floor(box.y - MARGIN * box.height));
    const right = Math.min(picture.width, Math.ceil(box.x + (1 + MARGIN) * box.width));
    const bottom = Math.min(picture.height, Math.ceil(box.y + (1 + MARGIN) * box.height));
    return { x, y, width: right - x, height: bottom - y };
}

/**
 * @param {Uint8Array} cutout
 * @param {Box} region
 * @param {Picture} picture
 */
function place(cutout, region, picture) {
    const whole = new Uint8Array(picture.width * picture.height);
    for (let row = 0; row < region.height; row += 1) {
        const from = cutout.subarray(row * region.width, (row + 1) * region.width);
        whole.set(from, (region.y + row) * picture.width + region.x);
    }
    return whole;
}

/**
 * The box in the scaled region, at least one pixel away from the region's edge: GrabCut needs some background.
 *
 * @param {Box} box
 * @param {Box} region
 * @param {number} scale
 * @param {{ width: number, height: number }} size
 */
function within(box, region, scale, size) {
    const left = Math.max(1, Math.round((box.x - region.x) * scale));
    const top = Math.max(1, Math.round((box.y - region.y) * scale));
    const right = Math.min(size.width - 1, Math.round((box.x + box.width - region.x) * scale));
    const bottom = Math.min(size.height - 1, Math.round((box.y + box.height - region.y) * scale));
    return /** @type {const} */ ([left, top, right - left, bottom - top]);
}
