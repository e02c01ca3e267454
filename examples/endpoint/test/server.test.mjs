/** The server as the stack starts it, with the real detector and the sample pictures. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

const FOLDER = new URL('../', import.meta.url);
const PICTURES = new URL('../../pictures/', import.meta.url);
const LABELS = ['person', 'car', 'pedestrian', 'cup', 'cat', 'dog', 'horse', 'motorcycle', 'dining table'];
const LATENCY = 30;

const pictures = createServer(async (incoming, outgoing) => {
    const bytes = await readFile(new URL(`.${incoming.url}`, PICTURES)).catch(() => undefined);
    outgoing.writeHead(bytes ? 200 : 404).end(bytes);
});
const server = spawn(process.execPath, [
    'server.mjs',
    ...['--port', '0', '--workers', '1', '--latency', String(LATENCY), '--slots', '2'],
], { cwd: FOLDER, stdio: ['ignore', 'pipe', 'inherit'] });
let address = '';
let pictureAddress = '';

before(async () => {
    pictures.listen(0, '127.0.0.1');
    await once(pictures, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (pictures.address());
    pictureAddress = `http://127.0.0.1:${port}`;
    const [line] = await once(createInterface(server.stdout), 'line');
    address = /http:\S+/.exec(line)?.[0] ?? '';
});

after(async () => {
    pictures.close();
    server.kill('SIGTERM');
    const [code] = await once(server, 'exit');
    assert.equal(code, 0, 'SIGTERM ends it in good order');
});

/**
 * @param {string} path
 * @param {object} [overrides]
 */
async function post(path, overrides) {
    const request = { asset_id: 'item_1', asset_url: 'http://127.0.0.1:1/', asset_type: 'image', labels: LABELS };
    const response = await fetch(address + path, { method: 'POST', body: JSON.stringify({ ...request, ...overrides }) });
    return { status: response.status, headers: response.headers, body: await response.json() };
}

/**
 * @param {string} endpoint
 * @param {string} file
 */
async function annotations(endpoint, file) {
    const { status, body } = await post(`/endpoints/${endpoint}/invocations`, { asset_url: `${pictureAddress}/${file}` });
    assert.equal(status, 200, JSON.stringify(body));
    return body.annotations;
}

/** @param {string} path */
const get = async (path) => (await fetch(address + path)).json();

test('ping answers', async () => {
    assert.equal((await fetch(`${address}/ping`)).status, 200);
});

for (const [file, label, expected] of /** @type {const} */ ([
    ['astronaut.jpg', 'person', [10, 7, 359, 505]],
    ['camera.jpg', 'person', [7, 61, 288, 450]],
    ['chelsea.jpg', 'cat', [0, 3, 416, 294]],
    ['coffee.jpg', 'cup', [170, 15, 246, 255]],
    ['hopper.jpg', 'person', [14, 26, 496, 574]],
    ['horse.jpg', 'horse', [12, 18, 386, 299]],
])) {
    test(`${file} shows a ${label}`, async () => {
        const [best] = await annotations('autolabel-yolo', file);
        assert.equal(best.type, 'bounding_box');
        assert.equal(best.label, label);
        assert.ok(best.confidence > 0.5);
        const { x, y, width, height } = best.coordinates;
        [x, y, width, height].forEach((value, at) => assert.ok(Math.abs(value - expected[at]) < 15, JSON.stringify(best)));
    });
}

for (const file of ['china.jpg', 'flower.jpg', 'rocket.jpg']) {
    test(`${file} shows nothing that was asked for`, async () => {
        const found = await annotations('autolabel-yolo', file);
        assert.ok(found.every((/** @type {any} */ one) => one.confidence < 0.35), JSON.stringify(found));
    });
}

test('masks have the size of the picture', async () => {
    const [best] = await annotations('autolabel-sam3', 'horse.jpg');
    assert.deepEqual([best.type, best.label], ['segmentation_mask', 'horse']);
    assert.equal(best.mask.format, 'coco_rle');
    assert.deepEqual(best.mask.size, [328, 400]);
    assert.ok(best.mask.counts.length > 100);
});

test('the container contract answers with the detector', async () => {
    const { status, body } = await post('/invocations', { asset_url: `${pictureAddress}/horse.jpg` });
    assert.deepEqual([status, body.annotations[0].label], [200, 'horse']);
});

