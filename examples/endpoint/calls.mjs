/** What was asked of the endpoints: counts, and the assets in order, so that a test can tell what a job really sent. */

const KEPT = 100_000;

export class Calls {
    /** @type {Record<string, number>} */
    #counts = {};
    #inFlight = 0;
    #maxInFlight = 0;
    /** @type {number | null} milliseconds since 1970 */
    #lastCallAt = null;
    /** @type {string[]} */
    #assets = [];
    #dropped = 0;

    /** @param {string} endpoint */
    begin(endpoint) {
        this.#counts[endpoint] = (this.#counts[endpoint] ?? 0) + 1;
        this.#inFlight += 1;
        this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight);
        this.#lastCallAt = Date.now();
    }

    end() {
        this.#inFlight -= 1;
    }

    /** @param {string} assetId */
    asset(assetId) {
        this.#assets.push(assetId);
        if (this.#assets.length >= 2 * KEPT) {
            this.#dropped += KEPT;
            this.#assets = this.#assets.slice(KEPT);
        }
    }

    stats() {
        return {
            calls: this.#counts,
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
        return { asset_ids: this.#assets.slice(from), next: this.#dropped + this.#assets.length };
    }

    /** Calls that are still open stay in flight. */
    reset() {
        this.#counts = {};
        this.#maxInFlight = this.#inFlight;
        this.#lastCallAt = null;
        this.#assets = [];
        this.#dropped = 0;
    }
}
