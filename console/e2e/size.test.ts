import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const ASSETS = new URL('../dist/assets/', import.meta.url);

/** Kilobytes after gzip of the files of which the name begins so. */
function size(...beginnings: string[]): number {
  const files = readdirSync(ASSETS).filter((file) => beginnings.some((beginning) => file.startsWith(beginning)));
  assert.ok(files.length > 0, beginnings.join());
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, ASSETS))).length, 0) / 1000;
}

test('the first screen takes at most 170 kB, the editor at most 150 more', (context) => {
  const [shell, editor] = [size('index-'), size('editor-', 'mask-worker-')];
  context.diagnostic(`shell ${shell.toFixed(0)} kB, editor ${editor.toFixed(0)} kB`);
  assert.ok(shell <= 170);
  assert.ok(editor <= 150);
});
