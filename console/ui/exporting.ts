import { exportFormatValues } from '../api/schema.ts';
import type { ExportFormat, NewExport, SelectedStatus } from '../api/types.ts';

/** What an export is made of, as a person fills the form in. */
export interface ExportChoice {
  readonly name: string;
  readonly format: ExportFormat;
  readonly statuses: readonly SelectedStatus[];
  /** Empty: all. */
  readonly labels: readonly string[];
  /** Percent, as typed; empty: any. */
  readonly confidence: string;
  /** Empty: any. */
  readonly job: string;
  /** Percents of the parts, as typed; all empty: no split. */
  readonly split: Readonly<Record<Part, string>>;
  readonly task: Task;
  readonly hasImages: boolean;
}

export const PARTS = ['train', 'val', 'test'] as const;
export type Part = (typeof PARTS)[number];
export type Task = 'detect' | 'segment';

export const FIRST_CHOICE: ExportChoice = {
  name: '',
  format: 'jsonl',
  statuses: ['accepted'],
  labels: [],
  confidence: '',
  job: '',
  split: { train: '', val: '', test: '' },
  task: 'detect',
  hasImages: false,
};

/** What a format is, for people. The formats themselves are the API's. */
interface About {
  readonly title: string;
  /** What it keeps, and what it leaves out. */
  readonly fit: string;
}

const ABOUT: Readonly<Record<string, About>> = {
  jsonl: {
    title: 'JSON Lines',
    fit: 'Keeps everything: all six types, confidence, status, who and when, the job and its model.',
  },
  coco: {
    title: 'COCO',
    fit: 'Keeps boxes, polygons, masks and confidence. Leaves out cuboids, polylines, classifications and point clouds.',
  },
  yolo: {
    title: 'YOLO for Ultralytics',
    fit: 'Keeps boxes or outlines with their label. Leaves out confidence, cuboids, polylines, classifications and point clouds.',
  },
  ultralytics_ndjson: {
    title: 'Ultralytics NDJSON',
    fit: 'Keeps boxes or outlines with their label. Leaves out confidence, cuboids, polylines, classifications and point clouds.',
  },
  sagemaker_manifest: {
    title: 'SageMaker Ground Truth manifest',
    fit: 'Keeps boxes and classifications with their confidence. Leaves out masks, polygons, polylines, cuboids and point clouds.',
  },
  label_studio: {
    title: 'Label Studio',
    fit: 'Keeps boxes, polygons, masks and classifications; drafts as predictions. Leaves out polylines, cuboids and point clouds.',
  },
  cvat: {
    title: 'CVAT for images 1.1',
    fit: 'Keeps boxes, polygons, polylines, masks and classifications; confidence as an attribute. Leaves out cuboids and point clouds.',
  },
};

/** The formats that the API writes, in its order. */
export const EXPORT_FORMATS: readonly ExportFormat[] = exportFormatValues;

/** A format that this page does not describe has its name alone. */
export function aboutOf(format: string): About {
  return ABOUT[format] ?? { title: format, fit: 'What it leaves out is counted when the export ends.' };
}

/** Whether a format is of boxes or of outlines, as `task` says. */
export function hasTask(format: string): boolean {
  return format === 'yolo' || format === 'ultralytics_ndjson';
}

/** Whether the pictures can be beside the labels. */
export function hasPictures(format: string): boolean {
  return format === 'yolo';
}

/** Why an export cannot be made so; `false` if it can. */
export function flawOf({ statuses, split, confidence }: ExportChoice): string | false {
  if (statuses.length === 0) {
    return 'Choose at least one status.';
  }
  if (confidence !== '' && !isPercent(confidence)) {
    return 'The least confidence is a percentage from 0 to 100.';
  }
  const given = PARTS.map((part) => split[part]).filter((share) => share !== '');
  if (given.length > 0 && !(given.every(isPercent) && Math.abs(sumOf(given) - 100) < 1e-6)) {
    return 'The parts of the split are percentages that add up to 100.';
  }
  return false;
}

/** The body of the call. What was left as it is is not sent: it is the API's. */
export function bodyOf(project: string, choice: ExportChoice): NewExport {
  const { name, format, statuses, labels, confidence, job, split, task, hasImages } = choice;
  const isSplit = PARTS.some((part) => split[part] !== '');
  return {
    project,
    format,
    statuses: [...statuses],
    ...(name.trim() ? { name: name.trim() } : {}),
    ...(labels.length > 0 ? { labels: [...labels] } : {}),
    ...(confidence === '' ? {} : { min_confidence: shareOf(confidence) }),
    ...(job ? { job } : {}),
    ...(isSplit ? { split: { train: shareOf(split.train), val: shareOf(split.val), test: shareOf(split.test) } } : {}),
    ...(hasTask(format) && task !== 'detect' ? { task } : {}),
    ...(hasPictures(format) && hasImages ? { include_images: true } : {}),
  };
}

function isPercent(text: string): boolean {
  return text.trim() !== '' && Number(text) >= 0 && Number(text) <= 100;
}

function sumOf(percents: readonly string[]): number {
  return percents.reduce((sum, percent) => sum + Number(percent), 0);
}

/** 0 to 1. Rounded: 7 / 100 would be 0.07000000000000001. */
function shareOf(percent: string): number {
  return Number((Number(percent) / 100).toFixed(6));
}
