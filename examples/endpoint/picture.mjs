/** From an address to pixels. */

import sharp from 'sharp';

import { fitInto } from './boxes.mjs';
import { ModelFailure } from './sagemaker.mjs';

const MOST_BYTES = 50_000_000;
const MOST_PIXELS = 100_000_000;
const TIMEOUT_MS = 10_000;

/**
 * No message names the address: it is signed, and a reader of the message could fetch the picture.
 *
 * @param {string} address
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function download(address) {
    if (!/^https?:\/\//i.test(address)) throw new ModelFailure(400, 'The address of the picture is not http or https.');
    /** @type {Uint8Array[]} */
    const parts = [];
    let size = 0;
    try {
        const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS) });
        if (!response.ok) throw new ModelFailure(400, `The picture cannot be downloaded (HTTP ${response.status}).`);
        for await (const part of response.body ?? []) {
            size += part.length;
            if (size > MOST_BYTES) throw new ModelFailure(400, 'The picture is larger than 50 MB.');
            parts.push(part);
        }
    } catch (error) {
        if (error instanceof ModelFailure) throw error;
        const timedOut = error instanceof Error && error.name === 'TimeoutError';
        throw new ModelFailure(400, timedOut ? 'The picture did not arrive within 10 s.' : 'The picture cannot be downloaded.');
    }
    return new Uint8Array(Buffer.concat(parts));
}

/**
 * Pixels as a person sees them: without transparency, in RGB, and upright: the orientation that a camera noted is applied, as the
 * request's width and height have it (`frame: "upright"`).
 *
 * @param {Uint8Array} bytes
 */
export async function decode(bytes) {
    try {
        const { data, info } = await sharp(bytes, { limitInputPixels: MOST_PIXELS, autoOrient: true })
            .flatten({ background: '#fff' })
            .toColourspace('srgb')
            .raw()
            .toBuffer({ resolveWithObject: true });
        return { pixels: data, width: info.width, height: info.height };
    } catch {
        throw new ModelFailure(400, 'The picture cannot be decoded.');
    }
}

/** @typedef {Awaited<ReturnType<typeof decode>>} Picture */

/**
 * The picture in the middle of a black square.
 *
 * @param {Picture} picture
 * @param {number} side
 */
export async function squared({ pixels, width, height }, side) {
    const square = await sharp(pixels, { raw: { width, height, channels: 3 } })
        .resize(side, side, { fit: 'contain', kernel: 'linear', background: '#000' })
        .raw()
        .toBuffer();
    return { square, fit: fitInto(width, height, side) };
}
