/** The review queue: claims, so that two people never get the same item; skip; filters in the address. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { keyOf, ORIGIN, results, sample, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), sample()]);
});
after(() => browser.close());

const reviewer = (name: string) => keyOf(name, 'projects.read', 'results.write', 'datasets.read');

/** Opens the editor on a claimed item, and gives the item. */
async function start(page: Page): Promise<string> {
  await page.goto(`${ORIGIN}/projects/${stack.project}/review`);
  await page.getByRole('button', { name: 'Start' }).click();
  return current(page);
}

async function current(page: Page, last?: string): Promise<string> {
  await page.waitForURL((url) => url.search.includes('queue=review') && !url.pathname.endsWith(last ?? '-'));
  await page.getByRole('option').first().waitFor();
  const item = await page.getByRole('application').getAttribute('data-item');
  assert.ok(item);
  return item;
}

test('the queue says what is left, in the order and with the filters of the address', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  const drafts = await results(stack.project, 'draft');
  await signIn(page);
  await page.getByRole('link', { name: stack.name }).click();
  await page.getByRole('link', { name: 'Review queue' }).click();
  await page.getByText(`${drafts.length} drafts left`).waitFor();
  await page.getByLabel('Order').selectOption('least_confident');
  await page.getByLabel('Least confidence, percent').fill('30');
  await page.waitForURL('**/review?order=least_confident&min=30');
  const many = drafts.filter(({ min_confidence: least }) => (least ?? 0) >= 0.3).length;
  assert.ok(many > 0 && many < drafts.length);
  await page.getByText(new RegExp(`^${many} drafts? left`)).waitFor();
  await isAccessible(page);
  await shoot(page, 'review-queue');
  await page.goto(`${ORIGIN}/projects/${stack.project}/review?label=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E`);
  await page.getByRole('heading', { name: 'No draft matches' }).waitFor();
  await isAccessible(page);
  assert.deepEqual(complaints, []);
});

test('two people at work never get the same item; one gets what the other has skipped', async () => {
  const [ann, bob] = await Promise.all([watched(browser, stack.pictures), watched(browser, stack.pictures)]);
  await signIn(ann.page, reviewer('ann'));
  await signIn(bob.page, reviewer('bob'));
  const drafts = await results(stack.project, 'draft');
  assert.ok(drafts.length > 2 && drafts.length <= 20);
  const skipped = await start(ann.page);
  await bob.page.goto(`${ORIGIN}/projects/${stack.project}/review`);
  await bob.page.getByRole('cell', { name: 'ann' }).first().waitFor();
  await bob.page.getByRole('button', { name: 'Start' }).click();
  await bob.page.getByRole('alert').getByText('Other people have the drafts that match').waitFor();
  await isAccessible(bob.page);

  await ann.page.keyboard.press('s');
  let item = await current(ann.page, skipped);
  assert.equal(await start(bob.page), skipped);
  const calls: string[] = [];
  ann.page.on('request', (request) => request.url().includes('/api/') && calls.push(`${request.method()} ${request.url()}`));
  const seen = [item];
  while (seen.length < drafts.length - 1) {
    await ann.page.keyboard.press('Enter');
    item = await current(ann.page, item);
    seen.push(item);
  }
  await ann.page.keyboard.press('Enter');
  await ann.page.getByRole('heading', { name: /Review queue/ }).waitFor();
  await ann.page.getByText('All saved').waitFor();
  assert.deepEqual([skipped, ...seen].toSorted(), drafts.map(({ item: one }) => one).toSorted());
  const single = calls.filter((made) => /^GET .*\/(datasets\/.*\/items|results)\/[^/]+\/$/.test(made));
  assert.deepEqual(single, [], 'a claimed item needs no read of its own');
  assert.deepEqual(
    (await results(stack.project, 'draft')).map(({ item: one }) => one),
    [skipped],
  );

  const released = bob.page.waitForResponse((answer) => answer.url().endsWith('/review-queue/release/'));
  await bob.page.getByRole('link', { name: 'Mission Control' }).click();
  await bob.page.getByRole('heading', { name: 'Projects' }).waitFor();
  await released;
  await bob.page.goto(`${ORIGIN}/projects/${stack.project}/review`);
  await bob.page.getByText('1 draft left').waitFor();
  assert.equal(await bob.page.getByRole('cell', { name: 'you' }).count(), 0, 'what was claimed is given back');
  assert.deepEqual([...ann.complaints, ...bob.complaints], []);
});
