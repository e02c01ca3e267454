/**
 * The steps of the mission's documents, one after the other: both lists of "Connect in Mission Control", and the seven of the
 * workflow, with a provider of either kind. Each step leaves a picture (`make screenshots`), which the user's guide shows.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Prediction, Provider, Result } from '../api/types.ts';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { createRole, deleteRole, trust } from './roles.ts';
import { call, MODEL, ORIGIN, results, samplePictures, type Sample } from './stack.ts';

const NAMES = { sagemaker: 'YOLO on SageMaker', http: 'Our own detector' };
const ROLE = `models-${randomUUID().slice(0, 4)}`;
const LABELS = ['person', 'car', 'cup', 'cat', 'dog', 'horse', 'motorcycle', 'dining table'];
const THRESHOLD = 0.2;

let browser: Browser;
let samples: Record<keyof typeof NAMES, Sample>;
let arn: string;

before(async () => {
  await removeProviders();
  arn = createRole(ROLE);
  const [sagemaker, http] = [await samplePictures('Sample pictures', LABELS), await samplePictures('More pictures', LABELS)];
  samples = { sagemaker, http };
  browser = await chromiumOf();
});
after(async () => {
  await browser.close();
  await removeProviders();
  deleteRole(ROLE);
});

async function providers(): Promise<Provider[]> {
  const { results: found } = await call<{ results: Provider[] }>('GET', '/inference-providers/');
  return found.filter(({ name }) => Object.values(NAMES).includes(name));
}

/** An earlier run may have left some. */
async function removeProviders(): Promise<void> {
  for (const { uid } of await providers()) {
    await call('DELETE', `/inference-providers/${uid}/`);
  }
}

/** The provider as the API has it. */
async function provider(kind: keyof typeof NAMES) {
  const found = (await providers()).find(({ name }) => name === NAMES[kind]);
  assert.ok(found, `There is no provider ${NAMES[kind]}.`);
  return { ...found, config: found.config as Record<string, unknown> };
}

async function openInference(page: Page): Promise<void> {
  await signIn(page);
  await page.getByRole('link', { name: 'Settings: Inference' }).click();
  await page.getByRole('heading', { name: 'Inference providers' }).waitFor();
}

test('Amazon SageMaker is connected in six steps', async () => {
  const { page, complaints } = await watched(browser, samples.sagemaker.pictures);
  // 1. Go to Mission Control > Settings > Inference.
  await openInference(page);
  await isAccessible(page);
  await shoot(page, 'sagemaker-1-settings');
  // 2. Click Add Provider and select Amazon SageMaker.
  await page.getByRole('link', { name: 'Amazon SageMaker' }).click();
  await page.getByRole('heading', { name: 'Add an Amazon SageMaker endpoint' }).waitFor();
  await shoot(page, 'sagemaker-2-add');
  // 3. Enter the Endpoint Name and Region.
  await page.getByLabel('Name', { exact: true }).fill(NAMES.sagemaker);
  await page.getByLabel('Endpoint Name').fill('autolabel-yolo');
  await page.getByLabel('Region').fill('us-east-1');
  await shoot(page, 'sagemaker-3-endpoint');
  // 4. Provide the IAM Role ARN that is to be assumed. Its trust policy is shown, to be pasted into it.
  await page.getByLabel('IAM Role ARN').fill(arn);
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByText('✕').waitFor();
  await isAccessible(page);
  await shoot(page, 'sagemaker-4-role');
  trust(ROLE, await page.getByLabel('Trust policy').getByRole('textbox').inputValue());
  // 5. Click Test Connection.
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByText('✓').waitFor();
  await shoot(page, 'sagemaker-5-test');
  assert.equal((await provider('sagemaker')).is_active, false);
  // 6. Save.
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('rowheader', { name: NAMES.sagemaker }).waitFor();
  await isAccessible(page);
  await shoot(page, 'sagemaker-6-saved');
  const { is_active: isActive, config } = await provider('sagemaker');
  assert.equal(isActive, true);
  assert.deepEqual([config['endpoint_name'], config['region'], config['role_arn']], ['autolabel-yolo', 'us-east-1', arn]);
  assert.deepEqual(complaints, []);
});

