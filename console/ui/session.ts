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
let offered: string | null = null;

/** The key, if there is one that was used lately. */
export function readKey(): string | null {
  const idle = Date.now() - Number(sessionStorage.getItem(LAST_USE) ?? 0);
  return idle > IDLE_MS ? null : sessionStorage.getItem(KEY);
}

/** Whether a text can be a key: a browser sends no other characters in a header, and says of such a call that the network failed. */
export function isKey(text: string): boolean {
  return /^[!-~]+$/.test(text);
}

export function keepKey(key: string): void {
  sessionStorage.setItem(KEY, key);
  why = '';
  offered = null;
  noteUse();
  announce();
}

/** `reason`: for people, if it was not their own wish. */
export function forgetKey(reason = ''): void {
  sessionStorage.removeItem(KEY);
  why = reason;
  announce();
}

/** Forgets a key that the server has refused. An answer may be late: the tab may have another key by then, and keeps it. */
export function refuseKey(key: string): void {
  if (readKey() === key) {
    forgetKey('The API key was refused. What is not saved is kept in this browser: sign in to go on.');
  }
}

/** Why there is no key any more; empty if the person signed out or never signed in. */
export function whyForgotten(): string {
  return why;
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Takes a key from the address's fragment, which no browser sends, and takes it off the address. Anyone can make such a link: if
 * the tab has another key, the person is asked first.
 */
export function takeKeyOfFragment(): void {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (!key) {
    return;
  }
  history.replaceState(null, '', location.pathname + location.search);
  const known = readKey();
  if (!isKey(key)) {
    return;
  }
  if (known === null || known === key) {
    keepKey(key);
  } else {
    offered = key;
    announce();
  }
}

/** The key of a link, which the person may take instead of the one that the tab has; `null`: there is none. */
export function readOffer(): string | null {
  return offered;
}

/** The person stays with the key that the tab has. */
export function refuseOffer(): void {
  offered = null;
  announce();
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
