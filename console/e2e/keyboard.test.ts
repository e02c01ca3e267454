/** Twenty items reviewed without the mouse, and what a screen reader hears meanwhile. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Prediction } from '../api/types.ts';
import { chromiumOf, isAccessible, watched } from './browser.ts';
import { box, drafted, resultOf, type Drafted } from './drafted.ts';
import { call, KEY, ORIGIN, results } from './stack.ts';

const PICTURE = readFileSync(new URL('../../examples/pictures/horse.jpg', import.meta.url));
const LABELS = ['horse', 'dog', 'cat'];
const ITEMS = 20;
const DRAFT = [
  box('horse', 0.9, 100.5, 100, 60, 50),
  box('horse', 0.3, 20.25, 10, 40, 30),
  {
    type: 'polygon',
    label: 'dog',
    confidence: 0.6,
    points: [
      [50, 60],
      [80, 60.5],
      [70, 90],
    ],
  },
] as Prediction[];
const [SURE, LEAST, POLYGON] = DRAFT as [Prediction, Prediction, Prediction];

interface Script {
  readonly name: string;
  readonly keys: readonly string[];
  readonly status: 'accepted' | 'rejected';
  readonly source: 'auto_label' | 'human';
  readonly annotations: readonly Prediction[];
}

const moved = { ...LEAST, coordinates: { x: 22.25, y: 9, width: 40, height: 30 } } as Prediction;
/** The cross begins in the middle of 400 × 328 pixels. */
const drawnBox = box('cat', 1, 170, 164, 20, 10) as Prediction;
const SCRIPTS: readonly Script[] = [
  { name: 'clean', keys: ['Enter'], status: 'accepted', source: 'auto_label', annotations: DRAFT },
  {
    name: 'each accepted',
    keys: ['ArrowDown', 'a', 'ArrowDown', 'a', 'ArrowDown', 'a', 'Enter'],
    status: 'accepted',
    source: 'auto_label',
    annotations: DRAFT,
  },
  {
    name: 'deleted',
    keys: ['ArrowDown', 'x', 'Enter'],
    status: 'accepted',
    source: 'human',
    annotations: [SURE, POLYGON],
  },
  {
    name: 'moved',
    keys: ['ArrowDown', 'Alt+ArrowRight', 'Alt+ArrowRight', 'Alt+ArrowUp', 'Enter'],
    status: 'accepted',
    source: 'human',
    annotations: [SURE, moved, POLYGON],
  },
  {
    name: 'relabeled',
    keys: ['ArrowDown', 'ArrowDown', '3', 'Enter'],
    status: 'accepted',
    source: 'human',
    annotations: [SURE, LEAST, { ...POLYGON, label: 'cat' }],
  },
  {
    name: 'drawn',
    keys: [
      'n',
      'Space',
      ...times(3, 'Alt+Shift+ArrowLeft'),
      'Space',
      ...times(2, 'Alt+Shift+ArrowRight'),
      'Alt+Shift+ArrowDown',
      'Space',
      '3',
      'Enter',
    ],
    status: 'accepted',
    source: 'human',
    annotations: [...DRAFT, drawnBox],
  },
  {
    name: 'undone',
    keys: ['ArrowDown', 'x', 'ArrowDown', 'Alt+ArrowLeft', 'Control+z', 'Control+z', 'Enter'],
    status: 'accepted',
    source: 'auto_label',
    annotations: DRAFT,
  },
  {
    name: 'undone and done again',
    keys: ['ArrowUp', '2', 'Control+z', 'Control+Shift+z', 'Enter'],
    status: 'accepted',
    source: 'human',
    annotations: [{ ...SURE, label: 'dog' }, LEAST, POLYGON],
  },
];

function times(number: number, key: string): string[] {
  return Array.from({ length: number }, () => key);
}

let browser: Browser;
let stack: Drafted;
before(async () => {
  const files = Array.from({ length: ITEMS + 1 }, (_, at) => ({ key: `${at}.jpg`, body: PICTURE, predictions: DRAFT }));
  [browser, stack] = await Promise.all([chromiumOf(), drafted(files, LABELS)]);
});
after(() => browser.close());

