/** Colors by label: twelve that differ on pictures, the same label the same color in every session. */
const COLORS = [
  '#ff4d4d',
  '#3ddc84',
  '#ffd60a',
  '#4dabff',
  '#ff922b',
  '#c77dff',
  '#22d3ee',
  '#ff5fd2',
  '#b5e61d',
  '#ffb3a7',
  '#7ee8c7',
  '#b8a1ff',
] as const;

/** The color of a label: by its position in the project's labels, else by its letters. */
export function colorOf(label: string, labels: readonly string[]): string {
  const known = labels.indexOf(label);
  return COLORS[(known >= 0 ? known : hash(label)) % COLORS.length] ?? COLORS[0];
}

/** `#rrggbb` as numbers. */
export function channelsOf(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function hash(text: string): number {
  let value = 2166136261;
  for (const character of text) {
    value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 16777619) >>> 0;
  }
  return value;
}
