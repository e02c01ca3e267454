/** Times of the page as a person has them, and what it takes of memory. */
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';

const ASSETS = new URL('../dist/assets/', import.meta.url);

/** Kilobytes after gzip of the built files of which the name begins so. */
export function kilobytes(...beginnings: string[]): number {
  const files = readdirSync(ASSETS).filter((file) => beginnings.some((beginning) => file.startsWith(beginning)));
  if (files.length === 0) {
    throw new Error(`Nothing is built that begins with ${beginnings.join(' or ')}.`);
  }
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, ASSETS))).length, 0) / 1000;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}

/**
 * From now on, notes the time from each key to the frame after which an element has another value of an attribute. Keys that
 * change nothing are not noted.
 */
export async function record(page: Page, selector: string, attribute: string): Promise<void> {
  // The runner gives each function its name by a function of its own, which the page does not have.
  await page.evaluate('globalThis.__name = (value) => value');
  await page.evaluate(
    ([of, name]) => {
      const noted: number[] = [];
      Object.assign(window, { noted });
      const read = () => document.querySelector(of!)?.getAttribute(name!) ?? null;
      let turn = 0;
      addEventListener(
        'keydown',
        (event) => {
          const [before, mine] = [read(), ++turn];
          const check = () => {
            const now = read();
            if (now !== before && now !== null) {
              // What was changed before this frame is painted by the next one.
              requestAnimationFrame(() => noted.push(performance.now() - event.timeStamp));
            } else if (turn === mine) {
              requestAnimationFrame(check);
            }
          };
          requestAnimationFrame(check);
        },
        { capture: true },
      );
    },
    [selector, attribute],
  );
}

/** Milliseconds, one of each key that changed something since `record`. */
export function recorded(page: Page): Promise<number[]> {
  return page.evaluate(() => (window as unknown as { noted: number[] }).noted);
}

/** Of the largest process that shows a page. */
export async function residentMb(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const renderers = processInfo.filter(({ type }) => type === 'renderer');
  return Math.max(...renderers.map(({ id }) => Number(/VmRSS:\s+(\d+)/.exec(statusOf(id))?.[1] ?? 0) / 1024));
}

/** A process may have ended meanwhile. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}
