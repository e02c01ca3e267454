/** The real models: download here, everything that needs the processor in worker threads. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { download } from './picture.mjs';
import { ModelFailure } from './sagemaker.mjs';
import { Slots } from './slots.mjs';

/**
 * @typedef {object} Task
 * @property {'boxes' | 'masks'} kind
 * @property {Uint8Array} bytes of the picture's file
 * @property {string[]} labels
 *
 * @typedef {object} Outcome
 * @property {import('./types.mjs').Annotation[]} [annotations]
 * @property {{ status: number, message: string }} [failure]
 */

export class Detector {
    #floor;
    #limit;
    /** @type {Promise<Worker>[]} */
    #idle = [];

    /**
     * @param {object} options
     * @param {number} options.workers
     * @param {number} options.room how many requests may wait for a worker
     * @param {number} options.floor lowest confidence that is answered
     */
    constructor({ workers, room, floor }) {
        this.#floor = floor;
        this.#limit = new Slots(workers, room);
        const first = this.#hire();
        // One after the other: loading side by side, they would keep the first request waiting twice as long.
        this.#idle = [first, ...Array.from({ length: workers - 1 }, () => first.then(() => this.#hire()))];
    }

    /** Settles when the first worker has its model. The others follow while it works. */
    async ready() {
        await this.#idle[0];
    }

    /**
     * @param {Task['kind']} kind
     * @returns {import('./types.mjs').Model}
     */
    model(kind) {
        return async ({ asset_type, asset_url, labels }) => {
            if (asset_type === 'point_cloud') throw new ModelFailure(400, 'The model takes pictures only.');
            // The slot is taken before the download: pictures that wait would pile up in memory.
            return this.#limit.run(async () => {
                const bytes = await download(asset_url);
                return { annotations: await this.#work({ kind, bytes, labels }) };
            });
        };
    }

    async #hire() {
        const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { floor: this.#floor } });
        await once(worker, 'message');
        return worker;
    }

    /** @param {Task} task */
    async #work(task) {
        // There is one: the holder of a slot has the right to a worker.
        let next = /** @type {Promise<Worker>} */ (this.#idle.shift());
        try {
            const worker = await next;
            worker.postMessage(task);
            const { annotations = [], failure } = await answerOf(worker);
            if (failure) throw new ModelFailure(failure.status, failure.message);
            return annotations;
        } catch (error) {
            // A thread that broke has ended; its successor replaces it.
            if (!(error instanceof ModelFailure)) next = this.#hire();
            throw error;
        } finally {
            this.#idle.push(next);
        }
    }
}

/**
 * @param {Worker} worker
 * @returns {Promise<Outcome>} refused if the thread breaks
 */
async function answerOf(worker) {
    const [outcome] = await once(worker, 'message');
    return outcome;
}
