/**
 * The API key of this tab: in the session's storage, never in a cookie, an address that is sent, or the local storage. It is
 * forgotten after 30 minutes without a key press, a click, or work that runs.
 */
const KEY = 'api-key';
const LAST_USE = 'last-use';
const IDLE_MS = 30 * 60_000;
const NOTED_EVERY_MS = 10_000;
const listeners = new Set<() => void>();
let why = '';

/** The key, if there is one that was used lately. */
export function readKey(): string | null {
  const idle = Date.now() - Number(sessionStorage.getItem(LAST_USE) ?? 0);
  return idle > IDLE_MS ? null : sessionStorage.getItem(KEY);
}

export function keepKey(key: string): void {
  sessionStorage.setItem(KEY, key);
  why = '';
  noteUse();
  announce();
}

/** `reason`: for people, if it was not their own wish. */
export function forgetKey(reason = ''): void {
  sessionStorage.removeItem(KEY);
  why = reason;
  announce();
}

/** Why there is no key any more; empty if the person signed out or never signed in. */
export function whyForgotten(): string {
  return why;
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Takes a key from the address's fragment, which no browser sends, and takes it off the address. */
export function takeKeyOfFragment(): void {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (key) {
    history.replaceState(null, '', location.pathname + location.search);
    keepKey(key);
  }
}

/** Watches for use; the key is forgotten when there is none. */
export function watchUse(): void {
  let noted = 0;
  for (const event of ['keydown', 'pointerdown'] as const) {
    addEventListener(event, () => {
      if (Date.now() - noted > NOTED_EVERY_MS && readKey() !== null) {
        noted = Date.now();
        noteUse();
      }
    });
  }
  setInterval(() => {
    if (sessionStorage.getItem(KEY) !== null && readKey() === null) {
      forgetKey('Nothing was done for 30 minutes. What is not saved is kept in this browser: sign in to go on.');
    }
  }, NOTED_EVERY_MS);
}

/** The person is there, or waits for work that runs. */
export function noteUse(): void {
  sessionStorage.setItem(LAST_USE, `${Date.now()}`);
}

function announce(): void {
  for (const listener of listeners) {
    listener();
  }
}
