/** What the editor draws, against what Pillow draws; very large items; items that are no pictures; pictures that do not come. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { numbers } from '../bench/scene.ts';
import { isAccessible, chromiumOf, watched, type Watched } from './browser.ts';
import { box, drafted, python, resultOf, type Drafted, type File } from './drafted.ts';
import { Faults } from './faults.ts';
import { percentile, recorded, record, residentMb } from './measure.ts';
import { BASE, call, KEY, ORIGIN } from './stack.ts';

const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8];
const HORSE = readFileSync(new URL('../../examples/pictures/horse.jpg', import.meta.url));
const MANY = 10_000;
const LARGE = 10_000;
/** Parts of the large mask, one above the other: 20,000 runs. */
const BANDS = 1;
const LABELS = ['cat', 'dog', '<img src=x onerror=alert(1)>', '\u202Egnp.exe', 'a'.repeat(255)];
/** A quaternion and numbers that a program which reads and writes JSON may change. */
const CUBOIDS = [
  '{"center":{"x":-0.0,"y":1e-7,"z":12.4},"dimensions":{"length":4.5,"width":1.0,"height":1.6000000000000003},"rotation":{"x":-0.0,"y":0.0,"z":0.6,"w":0.8}}',
  '{"center":{"x":3.0,"y":-2.5,"z":0.1},"dimensions":{"length":1.0,"width":1.0,"height":2.0},"rotation":{"x":0.5,"y":-0.5,"z":0.5,"w":0.5}}',
];
const CLOUD = [
  'VERSION .7',
  'FIELDS x y z',
  'SIZE 4 4 4',
  'TYPE F F F',
  'COUNT 1 1 1',
  'WIDTH 1',
  'HEIGHT 1',
  'POINTS 1',
  'DATA ascii',
  '0 0 0',
  '',
];
const HOSTILE = `<img src=x onerror=alert(1)>"'&amp;.jpg`;

let browser: Browser;
let faults: Faults;
let stack: Drafted;
let folder: string;
before(async () => {
  folder = mkdtempSync(`${tmpdir()}/pictures-`);
  const predictions = JSON.parse(python('pillow.py', 'make', folder)) as unknown[];
  faults = await Faults.start();
  browser = await chromiumOf(faults.address);
  const upright = ORIENTATIONS.map((orientation): File => {
    const key = `upright-${orientation}.jpg`;
    return { key, body: readFileSync(`${folder}/${key}`), predictions };
  });
  stack = await drafted([...upright, ...others()], LABELS);
});
after(async () => {
  await browser.close();
  faults.close();
  rmSync(folder, { recursive: true });
});

function others(): File[] {
  const random = numbers(11);
  const many = Array.from({ length: MANY }, () => box('cat', random(), random() * 3900, random() * 2900, 50, 50));
  const cuboids = CUBOIDS.map(
    (one, at) => `{"type":"bounding_box_3d","label":"cat","confidence":0.${9 - at},"coordinates":${one}}`,
  );
  const mask = { format: 'coco_rle', size: [LARGE, LARGE], counts: rippled() };
  const gray = readFileSync(`${folder}/gray.jpg`);
  return [
    { key: 'many.jpg', body: HORSE, predictions: many, about: { width: 4000, height: 3000 } },
    {
      key: 'large.jpg',
      body: gray,
      predictions: [{ type: 'segmentation_mask', label: 'cat', confidence: 0.5, mask }],
      about: { width: LARGE, height: LARGE },
    },
    {
      key: 'cloud.pcd',
      body: Buffer.from(CLOUD.join('\n')),
      predictions: `[${cuboids.join(',')}]`,
      about: { asset_type: 'point_cloud' },
    },
    { key: 'expired.jpg', body: HORSE, predictions: [box('dog', 0.5, 10, 10, 20, 20)] },
    {
      key: 'foreign.jpg',
      body: Buffer.from('This is no picture.'),
      predictions: [box('dog', 0.5, 10, 10, 20, 20)],
      about: { width: 100, height: 100 },
    },
    { key: HOSTILE, body: HORSE, predictions: LABELS.map((label) => box(label, 0.5, 10, 10, 20, 20)) },
    { key: 'label.jpg', body: HORSE, predictions: [box('cat', 0.5, 10, 10, 20, 20)] },
  ];
}

