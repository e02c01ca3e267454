/**
 * COCO's run-length encoding: column by column, runs alternate and begin with background. The string has 5 bits a character and
 * from the third run on the difference to the run before the last (contract, 10.3; its independent reader is pycocotools).
 */

const OFFSET = 48;
const MORE = 0x20;
const SIGN = 0x10;

/** The lengths of the runs. */
export function runsOf(counts: string): number[] {
  const runs: number[] = [];
  let at = 0;
  while (at < counts.length) {
    let [value, shift, more] = [0, 0, true];
    while (more) {
      const bits = counts.charCodeAt(at++) - OFFSET;
      if (!(bits >= 0 && bits < 64) || shift > 45) {
        throw new Error(`The mask's run lengths are malformed at character ${at}.`);
      }
      value += (bits & 0x1f) * 2 ** shift;
      shift += 5;
      more = (bits & MORE) !== 0;
      if (!more && (bits & SIGN) !== 0) {
        value -= 2 ** shift;
      }
    }
    runs.push(runs.length > 2 ? value + (runs[runs.length - 2] ?? 0) : value);
  }
  return runs;
}

/** The string of these runs. */
export function countsOf(runs: ArrayLike<number>): string {
  const characters: string[] = [];
  for (let at = 0; at < runs.length; at++) {
    let value = (runs[at] ?? 0) - (at > 2 ? (runs[at - 2] ?? 0) : 0);
    for (let more = true; more;) {
      const bits = value & 0x1f;
      value >>= 5;
      more = (bits & SIGN) !== 0 ? value !== -1 : value !== 0;
      characters.push(String.fromCharCode((more ? bits | MORE : bits) + OFFSET));
    }
  }
  return characters.join('');
}

/** Where each run ends, in pixels from the start: a pixel is foreground if an odd number of runs end at or before it. */
export function endsOf(runs: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  const ends = new Uint32Array(runs.length);
  let end = 0;
  for (let at = 0; at < runs.length; at++) {
    end += runs[at] ?? 0;
    ends[at] = end;
  }
  return ends;
}

/** Whether the pixel at this position is foreground. */
export function hasPixel(ends: Uint32Array, position: number): boolean {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle] ?? 0) <= position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low % 2 === 1 && low < ends.length;
}
