/** The steps of the mission's documents: connect a provider of either kind, run it over a project, review what it drafted. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { call, MODEL, results, samplePictures, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
const NAMES = { sagemaker: `SageMaker ${randomUUID()}`, http: `HTTP ${randomUUID()}` };
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), samplePictures()]);
});
after(async () => {
  await browser.close();
  const { results: all } = await call<{ results: { uid: string; name: string }[] }>('GET', '/inference-providers/');
  for (const { uid } of all.filter(({ name }) => Object.values(NAMES).includes(name))) {
    await call('PATCH', `/inference-providers/${uid}/`, { is_active: false });
  }
});

async function openInference(page: Page): Promise<void> {
  await signIn(page);
  await page.getByRole('link', { name: 'Settings: Inference' }).click();
  await page.getByRole('heading', { name: 'Inference providers' }).waitFor();
}

/** The provider as the API has it. */
async function provider(name: string) {
  const page = await call<{ results: { name: string; is_active: boolean; config: Record<string, unknown> }[] }>(
    'GET',
    '/inference-providers/',
  );
  return page.results.find((one) => one.name === name);
}

test('Amazon SageMaker is connected: name, region, test, save', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await openInference(page);
  await page.getByRole('link', { name: 'Amazon SageMaker' }).click();
  await page.getByLabel('Name', { exact: true }).fill(NAMES.sagemaker);
  await page.getByLabel('Endpoint Name').fill('autolabel-yolo');
  await page.getByLabel('Region').fill('us-east-1');
  await isAccessible(page);
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByText('✓').waitFor();
  await shoot(page, 'sagemaker');
  assert.equal((await provider(NAMES.sagemaker))?.is_active, false);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('rowheader', { name: NAMES.sagemaker }).waitFor();
  await isAccessible(page);
  assert.equal((await provider(NAMES.sagemaker))?.is_active, true);
  assert.deepEqual(complaints, []);
});

test('a custom HTTP endpoint is connected; what is wrong is said where it is', async () => {
  const { page, complaints } = await watched(browser, stack.pictures, /400/);
  await openInference(page);
  await page.getByRole('link', { name: 'Custom HTTP Endpoint' }).click();
  await page.getByLabel('Name', { exact: true }).fill(NAMES.http);
  await page.getByLabel('Endpoint URL').fill('http://model.example');
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByRole('strong').getByText(/HTTPS/).waitFor();
  await page.getByLabel('Endpoint URL').fill(MODEL);
  await page.getByLabel('Authentication').selectOption('bearer');
  await page.getByLabel('Token', { exact: true }).fill('a-secret-token');
  await page.getByLabel('Timeout').fill('20');
  await isAccessible(page);
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByText('✓').waitFor();
  await shoot(page, 'http');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('rowheader', { name: NAMES.http }).waitFor();
  const saved = await provider(NAMES.http);
  assert.equal(saved?.is_active, true);
  assert.equal(saved.config['timeout'], 20);
  assert.equal(saved.config['auth_header'], '********');
  assert.deepEqual(complaints, []);
});

test('a project is labeled by a chosen provider above a threshold, and the job leads to the review', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await signIn(page);
  await page.getByRole('link', { name: stack.name }).click();
  await page.getByRole('link', { name: 'Auto-Label', exact: true }).click();
  await page.getByLabel('Inference provider').selectOption({ label: NAMES.http });
  await page.getByLabel('Confidence threshold').fill('35');
  await page.getByText('More predictions, more noise.').waitFor();
  await isAccessible(page);
  await shoot(page, 'auto-label');
  await page.getByRole('button', { name: 'Run Auto-Label' }).click();
  await page.getByRole('heading', { name: 'Job', exact: true }).waitFor();
  await page.getByText('completed').waitFor();
  await page.getByRole('listitem').first().waitFor();
  await isAccessible(page);
  await shoot(page, 'job');
  await page.getByRole('link', { name: 'Review the drafts' }).click();
  await page.waitForURL(`**/projects/${stack.project}`);
  await page.getByRole('link', { name: 'Review the drafts' }).click();
  await page.getByRole('application').waitFor();
  const drafts = await results(stack.project, 'draft');
  assert.ok(drafts.length > 0);
  assert.ok(
    drafts.every(
      ({ annotations, confidence_threshold: threshold }) =>
        threshold === 0.35 && annotations.every(({ confidence }) => confidence >= 0.35),
    ),
  );
  assert.deepEqual(complaints, []);
});
