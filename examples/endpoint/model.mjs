/** The detector itself: CenterNet on MobileNet v3, trained on COCO, run by TensorFlow.js on WebAssembly. */

import { readFile } from 'node:fs/promises';

import '@tensorflow/tfjs-backend-wasm';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';

const FOLDER = new URL('./node_modules/@vladmandic/human/models/', import.meta.url);
const OUTPUT = 'tower_0/detections';
export const SIDE = 512;

/** @returns {Promise<(pixels: Uint8Array) => Promise<number[][]>>} RGB pixels of the square input to rows of the output */
export async function loadDetector() {
    await tf.setBackend('wasm');
    const [text, weights] = await Promise.all([
        readFile(new URL('centernet.json', FOLDER), 'utf8'),
        readFile(new URL('centernet.bin', FOLDER)),
    ]);
    const { modelTopology, weightsManifest } = JSON.parse(text);
    const model = await loadGraphModel({
        load: async () => ({
            modelTopology,
            weightSpecs: weightsManifest[0].weights,
            weightData: new Uint8Array(weights).buffer,
        }),
    });
    return async (pixels) => {
        const input = tf.tensor4d(Float32Array.from(pixels), [1, SIDE, SIDE, 3]);
        const output = /** @type {tf.Tensor3D} */ (model.execute(input, OUTPUT));
        try {
            return (await output.array())[0];
        } finally {
            tf.dispose([input, output]);
        }
    };
}
