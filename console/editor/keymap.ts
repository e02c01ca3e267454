/** What a key can do in the editor. */
export type Action =
  | 'nextItem'
  | 'previousItem'
  | 'nextAnnotation'
  | 'previousAnnotation'
  | 'accept'
  | 'delete'
  | 'acceptItem'
  | 'rejectItem'
  | 'takeBack'
  | 'skipItem'
  | 'label1'
  | 'label2'
  | 'label3'
  | 'label4'
  | 'label5'
  | 'label6'
  | 'label7'
  | 'label8'
  | 'label9'
  | 'drawBox'
  | 'drawPolygon'
  | 'drawPolyline'
  | 'brush'
  | 'erase'
  | 'brushSmaller'
  | 'brushLarger'
  | 'point'
  | 'cancel'
  | 'undo'
  | 'redo'
  | 'peek'
  | 'hide'
  | 'zoomIn'
  | 'zoomOut'
  | 'zoomToAnnotation'
  | 'fit'
  | 'brighter'
  | 'darker'
  | 'moreContrast'
  | 'lessContrast'
  | 'plainPicture'
  | 'moveLeft'
  | 'moveRight'
  | 'moveUp'
  | 'moveDown'
  | 'moveLeftFar'
  | 'moveRightFar'
  | 'moveUpFar'
  | 'moveDownFar'
  | 'help';

export interface Binding {
  readonly action: Action;
  /** Each as `keyOf` writes it. */
  readonly keys: readonly string[];
  /** For the help. */
  readonly text: string;
}

const LABELS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

/** The one table that binds the keys, and that the help shows. */
export const KEYMAP: readonly Binding[] = [
  { action: 'acceptItem', keys: ['Enter'], text: 'Accept the item as it is now, and go on; while something is drawn: finish it' },
  { action: 'rejectItem', keys: ['r'], text: 'Reject the item, and go on' },
  { action: 'takeBack', keys: ['u'], text: 'Take back the last decision, for five seconds, and go back to its item' },
  { action: 'skipItem', keys: ['s'], text: 'Skip the item: another person gets it from the review queue' },
  { action: 'nextItem', keys: ['f', 'ArrowRight'], text: 'Next item' },
  { action: 'previousItem', keys: ['d', 'ArrowLeft'], text: 'Previous item' },
  { action: 'nextAnnotation', keys: ['ArrowDown'], text: 'Next annotation, the least confident first' },
  { action: 'previousAnnotation', keys: ['ArrowUp'], text: 'Previous annotation' },
  { action: 'accept', keys: ['a'], text: 'Accept the annotation; once more: open again' },
  { action: 'delete', keys: ['Delete', 'Backspace', 'x'], text: 'Delete the annotation; once more: take it back' },
  ...LABELS.map((number): Binding => ({ action: `label${number}`, keys: [`${number}`], text: `Label ${number}` })),
  { action: 'moveLeft', keys: ['Alt+ArrowLeft'], text: 'Move the annotation left by a pixel' },
  { action: 'moveRight', keys: ['Alt+ArrowRight'], text: 'Move right' },
  { action: 'moveUp', keys: ['Alt+ArrowUp'], text: 'Move up' },
  { action: 'moveDown', keys: ['Alt+ArrowDown'], text: 'Move down' },
  { action: 'moveLeftFar', keys: ['Alt+Shift+ArrowLeft'], text: 'Move left by ten pixels' },
  { action: 'moveRightFar', keys: ['Alt+Shift+ArrowRight'], text: 'Move right by ten' },
  { action: 'moveUpFar', keys: ['Alt+Shift+ArrowUp'], text: 'Move up by ten' },
  { action: 'moveDownFar', keys: ['Alt+Shift+ArrowDown'], text: 'Move down by ten' },
  { action: 'drawBox', keys: ['n'], text: 'Draw a box' },
  { action: 'drawPolygon', keys: ['p'], text: 'Draw a polygon' },
  { action: 'drawPolyline', keys: ['l'], text: 'Draw a polyline' },
  { action: 'brush', keys: ['b'], text: 'Paint the selected mask, or a new one' },
  { action: 'erase', keys: ['e'], text: 'Erase from the selected mask' },
  { action: 'brushSmaller', keys: ['['], text: 'A smaller brush' },
  { action: 'brushLarger', keys: [']'], text: 'A larger brush' },
  {
    action: 'point',
    keys: ['Space'],
    text: 'Draw by keyboard: show a cross, which moves as an annotation does, and set a point there',
  },
  { action: 'cancel', keys: ['Escape'], text: 'Cancel, or select nothing' },
  { action: 'undo', keys: ['Ctrl+z'], text: 'Undo' },
  { action: 'redo', keys: ['Ctrl+Shift+z', 'Ctrl+y'], text: 'Redo' },
  { action: 'peek', keys: ['h'], text: 'Hide the annotations while held' },
  { action: 'hide', keys: ['Shift+h'], text: 'Hide the annotations, or show them' },
  { action: 'zoomIn', keys: ['+', '='], text: 'Zoom in' },
  { action: 'zoomOut', keys: ['-'], text: 'Zoom out' },
  { action: 'zoomToAnnotation', keys: ['z'], text: 'Zoom to the annotation' },
  { action: 'fit', keys: ['0'], text: 'Show the whole picture' },
  { action: 'brighter', keys: ['i'], text: 'A brighter picture' },
  { action: 'darker', keys: ['Shift+i'], text: 'A darker picture' },
  { action: 'moreContrast', keys: ['c'], text: 'More contrast' },
  { action: 'lessContrast', keys: ['Shift+c'], text: 'Less contrast' },
  { action: 'plainPicture', keys: ['o'], text: 'The picture as it is in its file' },
  { action: 'help', keys: ['?'], text: 'Show the keys' },
];

