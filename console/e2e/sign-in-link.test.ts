/** A link with a key in its fragment, as `make demo` prints it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { chromiumOf, isAccessible, watched } from './browser.ts';
import { KEY, keyOf, ORIGIN, samplePictures, type Sample } from './stack.ts';

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

test('a link with another key asks a tab that has one', async () => {
  const key = keyOf('linked', 'projects.read', 'datasets.read');
  const { page, complaints } = await watched(browser, sample.pictures);
  const address = `${ORIGIN}/projects/${sample.project}`;
  await page.goto(`${address}#key=${KEY}`);
  await page.getByRole('heading', { name: sample.name }).waitFor();
  await page.goto(`${address}#key=${key}`);
  await page.getByText('A link has brought another API key').waitFor();
  assert.equal(page.url(), address);
  await isAccessible(page);
  await page.getByRole('button', { name: 'Stay signed in' }).click();
  await page.getByText('A link has brought another API key').waitFor({ state: 'detached' });
  assert.equal(await page.getByText(/: linked, until/).count(), 0);
  await page.goto(`${address}#key=${key}`);
  await page.getByRole('button', { name: 'Sign in with the other key' }).click();
  await page.getByText(/: linked, until/).waitFor();
  assert.deepEqual(complaints, []);
  await page.context().close();
});