/** Runs of a mask of nearly 100 megapixels with a border that is another one in each column. */
function rippled(): number[] {
  const runs: number[] = [];
  let last = 0;
  for (let column = 10; column < LARGE - 10; column++) {
    for (let band = 0; band < BANDS; band++) {
      const start = column * LARGE + (band * LARGE) / BANDS + 100 + ((column * 7 + band * 13) % 50);
      runs.push(start - last, LARGE / BANDS - 300);
      last = start + LARGE / BANDS - 300;
    }
  }
  return [...runs, LARGE * LARGE - last];
}

async function opened(key: string, expected: RegExp | null = null): Promise<Watched> {
  const { page, complaints } = await watched(browser, stack.pictures, expected);
  const item = stack.items.get(key)!;
  await page.goto(`${ORIGIN}/projects/${stack.project}/items/${item}?queue=draft#key=${KEY}`);
  await page.locator(`[role=application][data-item="${item}"]`).waitFor();
  return { page, complaints };
}

/** Draws what is on the canvas at a point of it; RGB. */
function colorAt(page: Page, x: number, y: number): Promise<number[]> {
  return page.evaluate(
    ([left, top]) =>
      Array.from(document.querySelector('canvas')!.getContext('2d')!.getImageData(left!, top!, 1, 1).data.subarray(0, 3)),
    [x, y],
  );
}

