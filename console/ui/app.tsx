import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { ApiError, Client } from '../api/client.ts';
import type { Key } from '../api/types.ts';
import { Journal, type Entry } from '../editor/journal.ts';
import { Saver } from '../editor/saver.ts';
import type { Claims } from './claims.ts';
import { put } from './put.ts';
import type { Loaded } from './queries.ts';
import { lack, type Right } from './rights.ts';
import { readKey, refuseKey, subscribe } from './session.ts';
import type { Sweeps } from './sweep.ts';
import { Uploads, type Server } from './uploads.ts';
import { attend } from './work.ts';

/** What every screen behind the sign-in has. */
export interface App {
  readonly client: Client;
  readonly journal: Journal;
  readonly saver: Saver;
  readonly key: Key;
  /** Claims of the review queue, by project and filters. */
  readonly claims: Map<string, Claims>;
  /** Items that a claim has brought and that no one has opened yet, by item. */
  readonly claimed: Map<string, Loaded>;
  /** Results that were rejected in this tab, by item: they are in no list. */
  readonly rejected: Map<string, string>;
  /** Uploads by project. They go on while other screens are shown. */
  readonly uploads: Map<string, Uploads>;
  /** Bulk sweeps by project. */
  readonly sweeps: Map<string, Sweeps>;
}

/** What found no answer, or a busy server, is sent again so often. */
const REPEATED_EVERY_MS = 15_000;

/** The last saver of each organization: what the browser could not keep goes on with the next key. */
const savers = new Map<string, Saver>();

const Context = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(Context);
  if (app === null) {
    throw new Error('This screen is behind the sign-in.');
  }
  return app;
}

/** Why the key may not do something; `false` if it may. */
export function useLack(right: Right): string | false {
  return lack(useApp().key, right);
}

/** The uploads of a project. */
export function uploadsOf({ client, uploads }: App, project: string): Uploads {
  const known = uploads.get(project);
  if (known) {
    return known;
  }
  const add: Server['add'] = async (items) => {
    const { body } = await client.post('/projects/{uid}/items/', { path: { uid: project }, body: { items } });
    return 'results' in body ? body : { results: [body], errors: [] };
  };
  const made = new Uploads({ add, put });
  uploads.set(project, made);
  return made;
}

/** The key of this tab. */
export function useKey(): string | null {
  return useSyncExternalStore(subscribe, readKey);
}

/** Gives the screens below what they need. A refused key is forgotten, and nothing else: the journal keeps what was done. */
export function AppProvider({ apiKey, about, children }: { apiKey: string; about: Key; children: ReactNode }) {
  const queries = useMemo(() => newQueries(apiKey), [apiKey]);
  const app = useMemo(() => newApp(apiKey, about, queries), [apiKey, about, queries]);
  useEffect(() => succeed(app), [app]);
  useEffect(() => {
    const resume = () => void app.saver.resume();
    const leave = () => app.saver.sendHeld();
    resume();
    addEventListener('online', resume);
    addEventListener('pagehide', leave);
    const timer = setInterval(() => app.saver.isToBeRepeated() && resume(), REPEATED_EVERY_MS);
    return () => {
      removeEventListener('online', resume);
      removeEventListener('pagehide', leave);
      clearInterval(timer);
      leave();
    };
  }, [app]);
  useEffect(() => attend(app), [app]);
  return (
    <QueryClientProvider client={queries}>
      <Context value={app}>{children}</Context>
    </QueryClientProvider>
  );
}

/** Does a call about an item while no other tab does one. */
async function alone(item: string, call: () => Promise<void>): Promise<void> {
  await navigator.locks.request(`save ${item}`, call);
}

/** Hands what the saver of the key before has, and no journal, to the saver of this one. */
export function succeed({ saver, key }: Pick<App, 'saver' | 'key'>): void {
  const before = savers.get(key.organization.uid);
  savers.set(key.organization.uid, saver);
  if (before && before !== saver) {
    saver.adopt(before);
  }
}

export function newApp(apiKey: string, key: Key, queries: QueryClient): App {
  const client = new Client(apiKey);
  const journal = new Journal(key.organization.uid);
  const claimed = new Map<string, Loaded>();
  const rejected = new Map<string, string>();
  const changed = (entry: Entry) => {
    claimed.delete(entry.item);
    if (entry.result !== null && entry.decision?.verdict === 'reject') {
      rejected.set(entry.item, entry.result);
    }
    // Without the old one first: a version that is gone must not be opened.
    void queries.resetQueries({ queryKey: ['item', entry.item] });
    for (const list of ['items', 'review', 'preview']) {
      void queries.invalidateQueries({ queryKey: [list, entry.project] });
    }
  };
  const saver = new Saver(client, journal, changed, alone, key.name);
  saver.subscribe(() => {
    if (saver.state().unsaved.some(({ status }) => status === 401)) {
      refuseKey(apiKey);
    }
  });
  return { client, journal, saver, key, claims: new Map(), claimed, rejected, uploads: new Map(), sweeps: new Map() };
}

export function newQueries(apiKey: string): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        if (error instanceof ApiError && error.status === 401) {
          refuseKey(apiKey);
        }
      },
    }),
    // The client itself waits for 429 and 503.
    defaultOptions: { queries: { retry: false, staleTime: 10_000, refetchOnWindowFocus: false } },
  });
}
