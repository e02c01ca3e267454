import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { served } from '../bench/serve.ts';
import { chromiumOf } from './browser.ts';

interface Bench {
  compare(): Promise<number[]>;
  upright(orientation: number): Promise<string>;
}

let server: Awaited<ReturnType<typeof served>>;
let browser: Browser;
let page: Page;
before(async () => {
  [server, browser] = await Promise.all([served(), chromiumOf()]);
  page = await browser.newPage();
  await page.goto(server.address);
});
after(async () => {
  await browser.close();
  await server.close();
});

test('a drawing that was scrolled and patched is the same as one that was drawn at once', async () => {
  const differences = await page.evaluate(() => (window as unknown as Bench).compare());
  assert.equal(differences.length, 6);
  assert.deepEqual(new Set(differences), new Set([0]));
});

test('a picture is drawn upright in each of the eight EXIF orientations (I13)', async () => {
  const drawn: string[] = [];
  for (let orientation = 1; orientation <= 8; orientation++) {
    drawn.push(await page.evaluate((one) => (window as unknown as Bench).upright(one), orientation));
  }
  assert.deepEqual(drawn, [
    '64x32 red green blue white',
    '64x32 green red white blue',
    '64x32 white blue green red',
    '64x32 blue white red green',
    '32x64 red blue green white',
    '32x64 blue red white green',
    '32x64 white green blue red',
    '32x64 green white red blue',
  ]);
});