async function until(isTrue: () => Promise<boolean>, what: string, patienceMs = 10_000): Promise<void> {
  for (const end = Date.now() + patienceMs; !(await isTrue());) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

for (const orientation of ORIENTATIONS) {
  test(`a picture of EXIF orientation ${orientation}, its mask, polygon and box are within a pixel of what Pillow draws`, async () => {
    const { page, complaints } = await opened(`upright-${orientation}.jpg`);
    for (const name of [/mask/, /polygon/, /bounding box/]) {
      await page.getByRole('option', { name }).click();
      await page.keyboard.press('a');
    }
    await page.keyboard.press('Escape');
    await page.mouse.move(0, 0);
    const shot = `${folder}/shot-${orientation}.png`;
    let off = Number.NaN;
    await until(async () => {
      await page.locator('canvas').screenshot({ path: shot });
      off = Number(python('pillow.py', 'compare', shot, `${folder}/upright-${orientation}.png`));
      return off === 0;
    }, `pixels off`).catch(() => assert.equal(off, 0));
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
}

test('what Pillow draws is not what the editor draws if the mask is somewhere else', async () => {
  const { page } = await opened('upright-1.jpg');
  await page.getByRole('option', { name: /bounding box/ }).click();
  await page.keyboard.press('Alt+ArrowRight');
  await page.keyboard.press('Alt+Shift+ArrowRight');
  await page.keyboard.press('Escape');
  const shot = `${folder}/shot-moved.png`;
  await page.locator('canvas').screenshot({ path: shot });
  assert.ok(Number(python('pillow.py', 'compare', shot, `${folder}/upright-1.png`)) > 100);
  await page.context().close();
});

test('brightness and contrast change the picture alone, by key and by slider, and are kept for the next item', async () => {
  const { page, complaints } = await opened('upright-1.jpg');
  const corner = (await page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => [canvas.width, canvas.height])) as [
    number,
    number,
  ];
  const [x, y] = [Math.round(corner[0] / 2 - 150) + 280, Math.round(corner[1] / 2 - 100) + 100];
  const plain = await colorAt(page, x, y);
  await page.keyboard.press('i');
  await page.getByRole('status').getByText('Brightness 125 %, contrast 100 %').waitFor({ state: 'attached' });
  await until(async () => (await colorAt(page, x, y))[2]! > plain[2]! + 8, 'brighter');
  await page.getByLabel("Picture's contrast, percent").fill('200');
  await isAccessible(page);
  await page.locator('canvas').click();
  await page.keyboard.press('f');
  await page.waitForURL((url) => !url.pathname.includes(stack.items.get('upright-1.jpg')!));
  await page.getByRole('option').first().waitFor();
  assert.equal(await page.getByLabel("Picture's brightness, percent").inputValue(), '125');
  await page.keyboard.press('o');
  assert.equal(await page.getByLabel("Picture's contrast, percent").inputValue(), '100');
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a zoom in the middle of a pan stays', async () => {
  const { page, complaints } = await opened('upright-2.jpg');
  const { x, y, width, height } = (await page.locator('canvas').boundingBox())!;
  // In the red corner, 45 pixels from its right end.
  const [left, top] = [Math.round(width / 2 - 150) + 45, Math.round(height / 2 - 100) + 30];
  await page.mouse.move(x + left, y + top);
  await page.mouse.down();
  await page.mouse.move(x + left + 50, y + top + 40, { steps: 3 });
  await page.mouse.wheel(0, -200);
  await page.mouse.move(x + left + 80, y + top + 60, { steps: 3 });
  await page.mouse.up();
  await until(async () => isRed(await colorAt(page, left + 80 + 60, top + 60)), 'the red corner is as large as it was zoomed');
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a mask of 100 megapixels is shown and painted', async (context: TestContext) => {
  const { page, complaints } = await opened('large.jpg');
  const shown = Date.now();
  const size = await page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => [canvas.width, canvas.height]);
  const middle = size.map((side) => Math.round(side / 2)) as [number, number];
  await until(async () => isRed(await colorAt(page, ...middle)), 'the mask is drawn', 20_000);
  const decoded = Date.now() - shown;
  await page.keyboard.press('ArrowDown');
  const area = page.locator('dd').first();
  const whole = await area.textContent();
  await page.keyboard.press('e');
  const canvas = (await page.locator('canvas').boundingBox())!;
  await page.mouse.move(canvas.x + canvas.width / 2, canvas.y + canvas.height / 2);
  await page.mouse.down();
  await page.mouse.move(canvas.x + canvas.width / 2 + 80, canvas.y + canvas.height / 2 + 40, { steps: 8 });
  const up = Date.now();
  await page.mouse.up();
  await until(async () => (await area.textContent()) !== whole, 'the stroke is done');
  const painted = Date.now() - up;
  await until(async () => !isRed(await colorAt(page, ...middle)), 'the stroke is drawn', 20_000);
  const memory = await residentMb(browser);
  context.diagnostic(
    `decoded after ${decoded} ms, a stroke done after ${painted} ms and drawn after ${Date.now() - up} ms, ${memory.toFixed(0)} MB`,
  );
  assert.ok(decoded < 10_000 && painted < 5000 && memory < 2000);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.getByText('All saved').waitFor();
  await page.waitForURL((url) => !url.pathname.includes(stack.items.get('large.jpg')!));
  const { status, annotations } = await resultOf(stack.project, stack.items.get('large.jpg')!);
  assert.deepEqual([status, annotations.length], ['accepted', 1]);
  assert.deepEqual(complaints, []);
  await page.context().close();
});

const isRed = ([red = 0, green = 0, blue = 0]: number[]) => red > green + 40 && red > blue + 40;

test('10,000 annotations open, are panned, scrolled and deleted', async (context: TestContext) => {
  const start = Date.now();
  const { page, complaints } = await opened('many.jpg');
  await page.getByText(`${MANY} of ${MANY} annotations`).waitFor();
  const open = Date.now() - start;
  const canvas = (await page.locator('canvas').boundingBox())!;
  await page.mouse.move(canvas.x + 5, canvas.y + 5);
  await page.mouse.down();
  await page.mouse.move(canvas.x + 300, canvas.y + 200, { steps: 30 });
  await page.mouse.up();
  const list = page.getByRole('listbox');
  await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await page.locator(`[role=option][aria-posinset="${MANY}"]`).waitFor();
  assert.ok((await page.getByRole('option').count()) < 100, 'only the rows in view are on the page');
  await record(page, '[role=option][aria-selected=true]', 'data-state');
  for (let at = 0; at < 20; at++) {
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await page.getByRole('option', { name: /deleted/, selected: true }).waitFor();
  }
  const p95 = percentile(await recorded(page), 0.95);
  context.diagnostic(`open after ${open} ms; from a key to its effect 95 % within ${p95.toFixed(0)} ms`);
  assert.ok(open < 15_000 && p95 < 1000);
  await page.keyboard.press('Enter');
  await page.getByText('All saved').waitFor();
  await page.waitForURL((url) => !url.pathname.includes(stack.items.get('many.jpg')!));
  assert.equal((await resultOf(stack.project, stack.items.get('many.jpg')!)).annotations.length, MANY - 20);
  assert.deepEqual(complaints, []);
  await page.context().close();
});

/** The annotations of a result as the API writes them. */
async function textOf(item: string): Promise<string> {
  const answer = await fetch(`${BASE}/projects/${stack.project}/results/?item=${item}`, { headers: { 'X-Avala-Api-Key': KEY } });
  return answer.text();
}

test('a point cloud says what it is, shows the numbers of its cuboids, and what is not changed stays so to the byte', async () => {
  const item = stack.items.get('cloud.pcd')!;
  const text = await textOf(item);
  for (const cuboid of CUBOIDS) {
    assert.ok(text.includes(cuboid), text);
  }
  const { page, complaints } = await opened('cloud.pcd');
  await page.getByText('A point cloud. It can be accepted and deleted; its editor is not here yet.').waitFor();
  assert.equal(await page.locator('canvas').isVisible(), false);
  await page.keyboard.press('ArrowUp');
  await page.getByText('4.5 × 1 × 1.6 m').waitFor();
  await page.getByText('0, 0, 0.6, 0.8').waitFor();
  await page.getByText('73.7°').waitFor();
  await isAccessible(page);
  await page.keyboard.press('a');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('x');
  await page.getByRole('option', { name: /deleted/ }).waitFor();
  const sent = page.waitForRequest((request) => request.method() === 'PATCH');
  await page.keyboard.press('Enter');
  assert.ok((await sent).postData()?.includes('"rotation":{"x":-0.0,'), 'the sign of zero is sent');
  await page.getByText('All saved').waitFor();
  await page.waitForURL((url) => !url.pathname.includes(item));
  const corrected = await textOf(item);
  assert.ok(corrected.includes(CUBOIDS[0]!), corrected);
  assert.ok(!corrected.includes(CUBOIDS[1]!));
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a picture of which the address has expired is fetched again by another one', async () => {
  const known = faults.calls.length;
  faults.expire(1);
  const { page, complaints } = await opened('expired.jpg', /403/);
  await page.locator('canvas').waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
  const reads = faults.calls.slice(known).filter(({ path }) => path.endsWith(`/items/${stack.items.get('expired.jpg')}/`));
  assert.equal(reads.length, 2);
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a picture that stays away says so, and its annotations can be reviewed all the same', async () => {
  faults.expire(100);
  const { page, complaints } = await opened('expired.jpg', /403/);
  await page.getByRole('alert').getByText("The picture's server answers 403.").waitFor();
  faults.clear();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('x');
  await page.getByRole('option', { name: /deleted/ }).waitFor();
  await page.keyboard.press('Control+z');
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a file that is no picture says so', async () => {
  const { page, complaints } = await opened('foreign.jpg');
  await page.getByRole('alert').getByText('The file is no picture that the browser can read.').waitFor();
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a picture of a host that the page may not read says so', async () => {
  const given = { key: 'web.jpg', url: 'https://pictures.example.com/web.jpg', width: 100, height: 100 };
  const added = await call<{ results: { uid: string }[] }>('POST', `/projects/${stack.project}/items/`, { items: [given] });
  const { page } = await watched(browser, stack.pictures, /./);
  await page.goto(`${ORIGIN}/projects/${stack.project}/items/${added.results[0]!.uid}?queue=all#key=${KEY}`);
  await page
    .getByRole('alert')
    .getByText(/^pictures\.example\.com does not let this page read the picture/)
    .waitFor();
  await page.context().close();
});

test('names of labels and items are text, whatever they hold', async () => {
  const { page, complaints } = await opened(HOSTILE);
  page.on('dialog', () => complaints.push('A script of a name ran.'));
  await page.getByRole('heading', { name: HOSTILE }).waitFor();
  await page.getByText(`${LABELS.length} of ${LABELS.length} annotations`).waitFor();
  assert.equal(await page.locator('img').count(), 0);
  await isAccessible(page);
  await page.goto(`${ORIGIN}/projects/${stack.project}`);
  await page.getByRole('table').waitFor();
  assert.equal(await page.locator('img').count(), 0);
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('a correction with a label that the project has lost meanwhile is refused by its name, and kept', async () => {
  const { page, complaints } = await opened('label.jpg', /400/);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('2');
  await page.getByRole('option', { name: 'dog, bounding box, 50 %, changed' }).waitFor();
  await call('PATCH', `/projects/${stack.project}/`, { labels: LABELS.filter((label) => label !== 'dog') });
  await page.keyboard.press('Enter');
  await page
    .getByRole('alert')
    .getByText(/The project does not have "dog"/)
    .waitFor();
  await call('PATCH', `/projects/${stack.project}/`, { labels: LABELS });
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('All saved').waitFor();
  const { status, annotations } = await resultOf(stack.project, stack.items.get('label.jpg')!);
  assert.deepEqual([status, annotations[0]?.label], ['accepted', 'dog']);
  assert.deepEqual(complaints, []);
  await page.context().close();
});
