/** A thread with its own copy of the model. One task at a time; `detector.mjs` sees to that. */

import { parentPort, workerData } from 'node:worker_threads';

import { detections } from './boxes.mjs';
import { maskOf } from './masks.mjs';
import { SIDE, loadDetector } from './model.mjs';
import { decode, squared } from './picture.mjs';
import { ModelFailure } from './sagemaker.mjs';

/** @typedef {import('./types.mjs').Annotation} Annotation */
/** @typedef {import('./detector.mjs').Task} Task */
/** @typedef {import('./detector.mjs').Outcome} Outcome */

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
const detect = await loadDetector();

port.on('message', async (/** @type {Task} */ task) => port.postMessage(await outcome(task)));
port.postMessage('ready');

/**
 * @param {Task} task
 * @returns {Promise<Outcome>}
 */
async function outcome(task) {
    try {
        return { annotations: await annotate(task) };
    } catch (error) {
        // An error's class does not survive the way to the other thread.
        if (error instanceof ModelFailure) return { failure: { status: error.status, message: error.message } };
        console.error(error);
        return { failure: { status: 500, message: 'The model failed.' } };
    }
}

/**
 * @param {Task} task
 * @returns {Promise<Annotation[]>}
 */
async function annotate({ kind, bytes, labels }) {
    const picture = await decode(bytes);
    const { square, fit } = await squared(picture, SIDE);
    /** @type {Annotation[]} */
    const annotations = [];
    for (const { label, confidence, box } of detections(await detect(square), fit, labels, workerData.floor)) {
        if (kind === 'boxes') {
            annotations.push({ type: 'bounding_box', label, confidence, coordinates: box });
            continue;
        }
        const mask = await maskOf(picture, box);
        if (mask) annotations.push({ type: 'segmentation_mask', label, confidence, mask });
    }
    return annotations;
}
