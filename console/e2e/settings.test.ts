/** Settings > Auto-Label: label on arrival, the preview of a threshold, a dry run. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { Project } from '../api/types.ts';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { call, ORIGIN, results, sample, samplePictures, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), sample()]);
});
after(() => browser.close());

const projectOf = (uid: string) => call<Project>('GET', `/projects/${uid}/`);

test('uploads are labeled on arrival as a person sets it, and no more when it is turned off', async () => {
  const { page, complaints } = await watched(browser, stack.pictures, /400/);
  const { project } = await samplePictures();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}/auto-label`);
  await page.getByText('Off: uploads wait for a job that you start.').waitFor();
  const form = page.getByRole('form', { name: 'Label on arrival' });
  await form.getByLabel('Label uploads when they arrive').check();
  await form.getByLabel('Confidence threshold').fill('35');
  await form.getByLabel('Pause').fill('5000');
  await form.getByRole('button', { name: 'Save the setting' }).click();
  await form
    .getByRole('alert')
    .getByText(/quiet_seconds/)
    .waitFor();
  await form.getByLabel('Pause').fill('15');
  await form.getByLabel('Most items in a day').fill('100');
  await isAccessible(page);
  await shoot(page, 'arrival');
  await form.getByRole('button', { name: 'Save the setting' }).click();
  await page.getByText('On: a job labels what was uploaded').waitFor();
  assert.deepEqual((await projectOf(project)).auto_label_on_upload, {
    provider_id: null,
    model_type: (await projectOf(project)).auto_label_on_upload?.model_type ?? null,
    confidence_threshold: 0.35,
    labels: [],
    quiet_seconds: 15,
    max_items_per_day: 100,
  });
  await form.getByLabel('Label uploads when they arrive').uncheck();
  await form.getByRole('button', { name: 'Save the setting' }).click();
  await page.getByText('Off: uploads wait for a job that you start.').waitFor();
  assert.equal((await projectOf(project)).auto_label_on_upload, null);
  assert.deepEqual(complaints, []);
});

test('a threshold is tried on three drafts, without a call of the model', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  const three = (await results(stack.project, 'draft')).slice(-3);
  const least = Math.min(...three.map(({ min_confidence: confidence }) => confidence ?? 0));
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${stack.project}/auto-label`);
  await page.getByLabel('Confidence threshold').fill('0');
  await page.getByRole('button', { name: 'Preview on three drafts' }).click();
  const shown = page.getByRole('img', { name: /predictions stay/ });
  await shown.nth(2).waitFor();
  const all = three.reduce((sum, { annotation_count: count }) => sum + count, 0);
  const staying = async () => {
    const names = await shown.evaluateAll((canvases) => canvases.map((canvas) => canvas.getAttribute('aria-label') ?? ''));
    return names.reduce((sum, name) => sum + Number(/(\d+) of \d+ predictions/.exec(name)?.[1]), 0);
  };
  assert.equal(await staying(), all);
  await page.getByLabel('Confidence threshold').fill(`${Math.ceil(least * 100) + 1}`);
  assert.ok((await staying()) < all);
  await isAccessible(page);
  await shoot(page, 'preview');
  assert.deepEqual(complaints, []);
});

test('a dry run counts by label, and leaves no draft', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  const { project } = await samplePictures();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}/auto-label`);
  await page.getByLabel('Dry run').check();
  await page.getByRole('button', { name: 'Run Auto-Label' }).click();
  await page.getByText('completed, a dry run').waitFor();
  await page.getByText(/The drafts would have \d+ annotations/).waitFor();
  await isAccessible(page);
  assert.deepEqual(await results(project, 'draft'), []);
  assert.deepEqual(complaints, []);
});
