/** From the model's square input back to the picture. Pure arithmetic. */

import { LABELS, naming } from './labels.mjs';

/** @typedef {import('./types.mjs').Box} Box */
/** @typedef {import('./types.mjs').Detection} Detection */

/** Two boxes that share more than this part of their union are taken for the same thing. */
const SAME = 0.6;
const MOST = 50;

/**
 * @typedef {object} Fit how the picture lies in the model's input
 * @property {number} scale input pixels per picture pixel
 * @property {number} left
 * @property {number} top
 * @property {number} width of the picture
 * @property {number} height of the picture
 */

/**
 * The picture keeps its shape and lies in the middle: squeezed to a square, the model takes a cat for a dog.
 *
 * @param {number} width
 * @param {number} height
 * @param {number} side of the model's input
 * @returns {Fit}
 */
export function fitInto(width, height, side) {
    const scale = side / Math.max(width, height);
    const [across, down] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    return { scale, left: Math.floor((side - across) / 2), top: Math.floor((side - down) / 2), width, height };
}

/**
 * The things that were asked for, best first, each once.
 *
 * @param {number[][]} rows of the model: x1, y1, x2, y2, score, class
 * @param {Fit} fit
 * @param {string[]} wanted labels
 * @param {number} floor lowest confidence
 * @returns {Detection[]}
 */
export function detections(rows, fit, wanted, floor) {
    const nameOf = naming(wanted);
    /** @type {Detection[]} */
    const kept = [];
    for (const row of rows.toSorted((a, b) => b[4] - a[4])) {
        const label = nameOf(LABELS[row[5]]);
        const box = toPicture(row, fit);
        if (row[4] < floor || kept.length === MOST) break;
        if (label === undefined || box === undefined) continue;
        if (kept.every((other) => overlap(box, other.box) <= SAME)) {
            kept.push({ label, confidence: Number(row[4].toFixed(4)), box });
        }
    }
    return kept;
}

/**
 * @param {number[]} row
 * @param {Fit} fit
 * @returns {Box | undefined} nothing if no part of it lies in the picture
 */
function toPicture([x1, y1, x2, y2], { scale, left, top, width, height }) {
    const [west, east] = [x1, x2].map((x) => round(clamp((x - left) / scale, width)));
    const [north, south] = [y1, y2].map((y) => round(clamp((y - top) / scale, height)));
    if (east <= west || south <= north) return undefined;
    return { x: west, y: north, width: round(east - west), height: round(south - north) };
}

/**
 * @param {Box} a
 * @param {Box} b
 */
export function overlap(a, b) {
    const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
    const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    const shared = Math.max(across, 0) * Math.max(down, 0);
    return shared / (a.width * a.height + b.width * b.height - shared);
}

/**
 * @param {number} value
 * @param {number} top
 */
function clamp(value, top) {
    return Math.min(Math.max(value, 0), top);
}

/** @param {number} value */
function round(value) {
    return Math.round(value * 10) / 10;
}
