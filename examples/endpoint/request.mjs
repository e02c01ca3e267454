/** What the pipeline asks, checked where it enters. */

import { ModelFailure } from './sagemaker.mjs';

const TYPES = ['image', 'video_frame', 'point_cloud'];

/**
 * @param {string} text
 * @returns {import('./types.mjs').Request}
 */
export function parseRequest(text) {
    const { asset_id, asset_url, asset_type, width, height, labels = [] } = parsed(text);
    const good =
        typeof asset_id === 'string' &&
        typeof asset_url === 'string' &&
        TYPES.includes(asset_type) &&
        [width, height].every((side) => side === undefined || (Number.isInteger(side) && side > 0)) &&
        Array.isArray(labels) &&
        labels.every((label) => typeof label === 'string');
    if (!good) throw new ModelFailure(400, 'The request does not have the form of the contract.');
    return { asset_id, asset_url, asset_type, width, height, labels };
}

/** @param {string} text */
function parsed(text) {
    try {
        return JSON.parse(text) ?? {};
    } catch {
        throw new ModelFailure(400, 'The request is not JSON.');
    }
}