test('a custom HTTP endpoint is connected in seven steps; what is wrong is said where it is', async () => {
  const { page, complaints } = await watched(browser, samples.http.pictures, /400/);
  // 1. Go to Mission Control > Settings > Inference.
  await openInference(page);
  await shoot(page, 'http-1-settings');
  // 2. Click Add Provider and select Custom HTTP Endpoint.
  await page.getByRole('link', { name: 'Custom HTTP Endpoint' }).click();
  await page.getByRole('heading', { name: 'Add a custom HTTP endpoint' }).waitFor();
  await shoot(page, 'http-2-add');
  // 3. Enter the Endpoint URL (must be HTTPS).
  await page.getByLabel('Name', { exact: true }).fill(NAMES.http);
  await page.getByLabel('Endpoint URL').fill('http://model.example');
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByRole('strong').getByText(/HTTPS/).waitFor();
  await shoot(page, 'http-3-url');
  await page.getByLabel('Endpoint URL').fill(MODEL);
  // 4. Optionally configure Authentication (Bearer token or custom header).
  await page.getByLabel('Authentication').selectOption('header');
  await page.getByLabel('Header', { exact: true }).waitFor();
  await page.getByLabel('Authentication').selectOption('bearer');
  await page.getByLabel('Token', { exact: true }).fill('a-secret-token');
  await shoot(page, 'http-4-authentication');
  // 5. Set the Timeout (default: 30 seconds).
  assert.equal(await page.getByLabel('Timeout').inputValue(), '30');
  await page.getByLabel('Timeout').fill('20');
  await isAccessible(page);
  await shoot(page, 'http-5-timeout');
  // 6. Click Test Connection.
  await page.getByRole('button', { name: 'Test Connection' }).click();
  await page.getByText('✓').waitFor();
  await shoot(page, 'http-6-test');
  // 7. Save the configuration.
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('rowheader', { name: NAMES.http }).waitFor();
  await shoot(page, 'http-7-saved');
  const { is_active: isActive, config } = await provider('http');
  assert.equal(isActive, true);
  assert.deepEqual(
    [config['endpoint_url'], config['auth_type'], config['auth_header'], config['timeout']],
    [MODEL, 'bearer', '********', 20],
  );
  assert.deepEqual(complaints, []);
});

describe('the seven steps of the workflow', () => {
  for (const kind of ['sagemaker', 'http'] as const) {
    test(`with the provider "${NAMES[kind]}"`, async () => {
      const sample = samples[kind];
      const picture = (page: Page, name: string) => (kind === 'sagemaker' ? shoot(page, `workflow-${name}`) : undefined);
      const { page, complaints } = await watched(browser, sample.pictures);
      // 1. Select a project in Mission Control and open Settings > Auto-Label.
      await signIn(page);
      await page.locator(`a[href="/projects/${sample.project}"]`).click();
      await page.getByRole('heading', { name: sample.name }).waitFor();
      await page.getByRole('table').waitFor();
      await picture(page, '1-project');
      await page.getByRole('link', { name: 'Auto-Label', exact: true }).click();
      await page.getByRole('button', { name: 'Run Auto-Label' }).waitFor();
      // 2. Choose the Inference Provider to use.
      await page.getByLabel('Inference provider').selectOption({ label: NAMES[kind] });
      await picture(page, '2-provider');
      // 3. Configure the Confidence Threshold (default: 0.5).
      assert.equal(await page.getByLabel('Confidence threshold').inputValue(), '50');
      await page.getByLabel('Confidence threshold').fill(`${THRESHOLD * 100}`);
      await page.getByText('More predictions, more noise.').waitFor();
      await isAccessible(page);
      await picture(page, '3-threshold');
      // 4. Click Run Auto-Label to send all unlabeled assets in the project to the model.
      await page.getByRole('button', { name: 'Run Auto-Label' }).click();
      await page.getByRole('heading', { name: 'Job', exact: true }).waitFor();
      await page.getByText('completed').waitFor();
      await page.getByRole('listitem').first().waitFor();
      await isAccessible(page);
      await picture(page, '4-job');
      const drafts = await draftsOf(sample, kind);
      // 5. The predictions are displayed as pre-annotations in the labeling editor.
      await page.getByRole('link', { name: 'Review the drafts' }).click();
      await page.waitForURL(`**/projects/${sample.project}`);
      await page.getByRole('link', { name: 'Review the drafts' }).click();
      const draft = await openRichest(page, drafts);
      await picture(page, '5-editor');
      // 6. Annotators review each prediction: they can accept it as it is, adjust it, or delete it.
      await review(page);
      await isAccessible(page);
      await picture(page, '6-review');
      // 7. Once reviewed, the task is submitted normally through the project workflow.
      await page.keyboard.press('Enter');
      await page.getByText('All saved').waitFor();
      await page.waitForURL((url) => !url.pathname.includes(draft.item));
      await assertReviewed(draft);
      await page.goto(`${ORIGIN}/projects/${sample.project}`);
      await page.getByText('accepted').first().waitFor();
      await picture(page, '7-accepted');
      assert.deepEqual(complaints, []);
    });
  }
});