/** The parts of an event of the keyboard that name a key. */
export interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/**
 * The name of a key, such as `Ctrl+Shift+z`. Letters by what they write, so that an AZERTY keyboard works. Shift counts with
 * letters and with keys that write nothing: `?` is `?` on every keyboard.
 */
export function keyOf({ key, ctrlKey, metaKey, altKey, shiftKey }: Pressed): string {
  const name = key === ' ' ? 'Space' : key.length === 1 ? key.toLowerCase() : key;
  const isLetter = name.length > 1 || name.toLowerCase() !== name.toUpperCase();
  const parts = [...(ctrlKey || metaKey ? ['Ctrl'] : []), ...(altKey ? ['Alt'] : []), ...(shiftKey && isLetter ? ['Shift'] : [])];
  return [...parts, name].join('+');
}

/** Keys by action that a person has chosen instead of those of the table. */
export type Remap = Partial<Record<Action, readonly string[]>>;

/** The table with a person's keys in it. A key that a person gave to one action is no other's. */
export function remapped(remap: Remap): readonly Binding[] {
  const taken = new Set(Object.values(remap).flat());
  return KEYMAP.map((binding) => ({
    ...binding,
    keys: remap[binding.action] ?? binding.keys.filter((key) => !taken.has(key)),
  }));
}

/** What a key does, if anything. */
export function actionOf(keymap: readonly Binding[], pressed: Pressed): Action | null {
  const key = keyOf(pressed);
  return keymap.find(({ keys }) => keys.includes(key))?.action ?? null;
}

/** Actions that a key which is held down does only once. */
export const ONCE: readonly Action[] = ['acceptItem', 'rejectItem', 'takeBack', 'skipItem', 'hide', 'point'];

/** Whether the key that came up is that of an action, with whatever modifiers it went down. */
export function isReleased(keymap: readonly Binding[], action: Action, { key }: Pick<Pressed, 'key'>): boolean {
  const name = keyOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false });
  const keys = keymap.find((binding) => binding.action === action)?.keys ?? [];
  return keys.some((one) => one === name || one.endsWith(`+${name}`));
}

/** A person's keys with one more. An action that had the key before has those of the table again. */
export function withKey(remap: Remap, action: Action, key: string): Remap {
  const others = Object.entries(remap).filter(([, keys]) => !keys.includes(key));
  return { ...Object.fromEntries(others), [action]: [key] };
}
