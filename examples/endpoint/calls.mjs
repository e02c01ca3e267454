/** The calls of the endpoints, so that a test knows what a job really sent, when, and how much of it at once. */

const KEPT = 100_000;

/**
 * @typedef {object} Call
 * @property {string} endpoint
 * @property {string} asset_id
 * @property {number} began_at milliseconds since 1970
 * @property {number | null} ended_at
 * @property {number | null} status what the model answered
 *
 * @typedef {object} Load what one endpoint has seen
 * @property {number} calls
 * @property {number} refused those it had no capacity for
 * @property {number} in_flight
 * @property {number} max_in_flight
 */

export class Calls {
    /** @type {Record<string, Load>} */
    #loads = {};
    #inFlight = 0;
    #maxInFlight = 0;
    /** @type {number | null} milliseconds since 1970 */
    #lastCallAt = null;
    /** @type {Call[]} */
    #log = [];
    #dropped = 0;

    /**
     * @param {string} endpoint
     * @returns {Call}
     */
    begin(endpoint) {
        const load = (this.#loads[endpoint] ??= { calls: 0, refused: 0, in_flight: 0, max_in_flight: 0 });
        load.calls += 1;
        load.in_flight += 1;
        load.max_in_flight = Math.max(load.max_in_flight, load.in_flight);
        this.#inFlight += 1;
        this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight);
        this.#lastCallAt = Date.now();
        return { endpoint, asset_id: '', began_at: this.#lastCallAt, ended_at: null, status: null };
    }

    /**
     * @param {Call} call
     * @param {number} status
     */
    end(call, status) {
        call.ended_at = Date.now();
        call.status = status;
        this.#inFlight -= 1;
        const load = this.#loads[call.endpoint];
        load.in_flight -= 1;
        if (status === 429) load.refused += 1;
    }

    /**
     * @param {Call} call
     * @param {string} assetId
     */
    asset(call, assetId) {
        call.asset_id = assetId;
        this.#log.push(call);
        if (this.#log.length >= 2 * KEPT) {
            this.#dropped += KEPT;
            this.#log = this.#log.slice(KEPT);
        }
    }

    stats() {
        return {
            calls: Object.fromEntries(Object.entries(this.#loads).map(([endpoint, { calls }]) => [endpoint, calls])),
            endpoints: this.#loads,
            in_flight: this.#inFlight,
            max_in_flight: this.#maxInFlight,
            last_call_at: this.#lastCallAt,
        };
    }

    /**
     * The assets from call number `index` on. `next` is the number to ask with the next time.
     *
     * @param {number} index
     */
    since(index) {
        const from = Math.max(index - this.#dropped, 0);
        const asset_ids = this.#log.slice(from).map((call) => call.asset_id);
        return { asset_ids, next: this.#dropped + this.#log.length };
    }

    /**
     * The calls of an endpoint, in the order in which they came.
     *
     * @param {string} endpoint
     */
    of(endpoint) {
        return { calls: this.#log.filter((call) => call.endpoint === endpoint) };
    }

    /** Calls that are still open stay in flight. */
    reset() {
        for (const [endpoint, load] of Object.entries(this.#loads)) {
            if (load.in_flight === 0) delete this.#loads[endpoint];
            else Object.assign(load, { calls: 0, refused: 0, max_in_flight: load.in_flight });
        }
        this.#maxInFlight = this.#inFlight;
        this.#lastCallAt = null;
        this.#log = [];
        this.#dropped = 0;
    }
}