/** What the job has drafted, all of it by the provider and at or above the threshold. */
async function draftsOf({ project }: Sample, kind: keyof typeof NAMES): Promise<Result[]> {
  const [drafts, { uid }] = await Promise.all([results(project, 'draft'), provider(kind)]);
  assert.ok(drafts.length > 0);
  for (const { annotations, provider: by, confidence_threshold: threshold } of drafts) {
    assert.deepEqual([by, threshold], [uid, THRESHOLD]);
    assert.ok(annotations.every(({ confidence }) => confidence >= THRESHOLD));
  }
  return drafts;
}

/** Goes on, item by item, to the draft with the most annotations. */
async function openRichest(page: Page, drafts: readonly Result[]): Promise<Result> {
  const [richest] = drafts.toSorted((one, other) => other.annotations.length - one.annotations.length);
  assert.ok(richest && richest.annotations.length >= 3, 'No draft has three annotations.');
  for (const { item } of drafts) {
    await page.locator(`[role=application][data-item="${item}"]`).waitFor();
    await page.getByRole('option').first().waitFor();
    if (item === richest.item) {
      break;
    }
    await page.keyboard.press('f');
  }
  return richest;
}

/** Accepts the least confident annotation, moves the next one by a pixel, deletes the third. */
async function review(page: Page): Promise<void> {
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('a');
  await page.getByRole('option', { name: /, accepted/ }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Alt+ArrowRight');
  await page.getByRole('option', { name: /, changed/ }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('x');
  await page.getByRole('option', { name: /, deleted/ }).waitFor();
  await page.keyboard.press('ArrowUp');
}

/** The result is a person's: what was drafted, one annotation moved and one gone. Its task is completed. */
async function assertReviewed({ uid, annotations }: Result): Promise<void> {
  const saved = await accepted(uid);
  const [, moved, deleted] = byConfidence(annotations);
  assert.ok(moved?.type === 'bounding_box');
  const { x } = moved.coordinates;
  const wanted = annotations
    .filter((annotation) => annotation !== deleted)
    .map((annotation) => (annotation === moved ? { ...moved, coordinates: { ...moved.coordinates, x: x + 1 } } : annotation));
  assert.equal(saved.source, 'human');
  assert.deepEqual(byConfidence(saved.annotations), byConfidence(wanted));
  const { status } = await call<{ status: string }>('GET', `/tasks/${saved.task}/`);
  assert.equal(status, 'completed');
}

/** A result, when the server has the decision. */
async function accepted(uid: string): Promise<Result> {
  for (;;) {
    const result = await call<Result>('GET', `/results/${uid}/`);
    if (result.status === 'accepted') {
      return result;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
  }
}

function byConfidence(annotations: readonly Prediction[]): Prediction[] {
  return annotations.toSorted((one, other) => one.confidence - other.confidence);
}
