/** What a person does in an order that no one expects, and two tabs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Result } from '../api/types.ts';
import { chromiumOf, isAccessible, watched, watchedTab, type Watched } from './browser.ts';
import { box, drafted, resultOf, type Drafted } from './drafted.ts';
import { call, KEY, ORIGIN, results } from './stack.ts';

const PICTURE = readFileSync(new URL('../../examples/pictures/horse.jpg', import.meta.url));
const ITEMS = 8;

let browser: Browser;
let stack: Drafted;
before(async () => {
  const predictions = [box('horse', 0.3, 100.25, 150, 100, 80), box('horse', 0.6, 20, 20, 40, 30)];
  const files = Array.from({ length: ITEMS }, (_, at) => ({ key: `${at}.jpg`, body: PICTURE, predictions }));
  [browser, stack] = await Promise.all([chromiumOf(), drafted(files, ['horse', 'dog'])]);
});
after(() => browser.close());

const addressOf = (item: string) => `${ORIGIN}/projects/${stack.project}/items/${item}?queue=draft`;

/** Opens the first draft. */
async function opened(expected: RegExp | null = null): Promise<Watched & { draft: Result; next: Result }> {
  const [draft, next] = (await results(stack.project, 'draft')) as [Result, Result];
  const person = await watched(browser, stack.pictures, expected);
  await person.page.goto(`${addressOf(draft.item)}#key=${KEY}`);
  await ready(person.page, draft.item);
  return { ...person, draft, next };
}

async function ready(page: Page, item: string): Promise<void> {
  await page.locator(`[role=application][data-item="${item}"]`).waitFor();
  await page.getByRole('option').first().waitFor();
}

/** A point of the picture on the screen: it is shown as large as it is, in the middle. */
async function pointOf(page: Page, x: number, y: number): Promise<[number, number]> {
  const canvas = (await page.locator('canvas').boundingBox())!;
  return [canvas.x + Math.round(canvas.width / 2 - 200) + x, canvas.y + Math.round(canvas.height / 2 - 164) + y];
}

/** Accepts the item, and gives what the API then has. */
async function accepted(page: Page, { item }: Result): Promise<Result> {
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.pathname.includes(item));
  await page.getByText('All saved').waitFor();
  return resultOf(stack.project, item);
}

const xOf = ({ annotations: [first] }: Result) => (first?.type === 'bounding_box' ? first.coordinates.x : Number.NaN);

