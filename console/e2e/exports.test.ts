/** Labels leave: an export is created, followed, downloaded and read. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import type { Export, Result } from '../api/types.ts';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { call, keyOf, ORIGIN, results, sample, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), sample()]);
});
after(() => browser.close());

async function opened(page: Page): Promise<void> {
  await page.goto(`${ORIGIN}/projects/${stack.project}`);
  await page.getByRole('link', { name: 'Exports' }).click();
  await page.getByRole('heading', { name: `Exports ${stack.name}` }).waitFor();
}

/** The bytes behind a link, as its owner's browser would save them. */
async function downloaded(page: Page, name: string): Promise<Buffer> {
  const link = page.getByRole('link', { name: `Download ${name}` });
  const url = await link.getAttribute('href');
  const answer = await fetch(url ?? '');
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

function byResult(all: readonly (readonly [string, unknown])[]) {
  return all.toSorted(([one], [other]) => one.localeCompare(other));
}

const exportsOf = async () => (await call<{ results: Export[] }>('GET', `/exports/?project=${stack.project}`)).results;

test('drafts are exported as JSON Lines by keyboard alone, and the file is what the API has', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await signIn(page);
  await opened(page);
  await page.getByText('The project has no export yet').waitFor();
  await isAccessible(page);
  await page.getByLabel('Accepted').focus();
  await page.keyboard.press('Space');
  await page.getByText('Choose at least one status.').waitFor();
  const create = page.getByRole('button', { name: 'Create the export' });
  assert.equal(await create.getAttribute('title'), 'Choose at least one status.');
  await page.getByLabel('Drafts').focus();
  await page.keyboard.press('Space');
  await create.focus();
  await page.keyboard.press('Enter');
  const one = page.getByRole('article', { name: 'JSON Lines' });
  await one.getByText(/^exported: (\d+) of \1 items, kept until/).waitFor();
  await isAccessible(page);
  const lines = gunzipSync(await downloaded(page, 'annotations.jsonl.gz'))
    .toString()
    .trim()
    .split('\n');
  const rows = lines.map((line) => JSON.parse(line) as { result: string; annotations: Result['annotations'] });
  const drafts = await results(stack.project, 'draft');
  assert.deepEqual(
    byResult(rows.map(({ result, annotations }) => [result, annotations])),
    byResult(drafts.map(({ uid, annotations }) => [uid, annotations])),
  );
  await one.getByRole('button', { name: 'Delete JSON Lines' }).click();
  await one.getByRole('button', { name: 'Really delete it with its file?' }).click();
  await page.getByText('The project has no export yet').waitFor();
  assert.deepEqual(await exportsOf(), []);
  assert.deepEqual(complaints, []);
});

test('COCO with a label, a confidence and a name has these alone; a share of a split that is wrong is named before it is sent', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await signIn(page);
  await opened(page);
  await page.getByLabel('Format').selectOption('coco');
  await page.getByText('Leaves out cuboids').waitFor();
  await page.getByLabel('Drafts').check();
  await page.getByText('Only some of it, a split, a name').click();
  await page.getByLabel('horse', { exact: true }).check();
  await page.getByLabel('Least confidence, percent').fill('30');
  await page.getByLabel('train').fill('80');
  await page.getByText('The parts of the split are percentages that add up to 100.').waitFor();
  await page.getByRole('button', { name: 'Create the export' }).click({ force: true });
  assert.deepEqual(await exportsOf(), []);
  await page.getByLabel('val').fill('20');
  await page.getByLabel('Name').fill('<b>Horses</b>');
  await isAccessible(page);
  await page.getByRole('button', { name: 'Create the export' }).click();
  const one = page.getByRole('article', { name: '<b>Horses</b>' });
  await one.getByText(/labels horse; confidence from 30 %; split 80 \/ 20 \/ 0 %/).waitFor();
  await one.getByText(/^exported: /).waitFor();
  await isAccessible(page);
  await page.reload();
  await one.getByText(/^exported: /).waitFor();
  await shoot(page, 'exports');
  const coco = JSON.parse((await downloaded(page, 'instances.json')).toString()) as {
    images: object[];
    annotations: { category_id: number; score: number }[];
    categories: { id: number; name: string }[];
  };
  const horse = coco.categories.find(({ name }) => name === 'horse');
  assert.equal(coco.images.length, (await results(stack.project, 'draft')).length);
  assert.ok(coco.annotations.length > 0);
  assert.ok(coco.annotations.every(({ category_id: id, score }) => id === horse?.id && score >= 0.3));
  const [made] = await exportsOf();
  assert.deepEqual(made?.split, { train: 0.8, val: 0.2, test: 0 });
  assert.deepEqual(complaints, []);
});

test('a key without the scope sees the files, and can create and delete none', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await signIn(page, keyOf('reader of exports', 'projects.read'));
  await opened(page);
  await page.getByRole('link', { name: 'Download instances.json' }).waitFor();
  for (const name of ['Create the export', 'Delete <b>Horses</b>']) {
    const button = page.getByRole('button', { name });
    assert.equal(await button.getAttribute('title'), 'Your key needs the scope exports.create.');
  }
  assert.deepEqual(complaints, []);
});
