/** Many drafts at once: counted first, then accepted or rejected, then undone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { ORIGIN, results, sample, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), sample()]);
});
after(() => browser.close());

const uids = async (status: 'draft' | 'accepted') => (await results(stack.project, status)).map(({ uid }) => uid).toSorted();
const press = (page: Page, name: RegExp | string) => page.getByRole('button', { name }).click();
const said = (page: Page, text: RegExp) => page.getByRole('status').filter({ hasText: text }).waitFor();

test('drafts above a confidence are counted, accepted and undone; the range is in the address', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  const first = await uids('draft');
  const drafts = await results(stack.project, 'draft');
  const sure = drafts.filter(({ min_confidence: least }) => typeof least === 'number' && least >= 0.5);
  assert.ok(sure.length > 0 && sure.length < drafts.length);
  await signIn(page);
  await page.getByRole('link', { name: stack.name }).click();
  await page.getByRole('link', { name: 'Accept or reject many' }).click();
  await page.getByText('All drafts.').waitFor();
  await page.getByLabel('Least confidence, percent').fill('50');
  await page.waitForURL('**/bulk?min=50');
  await page.getByText('Drafts of which every annotation has a confidence of at least 50 %.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Accept' }).getAttribute('title'), 'Count them first.');
  await press(page, 'Count');
  await said(page, new RegExp(`^${sure.length} match, of`));
  assert.deepEqual(await uids('draft'), first);
  await isAccessible(page);
  await shoot(page, 'bulk');
  await press(page, `Accept ${sure.length}`);
  await said(page, new RegExp(`^${sure.length} accepted, of`));
  assert.deepEqual(await uids('accepted'), sure.map(({ uid }) => uid).toSorted());
  await page.reload();
  await press(page, 'Undo the last sweep');
  await said(page, new RegExp(`^${sure.length} are drafts again`));
  assert.deepEqual(await uids('draft'), first);
  assert.deepEqual(complaints, []);
});

test('drafts with a label are rejected and undone; a hostile label is a text', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  const first = await uids('draft');
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${stack.project}/bulk`);
  await page.getByLabel('Label', { exact: true }).selectOption('<img src=x onerror=alert(1)>');
  await page.waitForURL('**/bulk?label=*');
  await press(page, 'Count');
  await said(page, /^0 match/);
  assert.equal(await page.getByRole('button', { name: 'Reject' }).getAttribute('title'), 'No draft matches.');
  await page.getByLabel('Label', { exact: true }).selectOption('person');
  await page.waitForURL('**/bulk?label=person');
  await press(page, 'Count');
  await said(page, /^[1-9]\d* match/);
  await press(page, /^Reject \d/);
  await said(page, /^[1-9]\d* rejected/);
  assert.ok((await uids('draft')).length < first.length);
  await press(page, 'Undo the last sweep');
  await said(page, /^[1-9]\d* are drafts again/);
  assert.deepEqual(await uids('draft'), first);
  assert.deepEqual(complaints, []);
});
