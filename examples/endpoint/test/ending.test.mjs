/** How the server ends: the load mode alone, so that it starts at once and a call takes as long as the test wants. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

const FOLDER = new URL('../', import.meta.url);
const REQUEST = JSON.stringify({ asset_id: 'item_1', asset_url: 'http://127.0.0.1:1/', asset_type: 'image' });

/** @param {number} latency */
async function started(latency) {
    const server = spawn(process.execPath, [
        'server.mjs',
        ...['--no-model', '--port', '0', '--latency', String(latency)],
    ], { cwd: FOLDER, stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface(server.stdout), 'line');
    const address = /http:\S+/.exec(line)?.[0] ?? '';
    return { server, address, exited: once(server, 'exit') };
}

/**
 * A call of the model that the server has begun to answer.
 *
 * @param {string} address
 */
async function underWay(address) {
    const answer = fetch(`${address}/endpoints/autolabel-load/invocations`, { method: 'POST', body: REQUEST });
    let stats;
    do stats = await (await fetch(`${address}/stats`)).json();
    while (stats.in_flight === 0);
    return { answer }; // wrapped: a promise that is returned would be waited for
}

test('SIGTERM lets a call that is under way be answered, and takes no other', async () => {
    const { server, address, exited } = await started(1000);
    const { answer } = await underWay(address);
    server.kill('SIGTERM');
    while (await fetch(`${address}/ping`).catch(() => undefined));
    assert.equal((await (await answer).json()).synthetic, true);
    assert.deepEqual(await exited, [0, null]);
});

test('a second signal ends it at once', async () => {
    const { server, address, exited } = await started(60_000);
    const { answer } = await underWay(address);
    const cutOff = assert.rejects(answer);
    server.kill('SIGTERM');
    while (await fetch(`${address}/ping`).catch(() => undefined));
    server.kill('SIGTERM');
    assert.deepEqual(await exited, [1, null]);
    await cutOff;
});
