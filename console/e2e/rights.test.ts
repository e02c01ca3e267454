/** A key with few rights: what it may not do is off, and says why. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { keyOf, ORIGIN, results, sample, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), sample()]);
});
after(() => browser.close());

test('a key that may only read sees everything, and each button that it may not press names the scope', async () => {
  const key = keyOf('reader', 'projects.read', 'datasets.read', 'inference.read');
  const { page, complaints } = await watched(browser, stack.pictures);
  await signIn(page, key);
  await page.getByText(/: reader, until .*2099/).waitFor();
  const isOff = async (name: string, scope: string) => {
    const button = page.getByRole('button', { name, exact: true });
    await button.waitFor();
    assert.equal(await button.getAttribute('aria-disabled'), 'true', name);
    assert.equal(await button.getAttribute('title'), `Your key needs the scope ${scope}.`, name);
    await button.click({ force: true });
  };
  await page.goto(`${ORIGIN}/projects/${stack.project}`);
  await isOff('Choose files', 'projects.write');
  await page.getByRole('link', { name: 'Review the drafts' }).click();
  await page.getByRole('option').first().waitFor();
  await isOff('Accept', 'results.write');
  await isOff('Reject', 'results.write');
  await page.getByText('Your key needs the scope results.write. What you change is kept in this browser').waitFor();
  await page.locator('[role=application]').focus();
  await page.keyboard.press('Enter');
  await isAccessible(page);
  await shoot(page, 'rights');
  await page.goto(`${ORIGIN}/projects/${stack.project}/auto-label`);
  await isOff('Run Auto-Label', 'projects.write');
  await isOff('Save the setting', 'projects.write');
  await page.goto(`${ORIGIN}/projects/${stack.project}/bulk`);
  await isOff('Count', 'results.write');
  await page.goto(`${ORIGIN}/settings/inference`);
  await page.getByText('No provider can be added or tested. Your key needs the scope inference.write.').waitFor();
  assert.deepEqual(await results(stack.project, 'accepted'), []);
  assert.deepEqual(complaints, []);
});

test('a key for reviewers reviews, and starts no job', async () => {
  const key = keyOf('reviewer', 'projects.read', 'results.write', 'datasets.read');
  const { page, complaints } = await watched(browser, stack.pictures);
  await signIn(page, key);
  await page.goto(`${ORIGIN}/projects/${stack.project}`);
  await page.getByRole('link', { name: 'Review the drafts' }).click();
  await page.getByRole('option').first().waitFor();
  await page.getByRole('button', { name: 'Accept', exact: true }).click();
  await page.getByText('All saved').waitFor();
  const [accepted] = await results(stack.project, 'accepted');
  assert.equal(accepted?.reviewed_by, 'reviewer');
  assert.deepEqual(complaints, []);
});
