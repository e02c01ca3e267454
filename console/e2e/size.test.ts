import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kilobytes } from './measure.ts';

test('the first screen takes at most 170 kB, the editor at most 150 more', (context) => {
  const [shell, editor] = [kilobytes('index-'), kilobytes('editor-', 'mask-worker-')];
  context.diagnostic(`shell ${shell.toFixed(0)} kB, editor ${editor.toFixed(0)} kB`);
  assert.ok(shell <= 170);
  assert.ok(editor <= 150);
});