/** Signs in and opens the first draft, all by keyboard. */
async function begun(page: Page): Promise<void> {
  await page.goto(`${ORIGIN}/`);
  await page.getByLabel('API key').focus();
  await page.keyboard.type(KEY);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: stack.name }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Review the drafts' }).focus();
  await page.keyboard.press('Enter');
}

async function ready(page: Page, item: string): Promise<void> {
  await page.locator(`[role=application][data-item="${item}"]`).waitFor();
  await page.getByRole('option').first().waitFor();
}

test('twenty items are reviewed by keyboard alone, a clean one by one key, and the API has exactly that', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  await page.addInitScript(() => addEventListener('pointerdown', () => console.error('The mouse was used.'), { capture: true }));
  const queue = (await results(stack.project, 'draft')).slice(0, ITEMS).map(({ item }) => item);
  await begun(page);
  for (const [at, item] of queue.entries()) {
    await ready(page, item);
    for (const key of SCRIPTS[at % SCRIPTS.length]!.keys) {
      await page.keyboard.press(key);
    }
  }
  await page.getByText('All saved').waitFor();
  for (const [at, item] of queue.entries()) {
    const { name, status, source, annotations } = SCRIPTS[at % SCRIPTS.length]!;
    const result = await resultOf(stack.project, item);
    const is = { status: result.status, source: result.source, annotations: result.annotations };
    assert.deepEqual(is, { status, source, annotations }, `${at}: ${name}`);
  }
  const row = await call<{ results: { uid: string; status: string }[] }>(
    'GET',
    `/projects/${stack.project}/items/?ordering=created_at`,
  );
  assert.equal(row.results.filter(({ status }) => status === 'accepted').length, ITEMS);
  await page.goto(`${ORIGIN}/projects/${stack.project}`);
  await page
    .getByRole('cell', { name: 'accepted' })
    .nth(ITEMS - 1)
    .waitFor();
  assert.deepEqual(complaints, []);
});

test('a screen reader has a name for everything, and hears what each key does', async () => {
  const { page, complaints } = await watched(browser, stack.pictures);
  const [{ item } = { item: '' }] = await results(stack.project, 'draft');
  await page.goto(`${ORIGIN}/projects/${stack.project}/items/${item}?queue=draft#key=${KEY}`);
  await ready(page, item);
  const heard = async (text: string) => {
    await page.getByRole('status').getByText(text, { exact: true }).waitFor({ state: 'attached' });
  };
  await page.getByRole('application', { name: /^Editor of \d+\.jpg$/ }).waitFor();
  await page.getByRole('listbox', { name: 'Annotations, the least confident first' }).waitFor();
  const first = page.getByRole('option', { name: 'horse, bounding box, 30 %, open' });
  assert.deepEqual(await Promise.all(['aria-posinset', 'aria-setsize'].map((name) => first.getAttribute(name))), ['1', '3']);
  const said: readonly (readonly [key: string, text: string])[] = [
    ['ArrowDown', 'horse, bounding box, 30 %, open, 1 of 3'],
    ['a', 'Accept horse: horse, bounding box, 30 %, accepted'],
    ['x', 'Delete horse: horse, bounding box, 30 %, deleted'],
    ['Control+z', 'Undone: Delete horse'],
    ['Control+y', 'Redone: Delete horse'],
    ['Control+z', 'Undone: Delete horse'],
    ['Alt+ArrowRight', 'Move horse: horse, bounding box, 30 %, changed'],
    ['Shift+H', 'Annotations hidden'],
    ['Shift+H', 'Annotations shown'],
    ['n', 'Draw a bounding box'],
    ['Space', 'Cross at 200, 164'],
    ['Alt+ArrowDown', 'Cross at 200, 165'],
    ['Space', 'Point at 200, 165'],
    ['Escape', 'Cancelled'],
    ['Escape', 'Nothing selected'],
    ['c', 'Brightness 100 %, contrast 125 %'],
    ['o', 'Brightness 100 %, contrast 100 %'],
  ];
  for (const [key, text] of said) {
    await page.keyboard.press(key);
    await heard(text);
  }
  for (const name of await page.getByRole('button').all()) {
    assert.notEqual(await name.evaluate((button) => button.getAttribute('aria-label') ?? button.textContent), '');
  }
  await isAccessible(page);
  assert.deepEqual(complaints, []);
});
