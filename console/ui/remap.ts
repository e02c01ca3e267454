import { withKey, type Action, type Remap } from '../editor/keymap.ts';

/** Keys that a person has chosen, in this browser. No secret, so the local storage keeps them. */
const NAME = 'keys';
const listeners = new Set<() => void>();
let known: { readonly text: string | null; readonly remap: Remap } = { text: null, remap: {} };

/** The same object until the keys change. */
export function readRemap(): Remap {
  const text = localStorage.getItem(NAME);
  if (text !== known.text) {
    known = { text, remap: parsed(text) };
  }
  return known.remap;
}

/** Gives a key to an action; without a key, all actions have the keys of the table again. */
export function remap(action?: Action, key?: string): void {
  if (action && key) {
    localStorage.setItem(NAME, JSON.stringify(withKey(readRemap(), action, key)));
  } else {
    localStorage.removeItem(NAME);
  }
  for (const listener of listeners) {
    listener();
  }
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What is not ours is none. */
function parsed(text: string | null): Remap {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    const entries = Object.entries(value ?? {}).filter(
      ([, keys]) => Array.isArray(keys) && keys.every((key) => typeof key === 'string'),
    );
    return Object.fromEntries(entries) as Remap;
  } catch {
    return {};
  }
}
