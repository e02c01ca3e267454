/**
 * Measures a review of many items in headless Chromium on the running stack, and prints the bars beside what was measured. Fails
 * where a count is above its bar, and where a time is above twice its bar: a busy machine is slower. Fewer items: ITEMS=100.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Browser, Page } from 'playwright-core';
import { chromiumOf, watched } from '../e2e/browser.ts';
import { box, drafted, type Drafted } from '../e2e/drafted.ts';
import { kilobytes, percentile, record, recorded } from '../e2e/measure.ts';
import { KEY, ORIGIN } from '../e2e/stack.ts';
import { numbers } from './scene.ts';

const ITEMS = Number(process.env['ITEMS'] ?? 500);
const PICTURE = readFileSync(new URL('../../examples/pictures/china.jpg', import.meta.url));
const BOXES = 20;
/** Between two items: the next picture is fetched meanwhile. */
const PAUSE_MS = 150;
const KEYS = 60;
const OPENINGS = 7;
const MBIT_20 = (20 * 2 ** 20) / 8;
/** Items after which the heap is as it stays, and those between two readings of it. */
const WARM = 100;
const HEAP_EVERY = 50;

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly bar: number;
  readonly unit: string;
  /** A count is the same on each machine. */
  readonly isCount?: boolean;
}

const random = numbers(21);
const predictions = () =>
  Array.from({ length: BOXES }, () =>
    box('cat', random(), random() * 500, random() * 300, 10 + random() * 80, 10 + random() * 80),
  );

/** Milliseconds from the address to the first text, with a processor of a quarter of the speed. */
async function firstPaint(browser: Browser): Promise<number> {
  const page = await browser.newPage();
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  await page.goto(ORIGIN);
  await page.getByRole('heading').first().waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN);
  await page.close();
  return paint;
}

async function begun(browser: Browser, stack: Drafted): Promise<{ page: Page; complaints: string[] }> {
  const person = await watched(browser, stack.pictures);
  await person.page.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective }) => console.error(`Policy: ${violatedDirective}`));
  });
  await person.page.goto(`${ORIGIN}/projects/${stack.project}/review#key=${KEY}`);
  await person.page.getByRole('button', { name: 'Start' }).click();
  await person.page.getByRole('option').first().waitFor();
  return person;
}

/** From a key to the state of the annotation. */
async function keyToState(page: Page): Promise<number[]> {
  await page.keyboard.press('ArrowDown');
  await record(page, '[role=option][aria-selected=true]', 'data-state');
  for (let at = 0; at < KEYS; at++) {
    await page.keyboard.press(at % 2 === 0 ? 'x' : 'Control+z');
    await page.waitForTimeout(50);
  }
  const times = await recorded(page);
  await page.reload();
  await page.getByRole('option').first().waitFor();
  return times;
}

interface Review {
  readonly times: number[];
  readonly writes: number;
  readonly reads: number;
  /** Megabytes after each fifty items. */
  readonly heap: number[];
}

async function review(page: Page, items: number): Promise<Review> {
  let [writes, reads] = [0, 0];
  page.on('request', (request) => {
    const isCall = new URL(request.url()).pathname.startsWith('/api/');
    writes += isCall && request.method() !== 'GET' ? 1 : 0;
    reads += isCall && request.method() === 'GET' ? 1 : 0;
  });
  const session = await page.context().newCDPSession(page);
  const heap: number[] = [];
  await record(page, '[role=application]', 'data-item');
  for (let at = 1; at < items; at++) {
    const before = await page.locator('[role=application]').getAttribute('data-item');
    await page.keyboard.press('Enter');
    await page.locator(`[role=application]:not([data-item="${before}"])`).waitFor();
    await page.waitForTimeout(PAUSE_MS);
    if (at % HEAP_EVERY === 0) {
      await session.send('HeapProfiler.collectGarbage');
      heap.push((await session.send('Runtime.getHeapUsage')).usedSize / 2 ** 20);
    }
  }
  await page.getByText('All saved').waitFor();
  return { times: await recorded(page), writes: writes / (items - 1), reads: reads / (items - 1), heap };
}