test('a zoom in the middle of a drag: the annotation stays under the pointer', async () => {
  const { page, complaints, draft } = await opened();
  const [x, y] = await pointOf(page, 150, 190);
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 20, y, { steps: 2 });
  await page.mouse.wheel(0, -200);
  await page.mouse.move(x + 40, y, { steps: 2 });
  await page.mouse.up();
  await page.getByRole('option', { name: /changed/ }).waitFor();
  const saved = await accepted(page, draft);
  assert.ok(Math.abs(xOf(saved) - xOf(draft) - 20 - 20 / Math.exp(0.5)) < 1, `${xOf(saved)}`);
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a deletion in the middle of a drag is a deletion, and undo takes back one after the other', async () => {
  const { page, complaints } = await opened();
  const [x, y] = await pointOf(page, 150, 190);
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 20, y, { steps: 2 });
  await page.keyboard.press('x');
  await page.mouse.move(x + 40, y, { steps: 2 });
  await page.mouse.up();
  await page.getByRole('option', { name: /30 %, deleted/ }).waitFor();
  await page.keyboard.press('Control+z');
  await page.getByRole('option', { name: /30 %, changed/ }).waitFor();
  await page.getByText('120.25, 150').waitFor();
  await page.keyboard.press('Control+z');
  await page.getByRole('option', { name: /30 %, open/ }).waitFor();
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('undo in the middle of a stroke takes back the stroke; the brush is still there', async () => {
  const { page, complaints } = await opened();
  await page.keyboard.press('b');
  const [x, y] = await pointOf(page, 250, 300);
  const stroke = async (undo: boolean) => {
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + 20, y, { steps: 3 });
    if (undo) {
      await page.keyboard.press('Control+z');
    }
    await page.mouse.up();
  };
  await stroke(true);
  assert.equal(await page.getByRole('option').count(), 2);
  await stroke(false);
  await page.getByRole('option', { name: /segmentation mask/ }).waitFor();
  await page.keyboard.press('Control+z');
  await page.getByRole('option', { name: /segmentation mask/ }).waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('what is drawn but not finished is kept when the person goes to the next item', async () => {
  const { page, complaints, draft, next } = await opened();
  await page.keyboard.press('p');
  for (const [dx, dy] of [
    [200, 50],
    [280, 50],
    [240, 110],
  ] as const) {
    await page.mouse.click(...(await pointOf(page, dx, dy)));
  }
  await page.keyboard.press('f');
  await ready(page, next.item);
  await page.keyboard.press('d');
  await ready(page, draft.item);
  await page.getByRole('option', { name: /polygon, 100 %, changed/ }).waitFor();
  await page.keyboard.press('Control+z');
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('keys that come after Enter are meant for the next item', async () => {
  const { page, complaints, draft, next } = await opened();
  await page.keyboard.press('ArrowDown');
  await page.evaluate(() => {
    const root = document.querySelector('[role=application]')!;
    for (const key of ['Enter', 'x', 'Enter']) {
      root.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    }
  });
  await ready(page, next.item);
  await page.getByText('All saved').waitFor();
  const { annotations, revision } = await resultOf(stack.project, draft.item);
  assert.deepEqual([annotations.length, revision], [2, draft.revision + 1]);
  assert.equal((await resultOf(stack.project, next.item)).status, 'draft');
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a conflict in the middle of a drag on the next item loses neither', async () => {
  const { page, complaints, draft, next } = await opened(/412/);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Alt+ArrowRight');
  await call('PATCH', `/results/${draft.uid}/`, {
    annotations: [...draft.annotations, { type: 'classification', label: 'dog', confidence: 1 }],
  });
  await page.keyboard.press('Enter');
  await ready(page, next.item);
  const [x, y] = await pointOf(page, 150, 190);
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 10, y, { steps: 2 });
  await page.getByRole('link', { name: 'See both' }).waitFor();
  await page.mouse.move(x + 20, y, { steps: 2 });
  await page.mouse.up();
  await page.getByText('120.25, 150').waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'See both' }).click();
  await ready(page, draft.item);
  await page.getByText(/Yours is merged with it/).waitFor();
  const merged = await accepted(page, draft);
  assert.deepEqual([xOf(merged), merged.annotations.length], [xOf(draft) + 1, 3]);
  assert.equal(xOf(await resultOf(stack.project, next.item)), xOf(next) + 20);
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a second tab says that the item is open in another one, and takes it over with what was done there', async () => {
  const { page, complaints, draft } = await opened();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('x');
  await page.getByRole('option', { name: /deleted/ }).waitFor();
  const other = await watchedTab(page.context(), stack.pictures, null, complaints);
  await other.goto(`${addressOf(draft.item)}#key=${KEY}`);
  await other.getByRole('alert').getByText('This item is open in another tab.').waitFor();
  await isAccessible(other);
  await other.getByRole('button', { name: 'Edit it here' }).click();
  await other.getByText('Your 1 unsaved change came back.').waitFor();
  await other.getByRole('option', { name: /deleted/ }).waitFor();
  await page.getByRole('alert').getByText('This item is open in another tab.').waitFor();
  await page.keyboard.press('Control+z');
  await other.waitForTimeout(1000);
  assert.equal(await page.getByRole('option', { name: /deleted/ }).count(), 1);
  assert.equal(await other.getByRole('alert').count(), 0);
  await other.keyboard.press('Alt+ArrowRight');
  await other.keyboard.press('Control+z');
  await other.getByRole('option', { name: /deleted/ }).waitFor({ state: 'detached' });
  // The first tab takes it back.
  await page.getByRole('button', { name: 'Edit it here' }).click();
  // It is opened once more: until it is there, no key is meant for it.
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await ready(page, draft.item);
  assert.equal(await page.getByRole('option', { name: /deleted/ }).count(), 0);
  await other.getByRole('alert').getByText('This item is open in another tab.').waitFor();
  assert.equal((await accepted(page, draft)).source, 'auto_label');
  assert.deepEqual(complaints, []);
  await page.context().close();
});
