/**
 * Measures the editor's drawing in headless Chromium without a GPU and prints medians. Fails below half of the bars, which are 50
 * frames a second and 8 ms of a hit test: a busy machine is slower.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { chromium } from 'playwright-core';
import type { Figures } from './page.ts';
import { served } from './serve.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 3);

async function once(address: string): Promise<Record<string, number>> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--disable-gpu', '--enable-precise-memory-info', '--no-sandbox'],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    await page.goto(address);
    const figures = await page.evaluate(() => (window as unknown as { measure(): Promise<Figures> }).measure());
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const resident = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => residentMb(id));
    return { ...figures, processMb: Math.max(...resident) };
  } finally {
    await browser.close();
  }
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

function median(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const server = await served();
const runs: Record<string, number>[] = [];
for (let round = 0; round < ROUNDS; round++) {
  runs.push(await once(server.address));
}
await server.close();

console.log(`${cpus()[0]?.model}, ${cpus().length} processors; median of ${ROUNDS}`);
const medians = Object.fromEntries(Object.keys(runs[0]!).map((figure) => [figure, median(runs.map((run) => run[figure]!))]));
for (const [figure, value] of Object.entries(medians)) {
  console.log(`${figure.padEnd(16)}${value.toFixed(1).padStart(8)}`);
}
const slow =
  ['panFps', 'zoomFps', 'tonedPanFps', 'strokeFps'].some((figure) => medians[figure]! < 25) || medians['hitP95Ms']! > 16;
process.exit(slow ? 1 : 0);
