import { expect, it } from 'vitest';
import { aboutOf, bodyOf, EXPORT_FORMATS, FIRST_CHOICE, flawOf, hasPictures, hasTask } from './exporting.ts';

it('describes every format that the API writes', () => {
  expect(EXPORT_FORMATS).toContain('jsonl');
  for (const format of EXPORT_FORMATS) {
    expect(aboutOf(format).title).not.toBe(format);
  }
  expect(aboutOf('papyrus').title).toBe('papyrus');
});

it('sends what was chosen, and nothing that was not', () => {
  expect(bodyOf('p', FIRST_CHOICE)).toEqual({ project: 'p', format: 'jsonl', statuses: ['accepted'] });
  const split = { train: '70', val: '23', test: '7' };
  const chosen = { ...FIRST_CHOICE, name: ' Night ', statuses: ['draft', 'none'] as const, labels: ['cat'], job: 'j', split };
  expect(bodyOf('p', { ...chosen, format: 'coco', confidence: '0', task: 'segment', hasImages: true })).toEqual({
    project: 'p',
    format: 'coco',
    name: 'Night',
    statuses: ['draft', 'none'],
    labels: ['cat'],
    min_confidence: 0,
    job: 'j',
    split: { train: 0.7, val: 0.23, test: 0.07 },
  });
});

it('knows which formats have a task, and which have pictures', () => {
  expect(['yolo', 'ultralytics_ndjson', 'coco'].map(hasTask)).toEqual([true, true, false]);
  expect(['yolo', 'ultralytics_ndjson', 'coco'].map(hasPictures)).toEqual([true, false, false]);
});

it('says what is wrong before anything is sent', () => {
  const none = { train: '', val: '', test: '' };
  expect(flawOf(FIRST_CHOICE)).toBe(false);
  expect(flawOf({ ...FIRST_CHOICE, statuses: [] })).toMatch(/status/);
  expect(flawOf({ ...FIRST_CHOICE, confidence: '101' })).toMatch(/confidence/);
  expect(flawOf({ ...FIRST_CHOICE, split: { ...none, train: '80' } })).toMatch(/add up to 100/);
  expect(flawOf({ ...FIRST_CHOICE, split: { train: '120', val: '-20', test: '' } })).toMatch(/add up to 100/);
  expect(flawOf({ ...FIRST_CHOICE, split: { train: '80.1', val: '10.2', test: '9.7' } })).toBe(false);
  expect(flawOf({ ...FIRST_CHOICE, split: { ...none, train: '100' } })).toBe(false);
});
