/** Files that are dropped on a project become its items. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import type { Item } from '../api/types.ts';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { call, ORIGIN, PICTURES, samplePictures } from './stack.ts';

let browser: Browser;
let pictures: string;
before(async () => {
  [browser, { pictures }] = await Promise.all([chromiumOf(), samplePictures()]);
});
after(() => browser.close());

const sample = (name: string) => fileURLToPath(new URL(name, PICTURES));

async function newProject(): Promise<string> {
  return (await call<{ uid: string }>('POST', '/projects/', { name: `Uploads ${randomUUID()}`, labels: ['person'] })).uid;
}

async function items(project: string): Promise<Item[]> {
  return (await call<{ results: Item[] }>('GET', `/projects/${project}/items/?ordering=created_at`)).results;
}

/** Drops files on the page, as a desktop does. */
async function drop(page: Page, files: readonly { name: string; bytes: Buffer }[]): Promise<void> {
  const given = files.map(({ name, bytes }) => ({ name, bytes: [...bytes] }));
  const dropped = await page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const { name, bytes } of all) {
      transfer.items.add(new File([new Uint8Array(bytes)], name));
    }
    return transfer;
  }, given);
  await page.getByText('Drop files or folders here').dispatchEvent('drop', { dataTransfer: dropped });
}

test('files are dropped: pictures become items with their size, another file says why it does not', async () => {
  const { page, complaints } = await watched(browser, pictures);
  const project = await newProject();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}`);
  await page.getByText('The project has no item yet').waitFor();
  await isAccessible(page);
  const names = ['horse.jpg', 'coffee.jpg', 'rocket.jpg', 'chelsea.jpg'];
  const files = names.map((name) => ({ name, bytes: readFileSync(sample(name)) }));
  await drop(page, [...files, { name: '<img src=x onerror=alert(1)>.pdf', bytes: Buffer.from('%PDF-1.7') }]);
  await page.getByText('4 of 5 uploaded, 1 not').waitFor();
  await page.getByText(/it has none of the formats/).waitFor();
  await page.getByRole('rowheader', { name: 'horse.jpg' }).waitFor();
  await page.getByRole('cell', { name: '400 × 328' }).waitFor();
  await isAccessible(page);
  await shoot(page, 'upload');
  const made = await items(project);
  assert.deepEqual(made.map(({ key }) => key).toSorted(), names.toSorted());
  assert.deepEqual(complaints, []);
});

test('a name that is taken is written over only if a person says so', async () => {
  const { page, complaints } = await watched(browser, pictures);
  const project = await newProject();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}`);
  const input = page.getByLabel('Files to upload');
  await input.setInputFiles(sample('horse.jpg'));
  await page.getByRole('cell', { name: '400 × 328' }).waitFor();
  const [old] = await items(project);
  await page.reload();
  await input.setInputFiles({ name: 'horse.jpg', mimeType: 'image/jpeg', buffer: readFileSync(sample('coffee.jpg')) });
  await page.getByText('The project has an item of this name.').waitFor();
  assert.deepEqual(await items(project), [old]);
  await page.getByRole('button', { name: 'Replace the file of horse.jpg' }).click();
  await page.getByText('1 of 1 uploaded').waitFor();
  for (let [now] = await items(project); now?.version === old?.version; [now] = await items(project)) {
    await page.waitForTimeout(200);
  }
  assert.deepEqual(complaints, []);
});

test('what the server refuses later is listed with its reason; what failed on the way is tried again', async () => {
  const { page, complaints } = await watched(browser, pictures, /ERR_INTERNET_DISCONNECTED/);
  const project = await newProject();
  await signIn(page);
  await page.goto(`${ORIGIN}/projects/${project}`);
  await page.getByText('The project has no item yet').waitFor();
  await page.context().setOffline(true);
  await drop(page, [{ name: 'cut.jpg', bytes: readFileSync(sample('horse.jpg')).subarray(0, 100) }]);
  await page.getByText('Adding the item: The server cannot be reached.').waitFor();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: 'Retry cut.jpg' }).click();
  await page.getByText('1 of 1 uploaded').waitFor();
  await page.getByText(/became no item/).waitFor();
  await page.getByText(/^cut\.jpg: /).waitFor();
  await isAccessible(page);
  assert.deepEqual(complaints, []);
});
