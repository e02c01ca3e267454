import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Result } from '../api/types.ts';
import { runsOf } from '../editor/rle.ts';
import { chromiumOf, isAccessible, shoot, signIn, watched } from './browser.ts';
import { call, KEY, ORIGIN, results, sample, type Sample } from './stack.ts';

let browser: Browser;
let stack: Sample;
before(async () => {
  [browser, stack] = await Promise.all([chromiumOf(), sample()]);
});
after(() => browser.close());

/** Opens the first draft of the queue and gives it, as the API has it. */
async function openFirstDraft(page: Page): Promise<Result> {
  const [draft] = await results(stack.project, 'draft');
  assert.ok(draft);
  await page.goto(`${ORIGIN}/projects/${stack.project}`);
  await page.getByRole('link', { name: 'Review the drafts' }).click();
  await ready(page, draft);
  return draft;
}

async function ready(page: Page, { item }: Result): Promise<void> {
  await page.waitForURL(`**/items/${item}?*`);
  await page.locator(`[role=application][data-item="${item}"]`).waitFor();
  await page.getByRole('option').first().waitFor();
}

const byUid = async (status: 'draft' | 'accepted', uid: string) =>
  (await results(stack.project, status)).find((one) => one.uid === uid);

test('a key that opens nothing is refused with a reason', async () => {
  const { page, complaints } = await watched(browser, stack.pictures, /401/);
  await page.goto(`${ORIGIN}/`);
  await isAccessible(page);
  await shoot(page, 'sign-in');
  await page.getByLabel('API key').fill('avk_wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('Invalid API key.').waitFor();
  assert.deepEqual(complaints, []);
});

test('a key in the fragment of the address is taken off it', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await page.goto(`${ORIGIN}/#key=${KEY}`);
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
  assert.equal(page.url(), `${ORIGIN}/`);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem('api-key')), null);
  assert.deepEqual(complaints, []);
});

const xs = ({ annotations }: Result) => annotations.map((one) => (one.type === 'bounding_box' ? one.coordinates.x : 0));

