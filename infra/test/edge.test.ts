/** What runs at the edge, run here: the code of the two CloudFront Functions. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { test } from 'node:test';
import type { Json } from './deployment.ts';

/** Addresses, and the files that answer them here and on the local stack; null: none does. */
const ADDRESSES: [asked: string, file: string | null][] = JSON.parse(
  fs.readFileSync(new URL('../../console/addresses.json', import.meta.url), 'utf8'),
);

/** The request that a function hands on. The edge's JavaScript has no modules and is strict about nothing. */
function handled(file: 'page.js' | 'api.js', request: Json): Json {
  const code = fs.readFileSync(new URL(`../lib/edge/${file}`, import.meta.url), 'utf8');
  return new Function('event', `${code}; return handler(event);`)({ request });
}

test('an address of a screen is the page, a name with a dot is a file', () => {
  for (const [asked, file] of ADDRESSES) {
    assert.deepEqual(handled('page.js', { uri: asked }), { uri: file === null ? asked : `/${file}` });
  }
});

test('a call of the API loses the last slash of its path, and nothing else', () => {
  const headers = { authorization: { value: 'Bearer …' }, 'x-avala-api-key': { value: 'avk_…' } };
  for (const [asked, uri] of [
    ['/api/v1/webhooks/', '/api/v1/webhooks'],
    ['/api/v1/webhooks', '/api/v1/webhooks'],
    ['/api/v1/projects/01a2/auto-label/', '/api/v1/projects/01a2/auto-label'],
    ['/api/v1/datasets/demo/a%2Fb/items/', '/api/v1/datasets/demo/a%2Fb/items'],
    ['/api/', '/api'],
  ] as const) {
    const querystring = { cursor: { value: 'eyJ/' } };

    assert.deepEqual(handled('api.js', { method: 'POST', uri: asked, querystring, headers }), {
      method: 'POST',
      uri,
      querystring,
      headers,
    });
  }
});

test('both functions are within the limits of the edge', () => {
  for (const file of ['page.js', 'api.js']) {
    const code = fs.readFileSync(new URL(`../lib/edge/${file}`, import.meta.url), 'utf8');

    assert.ok(code.length < 10_240, file);
  }
});
