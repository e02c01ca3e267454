import { importFormatValues } from '../api/schema.ts';
import type { ImportFormat } from '../api/types.ts';

/** The formats that the API reads, in its order. */
export const IMPORT_FORMATS: readonly ImportFormat[] = importFormatValues;

/** Bytes at the start of a file that its format is guessed from. */
export const GUESSED_BYTES = 4096;

/**
 * Which format a file has, by its name and its first bytes; `null` if that cannot be seen, or if the API does not read it. A guess:
 * the person sees it and may choose another one.
 */
export function guessOf(name: string, head: Uint8Array): ImportFormat | null {
  const guess = formatOf(name.toLowerCase(), head);
  return IMPORT_FORMATS.find((format) => format === guess) ?? null;
}

function formatOf(name: string, head: Uint8Array): string | null {
  if (head[0] === 0x1f && head[1] === 0x8b) {
    return 'jsonl';
  }
  const text = new TextDecoder().decode(head).trimStart();
  if (text.startsWith('PK\u0003\u0004')) {
    return 'yolo';
  }
  if (text.startsWith('<')) {
    return 'cvat';
  }
  if (text.startsWith('[')) {
    return 'label_studio';
  }
  return text.startsWith('{') ? objectFormatOf(name, text) : null;
}

/** Of what begins with an object: lines of them, or one. */
function objectFormatOf(name: string, text: string): string {
  const [line = ''] = text.split('\n', 1);
  if (name.endsWith('.manifest') || line.includes('"source-ref"')) {
    return 'sagemaker_manifest';
  }
  const isLine = name.endsWith('.jsonl') || name.endsWith('.ndjson') || /"(item|key)"\s*:/.test(line);
  return isLine ? 'jsonl' : 'coco';
}