describe('a person who reviews', () => {
  test('signs in, opens a project and a draft, moves a box by keyboard, saves, and the API has exactly that', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    await isAccessible(page);
    await shoot(page, 'projects');
    await page.getByRole('link', { name: stack.name }).click();
    await page.getByRole('heading', { name: stack.name }).waitFor();
    await page.getByRole('table').waitFor();
    await isAccessible(page);
    await shoot(page, 'project');
    const draft = await openFirstDraft(page);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Alt+ArrowRight');
    await page.keyboard.press('Alt+ArrowRight');
    await page.keyboard.press('Alt+ArrowUp');
    await page.getByRole('option', { selected: true }).waitFor();
    await isAccessible(page);
    await shoot(page, 'editor');
    const [, second] = await results(stack.project, 'draft');
    await page.keyboard.press('Enter');
    await ready(page, second!);
    await page.getByText('All saved').waitFor();

    const saved = await byUid('accepted', draft.uid);
    const least = draft.annotations.toSorted((one, other) => one.confidence - other.confidence)[0]!;
    const wanted = draft.annotations.map((annotation) =>
      annotation === least && annotation.type === 'bounding_box'
        ? {
            ...annotation,
            coordinates: { ...annotation.coordinates, x: annotation.coordinates.x + 2, y: annotation.coordinates.y - 1 },
          }
        : annotation,
    );
    assert.deepEqual(saved?.annotations, wanted);
    assert.equal(saved.source, 'human');
    assert.deepEqual(complaints, []);
  });

  test('accepts a clean item by one key, with one write', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    const writes: string[] = [];
    page.on(
      'request',
      (request) => request.method() !== 'GET' && writes.push(`${request.method()} ${new URL(request.url()).pathname}`),
    );
    await page.keyboard.press('Enter');
    await page.getByText('All saved').waitFor();
    await page.waitForURL((url) => !url.pathname.includes(draft.item));
    assert.deepEqual(writes, [`POST /api/v1/results/${draft.uid}/accept/`]);
    const saved = await byUid('accepted', draft.uid);
    assert.equal(saved?.source, 'auto_label');
    assert.deepEqual(saved.annotations, draft.annotations);
    assert.deepEqual(complaints, []);
  });

  test('finds the work again after a reload, and undoes it', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await page.getByRole('option', { name: /deleted/ }).waitFor();
    await page.reload();
    await page.getByText('Your 1 unsaved change came back.').waitFor();
    await page.getByRole('option', { name: /deleted/ }).waitFor();
    await page.keyboard.press('Control+z');
    await page.getByRole('option', { name: /deleted/ }).waitFor({ state: 'detached' });
    assert.deepEqual((await byUid('draft', draft.uid))?.annotations, draft.annotations);
    assert.deepEqual(complaints, []);
  });

  test('edits an item in one tab at a time', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    const other = await page.context().newPage();
    await signIn(other);
    await other.goto(page.url());
    await other.getByText('This item is open in another tab.').waitFor();
    await other.keyboard.press('ArrowDown');
    await other.keyboard.press('x');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await page.getByRole('option', { name: /deleted/ }).waitFor();
    assert.equal(await other.getByRole('option', { name: /deleted/ }).count(), 0);
    await page.close();
    await other.getByRole('option', { name: /deleted/ }).waitFor();
    await other.keyboard.press('Control+z');
    await other.getByRole('option', { name: /deleted/ }).waitFor({ state: 'detached' });
    assert.deepEqual((await byUid('draft', draft.uid))?.annotations, draft.annotations);
    assert.deepEqual(complaints, []);
  });

  test('draws a box with the mouse, labels it by a digit, and may do the same by keys of the help', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Draw a box').waitFor();
    await isAccessible(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    const canvas = (await page.locator('canvas').boundingBox())!;
    const [x, y] = [canvas.x + canvas.width / 2, canvas.y + canvas.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + 60, y + 40);
    await page.mouse.up();
    await page.keyboard.press('2');
    await page.getByRole('option', { name: 'car, bounding box, 100 %, changed' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('All saved').waitFor();
    await page.waitForURL((url) => !url.pathname.includes(draft.item));
    const saved = await byUid('accepted', draft.uid);
    assert.equal(saved?.annotations.length, draft.annotations.length + 1);
    assert.equal(saved.annotations.at(-1)?.label, 'car');
    assert.deepEqual(complaints, []);
  });

  test('is shown both sides if another person has changed the draft meanwhile, and loses nothing', async () => {
    const { page, complaints } = await watched(browser, stack.pictures, /412/);
    await signIn(page);
    const draft = await openFirstDraft(page);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    const theirs = { type: 'classification', label: 'person', confidence: 1 };
    await call('PATCH', `/results/${draft.uid}/`, { annotations: [...draft.annotations, theirs] });
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'See both' }).click();
    await page.getByText(/changed this result meanwhile/).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('All saved').waitFor();
    const saved = await byUid('accepted', draft.uid);
    assert.equal(saved?.annotations.length, draft.annotations.length);
    assert.deepEqual(complaints, []);
  });

  test('paints a mask and erases a part of it, by keys of their own choice', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    await page.keyboard.press('?');
    await page.getByRole('button', { name: 'Change the key: Paint the selected mask' }).click();
    await page.keyboard.press('m');
    await page.getByRole('button', { name: 'Close' }).click();
    const canvas = (await page.locator('canvas').boundingBox())!;
    const [x, y] = [canvas.x + canvas.width / 2, canvas.y + canvas.height / 2];
    const drag = async (dx: number, dy: number) => {
      await page.mouse.move(x, y);
      await page.mouse.down();
      await page.mouse.move(x + dx, y + dy, { steps: 5 });
      await page.mouse.up();
    };
    await page.keyboard.press('m');
    await drag(80, 40);
    await page.getByRole('option', { name: /segmentation mask, 100 %, changed/ }).waitFor();
    await page.keyboard.press('e');
    await drag(0, 10);
    await shoot(page, 'mask');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.getByText('All saved').waitFor();
    await page.waitForURL((url) => !url.pathname.includes(draft.item));
    const mask = (await byUid('accepted', draft.uid))?.annotations.at(-1);
    assert.ok(mask?.type === 'segmentation_mask');
    assert.ok(runsOf(mask.mask.counts).length > 20);
    assert.deepEqual(complaints, []);
  });

  test('works on without a network, and the decision is sent when it is back', async () => {
    const { page, complaints } = await watched(browser, stack.pictures, /ERR_INTERNET_DISCONNECTED/);
    await signIn(page);
    const draft = await openFirstDraft(page);
    await page.context().setOffline(true);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await page.keyboard.press('Enter');
    await page.getByText('1 not saved').waitFor();
    assert.deepEqual((await byUid('draft', draft.uid))?.annotations, draft.annotations);
    await page.context().setOffline(false);
    await page.getByText('All saved').waitFor();
    assert.equal((await byUid('accepted', draft.uid))?.source, 'human');
    assert.deepEqual(complaints, []);
  });

  test('goes back to what was just saved, and on from there', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    const [, second] = await results(stack.project, 'draft');
    const nudge = async () => {
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Alt+ArrowRight');
      await page.keyboard.press('Enter');
    };
    await nudge();
    await ready(page, second!);
    await page.keyboard.press('d');
    await ready(page, draft);
    await nudge();
    await ready(page, second!);
    await page.getByText('All saved').waitFor();
    const saved = await byUid('accepted', draft.uid);
    assert.equal(saved?.annotations.length, draft.annotations.length);
    assert.equal(
      xs(saved)
        .reduce((sum, x) => sum + x, 0)
        .toFixed(6),
      (xs(draft).reduce((sum, x) => sum + x, 0) + 2).toFixed(6),
    );
    assert.deepEqual(complaints, []);
  });

  test('labels by hand what no job has drafted', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    await page.goto(`${ORIGIN}/projects/${stack.project}`);
    await page
      .getByRole('row', { name: /flower\.jpg.*none/ })
      .first()
      .getByRole('link')
      .click();
    await page.getByText('This item has no result.').waitFor();
    const item = new URL(page.url()).pathname.split('/').at(-1);
    await page.keyboard.press('n');
    const canvas = (await page.locator('canvas').boundingBox())!;
    await page.mouse.move(canvas.x + canvas.width / 2, canvas.y + canvas.height / 2);
    await page.mouse.down();
    await page.mouse.move(canvas.x + canvas.width / 2 + 50, canvas.y + canvas.height / 2 + 30);
    await page.mouse.up();
    await page.getByRole('option', { name: 'person, bounding box, 100 %, changed' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('All saved').waitFor();
    const labeled = (await results(stack.project, 'accepted')).find((one) => one.item === item);
    assert.equal(labeled?.source, 'human');
    assert.deepEqual(
      labeled.annotations.map(({ type, label }) => [type, label]),
      [['bounding_box', 'person']],
    );
    assert.deepEqual(complaints, []);
  });

  test('takes the last decision back for some seconds: nothing is sent, and what was done is there again', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    const writes: string[] = [];
    page.on('request', (request) => request.method() !== 'GET' && writes.push(request.url()));
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => !url.pathname.includes(draft.item));
    await page.getByRole('option').first().waitFor();
    await page.getByRole('button', { name: 'Take back' }).waitFor();
    await isAccessible(page);
    await page.keyboard.press('u');
    await ready(page, draft);
    await page.getByRole('option', { name: /deleted/ }).waitFor();
    await page.getByText('All saved').waitFor();
    assert.deepEqual(writes, []);
    assert.deepEqual((await byUid('draft', draft.uid))?.annotations, draft.annotations);
    await page.keyboard.press('Control+z');
    await page.getByRole('option', { name: /deleted/ }).waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
  });

  test('reopens what was accepted, and what was rejected in this tab', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    const address = page.url();
    for (const key of ['Enter', 'r']) {
      await page.keyboard.press(key);
      await page.waitForURL((url) => !url.pathname.includes(draft.item));
      await page.getByText('All saved').waitFor();
      await page.keyboard.press('d');
      await page.locator(`[role=application][data-item="${draft.item}"]`).waitFor();
      await page.getByRole('button', { name: 'Reopen' }).click();
      await page.getByText(/^draft, by/).waitFor();
      assert.deepEqual((await byUid('draft', draft.uid))?.annotations, draft.annotations);
    }
    assert.equal(page.url(), address);
    assert.deepEqual(complaints, []);
  });

  test('rejects by one key', async () => {
    const { page, complaints } = await watched(browser, stack.pictures);
    await signIn(page);
    const draft = await openFirstDraft(page);
    await page.keyboard.press('r');
    await page.getByText('All saved').waitFor();
    await page.waitForURL((url) => !url.pathname.includes(draft.item));
    assert.equal(await byUid('draft', draft.uid), undefined);
    assert.equal(await byUid('accepted', draft.uid), undefined);
    assert.deepEqual(complaints, []);
  });
});

test('every file of the page has the headers that are written down, and an unknown call of the API is no page', async () => {
  const expected = JSON.parse(readFileSync(new URL('../headers.json', import.meta.url), 'utf8')) as Record<string, string>;
  const page = await fetch(`${ORIGIN}/projects/some/items/other`);
  const script = /src="(\/assets\/[^"]+)"/.exec(await page.text())?.[1];
  const asset = await fetch(`${ORIGIN}${script}`);
  for (const [name, value] of Object.entries(expected)) {
    const filled = value.replaceAll('{pictures}', stack.pictures);
    assert.equal(page.headers.get(name), filled);
    assert.equal(asset.headers.get(name), filled);
  }
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  assert.match(asset.headers.get('cache-control') ?? '', /immutable/);
  assert.match((await fetch(`${ORIGIN}/api/v1/nothing/`)).headers.get('content-type') ?? '', /json/);
});
