import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';

import { LoadModel, fails, madeUpBoxes, parseSettings } from '../load.mjs';
import { ModelFailure, Overloaded } from '../sagemaker.mjs';
import { Slots } from '../slots.mjs';

const ASSETS = Array.from({ length: 1000 }, (_, index) => `item_${index}`);

/**
 * @param {string} asset_id
 * @returns {import('../types.mjs').Request}
 */
function request(asset_id) {
    return { asset_id, asset_url: 'http://never-asked/', asset_type: 'image', width: 640, height: 480, labels: ['car', 'cup'] };
}

test('an asset always gets the same boxes', () => {
    for (const asset of ASSETS.slice(0, 20)) assert.deepEqual(madeUpBoxes(request(asset)), madeUpBoxes(request(asset)));
});

test('the boxes lie in the picture and carry the labels of the request', () => {
    const boxes = ASSETS.flatMap((asset) => madeUpBoxes(request(asset)));
    for (const { label, confidence, coordinates } of boxes) {
        assert.ok(['car', 'cup'].includes(label));
        assert.ok(confidence >= 0.2 && confidence <= 0.99);
        assert.ok(coordinates.x >= 0 && coordinates.y >= 0 && coordinates.width > 0 && coordinates.height > 0);
        assert.ok(coordinates.x + coordinates.width <= 640 && coordinates.y + coordinates.height <= 480);
    }
});

test('an asset has from none to four boxes', () => {
    const sizes = new Set(ASSETS.map((asset) => madeUpBoxes(request(asset)).length));
    assert.deepEqual([...sizes].sort(), [0, 1, 2, 3, 4]);
});

test('about one asset in so many fails, always the same ones', () => {
    const failing = ASSETS.filter((asset) => fails(asset, 10));
    assert.ok(failing.length > 70 && failing.length < 130, `${failing.length} of 1000`);
    assert.deepEqual(failing, ASSETS.filter((asset) => fails(asset, 10)));
    assert.ok(!ASSETS.some((asset) => fails(asset, 0)));
});

test('a failing asset is refused by the model', async () => {
    const model = new LoadModel({ latency: 1, slots: 1, room: 1, capacity: 0, failEvery: 1 });
    await assert.rejects(model.answer(request('item_0')), (error) => error instanceof ModelFailure && error.status === 400);
});

test('no more than the slots are at work at once, and the first come is served first', async () => {
    const slots = new Slots(3, 100);
    let [atWork, most] = [0, 0];
    /** @type {number[]} */
    const served = [];
    await Promise.all(
        Array.from({ length: 20 }, (_, turn) =>
            slots.run(async () => {
                most = Math.max(most, (atWork += 1));
                served.push(turn);
                await after(2);
                atWork -= 1;
            }),
        ),
    );
    assert.equal(most, 3);
    assert.deepEqual(served, served.toSorted((a, b) => a - b));
});

test('who finds the line full is turned away', async () => {
    const slots = new Slots(1, 1);
    const both = Promise.all([slots.run(() => after(5)), slots.run(() => after(5))]);
    await assert.rejects(slots.run(() => after(5)), Overloaded);
    await both;
});

test('a slot is free again after a failure', async () => {
    const slots = new Slots(1, 0);
    await assert.rejects(slots.run(() => Promise.reject(new Error('broken'))), /broken/);
    assert.equal(await slots.run(async () => 'fine'), 'fine');
});

test('what is above the capacity is refused, and the capacity may change', async () => {
    const model = new LoadModel({ latency: 5, slots: 64, room: 0, capacity: 4, failEvery: 0 });
    const answers = async () => {
        const all = await Promise.allSettled(ASSETS.slice(0, 10).map((asset) => model.answer(request(asset))));
        return all.filter(({ status }) => status === 'fulfilled').length;
    };
    assert.equal(await answers(), 4);
    await assert.rejects(
        Promise.all(ASSETS.slice(0, 5).map((asset) => model.answer(request(asset)))),
        (error) => error instanceof ModelFailure && error.status === 429,
    );
    await after(10);
    model.change({ capacity: 7 });
    assert.equal(await answers(), 7);
});

test('slots that are taken away are missed once their work is done', async () => {
    const slots = new Slots(3, 100);
    let [atWork, most] = [0, 0];
    const work = () => slots.run(async () => {
        most = Math.max(most, (atWork += 1));
        await after(2);
        atWork -= 1;
    });
    const first = Array.from({ length: 6 }, work);
    slots.resize(1);
    await Promise.all(first.slice(0, 3));
    most = 0;
    await Promise.all([...first, ...Array.from({ length: 6 }, work)]);
    assert.equal(most, 1);
    slots.resize(5);
    await Promise.all(Array.from({ length: 20 }, work));
    assert.equal(most, 5);
});

test('settings of another form are none', () => {
    assert.deepEqual(parseSettings('{"latency": 5, "capacity": 0}'), { latency: 5, capacity: 0 });
    for (const text of ['', '7', 'null', '{"latency": "5"}', '{"latency": -1}', '{"speed": 1}']) {
        assert.equal(parseSettings(text), undefined, text);
    }
});
