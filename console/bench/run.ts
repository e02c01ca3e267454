/** Measures the editor's drawing in headless Chromium without a GPU, each way several times in turn, and prints the medians. */
import { cpus } from 'node:os';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { preview, build } from 'vite';
import type { Figures } from './page.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
const WAYS = (process.env['WAYS'] ?? 'own,openlayers').split(',');
const folder = new URL('.', import.meta.url).pathname;

await build({
  root: folder,
  logLevel: 'warn',
  build: { outDir: '../dist-bench', emptyOutDir: true, target: 'es2023', rollupOptions: { input: `${folder}page.html` } },
});
const server = await preview({
  root: folder,
  logLevel: 'warn',
  build: { outDir: '../dist-bench' },
  preview: { port: 0, host: '127.0.0.1' },
});
const address = `${server.resolvedUrls?.local[0]}page.html`;

async function once(way: string): Promise<Record<string, number>> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--disable-gpu', '--enable-precise-memory-info', '--no-sandbox'],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    await page.goto(address);
    const figures = await page.evaluate(
      (name) => (window as unknown as { measure(name: string): Promise<Figures> }).measure(name),
      way,
    );
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
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN;
}

const runs = new Map<string, Record<string, number>[]>(WAYS.map((way) => [way, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const way of WAYS) {
    runs.get(way)!.push(await once(way));
  }
}
await server.close();
console.log(`${cpus()[0]?.model}, ${cpus().length} processors; median of ${ROUNDS}`);
const rows = Object.keys(runs.get(WAYS[0]!)![0]!).map((figure) => [
  figure,
  ...WAYS.map((way) => median(runs.get(way)!.map((run) => run[figure]!)).toFixed(1)),
]);
for (const row of [['figure', ...WAYS], ...rows]) {
  console.log(row.map((cell) => cell!.padStart(14)).join(''));
}
