/** How the picture is shown. 1: as it is in the file. */
export interface Tone {
  readonly brightness: number;
  readonly contrast: number;
}

export const LEAST = 0.25;
export const MOST = 4;
const STEP = 1.25;
const AS_IN_FILE: Tone = { brightness: 1, contrast: 1 };
const listeners = new Set<() => void>();
/** Of the page and not of an item: it is kept while a person goes from item to item. */
let tone = AS_IN_FILE;

export function readTone(): Tone {
  return tone;
}

export function subscribeTone(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Without a change, the picture is as in its file again. */
export function setTone(change: Partial<Tone> = AS_IN_FILE): void {
  const { brightness, contrast } = { ...tone, ...change };
  tone = { brightness: clipped(brightness), contrast: clipped(contrast) };
  for (const listener of listeners) {
    listener();
  }
}

/** More of it (`1`) or less (`-1`), by a quarter. */
export function stepTone(name: keyof Tone, by: 1 | -1): void {
  setTone({ [name]: tone[name] * STEP ** by });
}

/** What a canvas is given before it draws the picture. */
export function filterOf({ brightness, contrast }: Tone): string {
  return brightness === 1 && contrast === 1 ? 'none' : `brightness(${brightness}) contrast(${contrast})`;
}

/** For people. */
export function toneInWords({ brightness, contrast }: Tone): string {
  return `Brightness ${Math.round(brightness * 100)} %, contrast ${Math.round(contrast * 100)} %`;
}

/** Steps there and back end at exactly 1: a picture as in its file takes no filter. */
function clipped(value: number): number {
  const kept = Math.min(Math.max(value, LEAST), MOST);
  return Math.abs(kept - 1) < 1e-6 ? 1 : kept;
}
