/** A link with a key in its fragment, as `make demo` prints it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { chromiumOf, watched } from './browser.ts';
import { KEY, ORIGIN, samplePictures, type Sample } from './stack.ts';

let browser: Browser;
let sample: Sample;
before(async () => {
  [browser, sample] = await Promise.all([chromiumOf(), samplePictures()]);
});
after(() => browser.close());

test('a link with a key opens its project, and no request and no history has the key in an address', async () => {
  const { page, complaints } = await watched(browser, sample.pictures);
  const addresses: string[] = [];
  page.on('request', (request) => addresses.push(request.url(), request.headers()['referer'] ?? ''));
  await page.goto(`${ORIGIN}/projects/${sample.project}#key=${KEY}`);
  await page.getByRole('heading', { name: sample.name }).waitFor();
  assert.equal(page.url(), `${ORIGIN}/projects/${sample.project}`);
  await page.getByRole('link', { name: 'Auto-Label', exact: true }).click();
  await page.getByRole('button', { name: 'Run Auto-Label' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: sample.name }).waitFor();
  assert.equal(page.url(), `${ORIGIN}/projects/${sample.project}`);
  await page.reload();
  await page.getByRole('heading', { name: sample.name }).waitFor();
  assert.ok(addresses.length > 5);
  assert.deepEqual(
    addresses.filter((address) => address.includes(KEY)),
    [],
  );
  assert.deepEqual(complaints, []);
});
