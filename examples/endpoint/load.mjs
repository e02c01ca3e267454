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
 * @typedef {object} Settings
 * @property {number} latency milliseconds
 * @property {number} slots what it works on at once; the others wait in line
 * @property {number} room how many may wait
 * @property {number} capacity calls that it takes at once; any more are refused with 429; 0: any number
 * @property {number} failEvery one asset in so many fails; 0: none
 */

/** An endpoint whose settings may change while it is called. */
export class LoadModel {
    #settings;
    #slots;
    #taken = 0;

    /** @param {Settings} settings */
    constructor(settings) {
        this.#settings = settings;
        this.#slots = new Slots(settings.slots, settings.room);
    }

    get settings() {
        return this.#settings;
    }

    /** @param {Partial<Settings>} changes */
    change(changes) {
        this.#settings = { ...this.#settings, ...changes };
        this.#slots.resize(this.#settings.slots);
    }

    /** @type {import('./types.mjs').Model} */
    answer = async (request) => {
        const { capacity } = this.#settings;
        if (capacity > 0 && this.#taken >= capacity) throw new ModelFailure(429, 'Too many requests.');
        this.#taken += 1;
        try {
            return await this.#slots.run(() => this.#work(request));
        } finally {
            this.#taken -= 1;
        }
    };

    /** @param {Request} request */
    async #work(request) {
        await after(this.#settings.latency);
        if (fails(request.asset_id, this.#settings.failEvery)) {
            throw new ModelFailure(400, 'The picture cannot be decoded.');
        }
        return { synthetic: /** @type {const} */ (true), annotations: madeUpBoxes(request) };
    }
}

/**
 * The settings in a body of `POST /load/{name}`; `undefined`: it is of another form.
 *
 * @param {string} text
 * @returns {Partial<Settings> | undefined}
 */
export function parseSettings(text) {
    /** @type {unknown} */
    let body;
    try {
        body = JSON.parse(text);
    } catch {
        return undefined;
    }
    if (typeof body !== 'object' || body === null) return undefined;
    const known = ['latency', 'slots', 'room', 'capacity', 'failEvery'];
    const good = Object.entries(body).every(([name, value]) => known.includes(name) && Number.isFinite(value) && value >= 0);
    return good ? /** @type {Partial<Settings>} */ (body) : undefined;
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
