/** At most so many at once; the others wait in line, and a line that is full turns the next one away. */

import { Overloaded } from './sagemaker.mjs';

export class Slots {
    #slots;
    /** Below zero while more are at work than there are slots now. */
    #free;
    #room;
    /** @type {(() => void)[]} */
    #line = [];

    /**
     * @param {number} slots
     * @param {number} room how many may wait
     */
    constructor(slots, room) {
        this.#slots = slots;
        this.#free = slots;
        this.#room = room;
    }

    /**
     * @template T
     * @param {() => Promise<T>} work
     * @returns {Promise<T>}
     */
    async run(work) {
        await this.#enter();
        try {
            return await work();
        } finally {
            this.#leave();
        }
    }

    /**
     * From now on. Who is at work stays.
     *
     * @param {number} slots
     */
    resize(slots) {
        this.#free += slots - this.#slots;
        this.#slots = slots;
        while (this.#free > 0 && this.#line.length > 0) {
            this.#free -= 1;
            this.#line.shift()?.();
        }
    }

    async #enter() {
        if (this.#free > 0) {
            this.#free -= 1;
            return;
        }
        if (this.#line.length >= this.#room) throw new Overloaded('The model is busy. Try again.');
        await new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#line.push(resolve));
    }

    /** A freed slot passes straight to the first in line, so no other can overtake it. */
    #leave() {
        const next = this.#free < 0 ? undefined : this.#line.shift();
        if (next) next();
        else this.#free += 1;
    }
}
