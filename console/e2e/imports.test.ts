/** Labels arrive: a file is dropped, its format guessed, and what became of its items reported. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Import, Result } from '../api/types.ts';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { call, keyOf, ORIGIN, samplePictures } from './stack.ts';

let browser: Browser;
let pictures: string;
before(async () => {
  [browser, { pictures }] = await Promise.all([chromiumOf(), samplePictures()]);
});
after(() => browser.close());

/** A project with two items and the label `cat`. */
async function newProject(): Promise<string> {
  const { uid } = await call<{ uid: string }>('POST', '/projects/', { name: `Imports ${randomUUID()}`, labels: ['cat'] });
  const items = ['street/1.jpg', 'street/2.jpg'].map((key) => ({ key, width: 640, height: 480 }));
  await call('POST', `/projects/${uid}/items/`, { items });
  return uid;
}

/** A box a picture; the third picture is of no item. */
function coco(label: string): Buffer {
  const names = ['street/1.jpg', 'street/2.jpg', 'street/<b>3</b>.jpg'];
  const images = names.map((name, at) => ({ id: at + 1, file_name: name, width: 640, height: 480 }));
  const annotations = images.map(({ id }) => ({
    id,
    image_id: id,
    category_id: 1,
    bbox: [10, 20, 30, 40],
    area: 1200,
    iscrowd: 0,
  }));
  return Buffer.from(JSON.stringify({ images, annotations, categories: [{ id: 1, name: label }] }));
}

/** Drops files on the page, as a desktop does. */
async function drop(page: Page, ...files: readonly { name: string; bytes: Buffer }[]): Promise<void> {
  const given = files.map(({ name, bytes }) => ({ name, bytes: [...bytes] }));
  const dropped = await page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const { name, bytes } of all) {
      transfer.items.add(new File([new Uint8Array(bytes)], name));
    }
    return transfer;
  }, given);
  await page.getByText('Drop a file with labels here').dispatchEvent('drop', { dataTransfer: dropped });
}

const resultsOf = async (project: string) =>
  (await call<{ results: Result[] }>('GET', `/projects/${project}/results/?ordering=created_at`)).results;

test('a COCO file is dropped: its labels are drafts, what was not taken has a reason, and a second time changes nothing', async () => {
  const { page, complaints } = await watched(browser, pictures);
  const project = await newProject();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}`);
  await page.getByRole('link', { name: 'Imports' }).click();
  await page.getByText('The project has no import yet').waitFor();
  await isAccessible(page);
  const start = page.getByRole('button', { name: 'Import', exact: true });
  assert.equal(await start.getAttribute('title'), 'Choose a file first.');
  await drop(page, { name: 'a.json', bytes: coco('cat') }, { name: 'b.json', bytes: coco('cat') });
  await page.getByText('One file is one import.').waitFor();
  await drop(page, { name: 'a.txt', bytes: Buffer.from('cat 1 2 3 4') });
  await page.getByText('Its format cannot be guessed: choose it.').waitFor();
  assert.equal(await start.getAttribute('title'), 'Choose the format of the file.');
  await drop(page, { name: 'instances.json', bytes: coco('cat') });
  await page.getByText('Guessed by its name and its first bytes.').waitFor();
  assert.equal(await page.getByLabel('Format').inputValue(), 'coco');
  await page.getByLabel('Drafts: they wait for a review.').check();
  await isAccessible(page);
  await start.click();
  await page.getByText('was sent. The import begins by itself.').waitFor();
  await page.getByText('imported: 3 items read, 2 have a result by it, 0 had one before, 1 not taken').waitFor();
  await page.getByText('1 reason', { exact: true }).click();
  await page.getByText('street/<b>3</b>.jpg').first().waitFor();
  await isAccessible(page);
  await shoot(page, 'imports');
  const url = await page.getByRole('link', { name: 'The whole report' }).getAttribute('href');
  const [reason] = (await (await fetch(url ?? '')).text()).trim().split('\n');
  assert.equal((JSON.parse(reason ?? '') as { name: string }).name, 'street/<b>3</b>.jpg');
  const made = await resultsOf(project);
  assert.deepEqual(
    made.map(({ status }) => status),
    ['draft', 'draft'],
  );
  await page.getByLabel('File with labels').setInputFiles({ name: 'again.json', mimeType: '', buffer: coco('cat') });
  await start.click();
  await page.getByText('imported: 3 items read, 0 have a result by it, 2 had one before, 1 not taken').waitFor();
  assert.deepEqual(await resultsOf(project), made);
  assert.deepEqual(complaints, []);
});

test('a label that the project does not have is added only if a person says so; a broken file says why', async () => {
  const { page, complaints } = await watched(browser, pictures);
  const project = await newProject();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}/imports`);
  const input = page.getByLabel('File with labels');
  const start = page.getByRole('button', { name: 'Import', exact: true });
  await input.setInputFiles({ name: 'dogs.json', mimeType: '', buffer: coco('dog') });
  await start.click();
  await page.getByText('imported: 3 items read, 0 have a result by it, 0 had one before, 3 not taken').waitFor();
  await input.setInputFiles({ name: 'dogs.json', mimeType: '', buffer: coco('dog') });
  await page.getByLabel('Add labels that the project does not have').check();
  await start.click();
  await page.getByText('imported: 3 items read, 2 have a result by it, 0 had one before, 1 not taken').waitFor();
  const made = await resultsOf(project);
  assert.deepEqual(
    made.map(({ status, source }) => [status, source]),
    made.map(() => ['accepted', 'human']),
  );
  await input.setInputFiles({ name: 'cut.json', mimeType: '', buffer: coco('dog').subarray(0, 100) });
  await start.click();
  await page.getByText(/^failed: /).waitFor();
  const [failed] = (await call<{ results: Import[] }>('GET', `/projects/${project}/imports/`)).results;
  await page
    .getByRole('alert')
    .getByText(failed?.error_message ?? '-')
    .waitFor();
  assert.deepEqual(complaints, []);
});

test('an import whose file did not arrive takes it later; a key that may only read imports nothing', async () => {
  const { page, complaints } = await watched(browser, pictures);
  const project = await newProject();
  await call('POST', `/projects/${project}/imports/`, { format: 'coco', as: 'accepted' });
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}/imports`);
  await page.getByText('It waits for its file.').waitFor();
  await page.getByLabel('File of COCO').setInputFiles({ name: 'late.json', mimeType: '', buffer: coco('cat') });
  await page.getByText(/^imported: 3 items read, 2 have a result/).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(page, keyOf('reader of imports', 'projects.read'));
  await page.goto(`${ORIGIN}/projects/${project}/imports`);
  await page.getByText(/^imported: /).waitFor();
  for (const name of ['Import', 'Choose a file']) {
    const button = page.getByRole('button', { name, exact: true });
    assert.equal(await button.getAttribute('title'), 'Your key needs the scope projects.write.');
  }
  await isAccessible(page);
  assert.deepEqual(complaints, []);
});
