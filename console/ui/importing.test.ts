import { expect, it } from 'vitest';
import { aboutOf } from './exporting.ts';
import { guessOf, IMPORT_FORMATS } from './importing.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

it.each([
  ['instances.json', bytes('{"info": {}, "images": []}'), 'coco'],
  ['instances.json', bytes('\uFEFF\n {\n "images": []}'), 'coco'],
  ['annotations.jsonl.gz', new Uint8Array([0x1f, 0x8b, 8]), 'jsonl'],
  ['labels.txt', bytes('{"item": "1", "key": "a.jpg"}\n{'), 'jsonl'],
  ['A.JSONL', bytes('{}'), 'jsonl'],
  ['output.manifest', bytes('{}'), 'sagemaker_manifest'],
  ['labels.jsonl', bytes('{"source-ref": "s3://b/a.jpg"}'), 'sagemaker_manifest'],
  ['tasks.json', bytes('[{"data": {}}]'), 'label_studio'],
  ['annotations.xml', bytes('<?xml version="1.0"?><annotations>'), 'cvat'],
  ['dataset.zip', bytes('PK\u0003\u0004'), 'yolo'],
] as const)('guesses the format of %s', (name, head, format) => {
  // A format that the API does not read is no guess.
  expect(guessOf(name, head)).toBe(IMPORT_FORMATS.find((one) => one === format) ?? null);
});

it('guesses nothing of an empty file, a picture or a text', () => {
  for (const head of [new Uint8Array(), new Uint8Array([0xff, 0xd8, 0xff]), bytes('person 0.5 0.5')]) {
    expect(guessOf('file', head)).toBeNull();
  }
});

it('describes every format that the API reads', () => {
  for (const format of IMPORT_FORMATS) {
    expect(aboutOf(format).title).not.toBe(format);
  }
});
