/** The server as it stands behind an HTTPS provider: without SageMaker around it, and with a token. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

const FOLDER = new URL('../', import.meta.url);
const server = spawn(
    process.execPath,
    ['server.mjs', '--port', '0', '--no-model', '--latency', '1', '--token', 'sesame'],
    { cwd: FOLDER, stdio: ['ignore', 'pipe', 'inherit'] },
);
let address = '';

before(async () => {
    const [line] = await once(createInterface(server.stdout), 'line');
    address = /http:\S+/.exec(line)?.[0] ?? '';
});

after(() => server.kill('SIGTERM'));

/** @param {Record<string, string>} headers */
async function invoke(headers) {
    const request = { asset_id: 'item_1', asset_url: 'http://127.0.0.1:1/', asset_type: 'image', width: 4, height: 3 };
    return fetch(`${address}/invocations`, { method: 'POST', headers, body: JSON.stringify(request) });
}

test('who bears the token is answered', async () => {
    const response = await invoke({ authorization: 'Bearer sesame' });

    assert.equal(response.status, 200);
    assert.ok(Array.isArray((await response.json()).annotations));
});

for (const [name, headers] of /** @type {[string, Record<string, string>][]} */ ([
    ['no token', {}],
    ['another token', { authorization: 'Bearer open' }],
    ['another scheme', { authorization: 'Basic sesame' }],
])) {
    test(`${name} is refused, and not repeated`, async () => {
        const response = await invoke(headers);

        assert.equal(response.status, 401);
        assert.deepEqual(await response.json(), { error: 'The token is missing or wrong.' });
    });
}
