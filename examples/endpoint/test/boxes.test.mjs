import assert from 'node:assert/strict';
import { test } from 'node:test';

import { detections, fitInto } from '../boxes.mjs';
import { LABELS } from '../labels.mjs';

const [PERSON, CAT, DOG] = ['person', 'cat', 'dog'].map((name) => LABELS.indexOf(name));
/** Twice as wide as high: 256 rows of the model's input are black, half of them above the picture. */
const FIT = fitInto(1024, 512, 512);

test('the classes are those of COCO', () => {
    assert.equal(LABELS.length, 80);
    assert.equal(new Set(LABELS).size, 80);
});

test('boxes come back in pixels of the picture', () => {
    const [found] = detections([[10, 138, 110, 188, 0.9, PERSON]], FIT, [], 0.1);
    assert.deepEqual(found, { label: 'person', confidence: 0.9, box: { x: 20, y: 20, width: 200, height: 100 } });
});

test('boxes are cut at the edge, and dropped beyond it', () => {
    const rows = [
        [-20, 100, 40, 200, 0.9, PERSON],
        [100, 0, 200, 90, 0.8, PERSON],
    ];
    assert.deepEqual(
        detections(rows, FIT, [], 0.1).map(({ box }) => box),
        [{ x: 0, y: 0, width: 80, height: 144 }],
    );
});

test('of boxes around the same thing the best stays', () => {
    const rows = [
        [100, 150, 200, 250, 0.5, CAT],
        [102, 150, 200, 252, 0.6, DOG],
        [300, 150, 400, 250, 0.4, CAT],
    ];
    assert.deepEqual(detections(rows, FIT, [], 0.1).map(({ label }) => label), ['dog', 'cat']);
    assert.deepEqual(detections(rows, FIT, ['cat'], 0.1).map(({ confidence }) => confidence), [0.5, 0.4]);
});

test('what lies below the floor is left out', () => {
    assert.deepEqual(detections([[100, 150, 200, 250, 0.09, CAT]], FIT, [], 0.1), []);
});

test('a label that is no class gets the closest class, unless that was asked for too', () => {
    const rows = [[100, 150, 200, 250, 0.9, PERSON]];
    assert.deepEqual(detections(rows, FIT, ['pedestrian'], 0.1).map(({ label }) => label), ['pedestrian']);
    assert.deepEqual(detections(rows, FIT, ['person', 'pedestrian'], 0.1).map(({ label }) => label), ['person']);
    assert.deepEqual(detections(rows, FIT, ['unicorn'], 0.1), []);
});
