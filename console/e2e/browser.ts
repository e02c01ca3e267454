/** Chromium on the page, watched: no test may cause an error, a breach of the policy or a call to a foreign origin. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { KEY, ORIGIN } from './stack.ts';

export interface Watched {
  readonly page: Page;
  /** What went wrong so far. */
  readonly complaints: string[];
}

/** `proxy`: the address of one for all calls, those to this machine too. */
export function chromiumOf(proxy?: string): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--enable-precise-memory-info'],
    ...(proxy ? { proxy: { server: proxy, bypass: '<-loopback>' } } : {}),
  });
}

/** A page of its own. `expected`: texts of errors that the test causes. */
export async function watched(browser: Browser, pictures: string, expected: RegExp | null = null): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const complaints: string[] = [];
  return { page: await watchedTab(context, pictures, expected, complaints), complaints };
}

/** One more tab of a person. What goes wrong in it is added to `complaints`. */
export async function watchedTab(
  context: BrowserContext,
  pictures: string,
  expected: RegExp | null,
  complaints: string[],
): Promise<Page> {
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !expected?.test(message.text())) {
      complaints.push(message.text());
    }
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith('blob:') && ![ORIGIN, pictures].includes(new URL(url).origin)) {
      complaints.push(`Foreign request: ${url}`);
    }
  });
  return page;
}

/** No violation of accessibility, in light and in dark. */
export async function isAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const found = violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`,
    );
    assert.deepEqual(found, [], `${page.url()}, ${colorScheme}`);
  }
}

const MOST_BYTES = 150_000;

/** Keeps a picture of the screen in light colors, if there is a folder for it: `make screenshots`. */
export async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS'];
  if (folder) {
    await page.emulateMedia({ colorScheme: 'light' });
    const session = await page.context().newCDPSession(page);
    const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 80 });
    const bytes = Buffer.from(data, 'base64');
    assert.ok(bytes.length <= MOST_BYTES, `${name} has ${bytes.length} bytes.`);
    writeFileSync(`${folder}/${name}.webp`, bytes);
  }
}

export async function signIn(page: Page, key = KEY): Promise<void> {
  await page.goto(`${ORIGIN}/`);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
}