/** From a click on an item to its picture, when nothing of it was fetched, at 20 Mbit/s. */
async function cold(page: Page, stack: Drafted): Promise<number[]> {
  const session = await page.context().newCDPSession(page);
  const speed = { offline: false, latency: 20, downloadThroughput: MBIT_20, uploadThroughput: MBIT_20 };
  const times: number[] = [];
  for (let at = 0; at < OPENINGS; at++) {
    await page.goto(`${ORIGIN}/projects/${stack.project}`);
    await page
      .getByRole('row')
      .nth(at + 1)
      .waitFor();
    await session.send('Network.emulateNetworkConditions', speed);
    const start = Date.now();
    await page
      .getByRole('row')
      .nth(at + 1)
      .getByRole('link')
      .click();
    await page.getByRole('option').first().waitFor();
    times.push(Date.now() - start);
    await session.send('Network.emulateNetworkConditions', {
      ...speed,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
  }
  return times;
}

/** Percent; of a review that is too short for two readings 0. */
function spread(values: readonly number[]): number {
  if (values.length < 2) {
    return 0;
  }
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return (most / least - 1) * 100;
}

const browser = await chromiumOf();
const files = Array.from({ length: ITEMS }, (_, at) => ({ key: `${at}.jpg`, body: PICTURE, predictions: predictions() }));
const stack = await drafted(files, ['cat']);
const paints: number[] = [];
for (let at = 0; at < OPENINGS; at++) {
  paints.push(await firstPaint(browser));
}
const { page, complaints } = await begun(browser, stack);
const keys = await keyToState(page);
const { times, writes, reads, heap } = await review(page, ITEMS);
const colds = await cold(page, stack);
const flat = heap.slice(WARM / HEAP_EVERY - 1);
const figures: Figure[] = [
  { name: 'shell to the first screen', value: kilobytes('index-'), bar: 170, unit: 'kB', isCount: true },
  { name: 'editor', value: kilobytes('editor-', 'mask-worker-'), bar: 150, unit: 'kB', isCount: true },
  { name: 'first contentful paint, processor at a quarter, median', value: percentile(paints, 0.5), bar: 1000, unit: 'ms' },
  { name: 'Enter to the next picture, p95', value: percentile(times, 0.95), bar: 100, unit: 'ms' },
  { name: 'click to a picture, 20 Mbit/s, nothing fetched, median', value: percentile(colds, 0.5), bar: 600, unit: 'ms' },
  { name: 'key to the state of the annotation, p95', value: percentile(keys, 0.95), bar: 50, unit: 'ms' },
  { name: 'writes an item', value: writes, bar: 1.1, unit: '', isCount: true },
  { name: 'reads an item', value: reads, bar: 0.05, unit: '', isCount: true },
  { name: `heap over ${ITEMS} items, most against least`, value: spread(flat), bar: 20, unit: '%' },
  { name: 'breaches of the policy, foreign requests, errors', value: complaints.length, bar: 0, unit: '', isCount: true },
];
await browser.close();
console.log(`${cpus()[0]?.model}, ${cpus().length} processors; ${ITEMS} items of ${BOXES} boxes`);
for (const { name, value, bar, unit } of figures) {
  console.log(
    `${name.padEnd(58)}${value.toFixed(2).padStart(9)} ${unit.padEnd(3)} bar ${bar}${Number(value.toFixed(2)) <= bar ? '' : ' MISSED'}`,
  );
}
console.log(`heap, MB: ${heap.map((megabytes) => megabytes.toFixed(1)).join(' ')}`);
console.log(complaints.join('\n'));
process.exit(figures.some(({ value, bar, isCount }) => Number(value.toFixed(2)) > (isCount ? bar : 2 * bar)) ? 1 : 0);
