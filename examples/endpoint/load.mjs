/**
 * The load mode: answers of the right form after a set time, without a model and without a download.
 *
 * It is for measuring the pipeline around the model. Everything about an answer follows from the asset's id, so two
 * runs over the same assets give the same drafts, and a test can say beforehand which assets fail.
 */

import { createHash } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';

import { ModelFailure } from './sagemaker.mjs';
import { Slots } from './slots.mjs';

/** @typedef {import('./types.mjs').Request} Request */
/** @typedef {import('./types.mjs').BoxAnnotation} BoxAnnotation */

const FALLBACK_LABELS = ['car', 'person'];
const MOST_BOXES = 4;

/**
 * @param {object} options
 * @param {number} options.latency milliseconds
 * @param {number} options.slots
 * @param {number} options.room
 * @param {number} options.failEvery one asset in so many fails; 0: none
 * @returns {import('./types.mjs').Model}
 */
export function loadModel({ latency, slots, room, failEvery }) {
    const limit = new Slots(slots, room);
    return (request) =>
        limit.run(async () => {
            await after(latency);
            if (fails(request.asset_id, failEvery)) throw new ModelFailure(400, 'The picture cannot be decoded.');
            return { synthetic: true, annotations: madeUpBoxes(request) };
        });
}

/**
 * @param {string} assetId
 * @param {number} failEvery
 */
export function fails(assetId, failEvery) {
    return failEvery > 0 && digest(assetId).readUInt32BE(4) % failEvery === 0;
}

/**
 * @param {Request} request
 * @returns {BoxAnnotation[]}
 */
export function madeUpBoxes({ asset_id, width = 1920, height = 1080, labels }) {
    const random = randomFrom(digest(asset_id).readUInt32BE(0));
    const names = labels.length > 0 ? labels : FALLBACK_LABELS;
    return Array.from({ length: Math.floor(random() * (MOST_BOXES + 1)) }, () => {
        const [boxWidth, boxHeight] = [width * (0.05 + 0.45 * random()), height * (0.05 + 0.45 * random())];
        return {
            type: 'bounding_box',
            label: names[Math.floor(random() * names.length)],
            confidence: Number((0.2 + 0.79 * random()).toFixed(4)),
            coordinates: {
                x: tenths((width - boxWidth) * random()),
                y: tenths((height - boxHeight) * random()),
                width: tenths(boxWidth),
                height: tenths(boxHeight),
            },
        };
    });
}

/** Rounded down, so that a box at the edge stays inside.
 * @param {number} value
 */
function tenths(value) {
    return Math.floor(value * 10) / 10;
}

/** @param {string} assetId */
function digest(assetId) {
    return createHash('sha256').update(assetId).digest();
}

/**
 * mulberry32: numbers in [0, 1) that the seed fixes.
 *
 * @param {number} seed
 */
function randomFrom(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}