for (const [what, file, message] of [
    ['is no picture', 'LICENSES.md', 'The picture cannot be decoded.'],
    ['is not there', 'none.jpg', 'The picture cannot be downloaded (HTTP 404).'],
]) {
    test(`a file that ${what} is the model's error, reported without its address`, async () => {
        const asset_url = `${pictureAddress}/${file}?signature=secret`;
        const { status, headers, body } = await post('/endpoints/autolabel-yolo/invocations', { asset_url });
        assert.deepEqual([status, headers.get('x-amzn-errortype')], [424, 'ModelError']);
        assert.deepEqual([body.OriginalStatusCode, body.OriginalMessage], [400, message]);
        assert.doesNotMatch(JSON.stringify(body), /http:|secret/);
    });
}

test('only http and https are fetched', async () => {
    const { body } = await post('/invocations', { asset_url: 'data:image/png;base64,AAAA' });
    assert.deepEqual(body, { error: 'The address of the picture is not http or https.' });
});

test('a request of another form is refused', async () => {
    const { status, body } = await post('/invocations', { labels: 'car' });
    assert.deepEqual([status, body], [400, { error: 'The request does not have the form of the contract.' }]);
});

test('an endpoint that was not started does not exist', async () => {
    const { status, headers, body } = await post('/endpoints/nope/invocations');
    assert.deepEqual([status, headers.get('x-amzn-errortype')], [400, 'ValidationError']);
    assert.equal(body.message, 'Endpoint nope of account 000000000000 not found.');
});

test('the load mode keeps to its slots, says that it is synthetic, and is counted', async () => {
    await fetch(`${address}/stats/reset`, { method: 'POST' });
    const { next } = await get('/calls');
    const began = performance.now();

    const answers = await Promise.all(
        Array.from({ length: 6 }, (_, index) => post('/endpoints/autolabel-load/invocations', { asset_id: `item_${index}` })),
    );

    assert.ok(performance.now() - began >= 3 * LATENCY, 'six calls in two slots take three rounds');
    for (const { headers, body } of answers) {
        assert.equal(headers.get('x-synthetic'), 'true');
        assert.equal(body.synthetic, true);
    }
    const stats = await get('/stats');
    assert.deepEqual([stats.calls, stats.in_flight, stats.max_in_flight], [{ 'autolabel-load': 6 }, 0, 6]);
    assert.ok(Date.now() - stats.last_call_at < 60_000);
    const asked = await get(`/calls?since=${next}`);
    assert.deepEqual(asked.asset_ids.toSorted(), ['item_0', 'item_1', 'item_2', 'item_3', 'item_4', 'item_5']);
    assert.equal(asked.next, 6);
});

test('an endpoint of the load mode is made by its settings, and counted by itself', async () => {
    const settings = { latency: 200, slots: 64, capacity: 2 };
    const made = await fetch(`${address}/load/load-7`, { method: 'POST', body: JSON.stringify(settings) });
    assert.deepEqual(await made.json(), { ...settings, room: 1000, failEvery: 0 });

    const answers = await Promise.all(
        Array.from({ length: 5 }, (_, index) => post('/endpoints/load-7/invocations', { asset_id: `item_${index}` })),
    );

    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 200, 424, 424, 424]);
    const refused = answers.find(({ status }) => status === 424);
    assert.deepEqual([refused?.headers.get('x-amzn-errortype'), refused?.body.OriginalStatusCode], ['ModelError', 429]);
    const { calls, refused: times, in_flight, max_in_flight } = (await get('/stats')).endpoints['load-7'];
    assert.deepEqual([calls, times, in_flight], [5, 3, 0]);
    assert.ok(max_in_flight >= 3 && max_in_flight <= 5);
    const log = (await get('/calls/load-7')).calls;
    assert.deepEqual(log.map((/** @type {any} */ call) => call.status).toSorted(), [200, 200, 429, 429, 429]);
    for (const { status, began_at, ended_at } of log) assert.ok(status === 429 || ended_at - began_at >= 199);

    const detector = await fetch(`${address}/load/autolabel-yolo`, { method: 'POST', body: '{}' });
    assert.equal(detector.status, 400);
});
