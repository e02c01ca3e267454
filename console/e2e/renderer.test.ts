import assert from 'node:assert/strict';
import { test } from 'node:test';
import { served } from '../bench/serve.ts';
import { chromiumOf } from './browser.ts';

test('a drawing that was scrolled and patched is the same as one that was drawn at once', async () => {
  const [server, browser] = await Promise.all([served(), chromiumOf()]);
  try {
    const page = await browser.newPage();
    await page.goto(server.address);
    const differences = await page.evaluate(() => (window as unknown as { compare(): Promise<number[]> }).compare());
    assert.equal(differences.length, 6);
    assert.deepEqual(new Set(differences), new Set([0]));
  } finally {
    await browser.close();
    await server.close();
  }
});
