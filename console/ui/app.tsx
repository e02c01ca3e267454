import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react';
import { ApiError, Client } from '../api/client.ts';
import type { Organization } from '../api/types.ts';
import { Journal, type Entry } from '../editor/journal.ts';
import { Saver } from '../editor/saver.ts';
import { forgetKey, readKey, subscribe } from './session.ts';

/** What every screen behind the sign-in has. */
export interface App {
  readonly client: Client;
  readonly journal: Journal;
  readonly saver: Saver;
  readonly organization: Organization;
}

const REFUSED = 'The API key was refused. What is not saved is kept in this browser: sign in to go on.';

/** What found no answer, or a busy server, is sent again so often. */
const REPEATED_EVERY_MS = 15_000;

const Context = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(Context);
  if (app === null) {
    throw new Error('This screen is behind the sign-in.');
  }
  return app;
}

/** The key of this tab. */
export function useKey(): string | null {
  return useSyncExternalStore(subscribe, readKey);
}

/** Gives the screens below what they need. A refused key is forgotten, and nothing else: the journal keeps what was done. */
export function AppProvider({
  apiKey,
  organization,
  children,
}: {
  apiKey: string;
  organization: Organization;
  children: ReactNode;
}) {
  const queries = useMemo(() => newQueries(), []);
  const app = useMemo(() => newApp(apiKey, organization, queries), [apiKey, organization, queries]);
  useEffect(() => {
    const resume = () => void app.saver.resume();
    resume();
    addEventListener('online', resume);
    const timer = setInterval(() => app.saver.isToBeRepeated() && resume(), REPEATED_EVERY_MS);
    return () => {
      removeEventListener('online', resume);
      clearInterval(timer);
    };
  }, [app]);
  return (
    <QueryClientProvider client={queries}>
      <Context value={app}>{children}</Context>
    </QueryClientProvider>
  );
}

function newApp(apiKey: string, organization: Organization, queries: QueryClient): App {
  const client = new Client(apiKey);
  const journal = new Journal(organization.uid);
  const changed = (entry: Entry) => {
    // Without the old one first: a version that is gone must not be opened.
    void queries.resetQueries({ queryKey: ['item', entry.item] });
    void queries.invalidateQueries({ queryKey: ['items', entry.project] });
  };
  const saver = new Saver(client, journal, changed, async (item, call) => {
    await navigator.locks.request(`save ${item}`, call);
  });
  saver.subscribe(() => {
    if (saver.state().unsaved.some(({ status }) => status === 401)) {
      forgetKey(REFUSED);
    }
  });
  return { client, journal, saver, organization };
}

function newQueries(): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        if (error instanceof ApiError && error.status === 401) {
          forgetKey(REFUSED);
        }
      },
    }),
    // The client itself waits for 429 and 503.
    defaultOptions: { queries: { retry: false, staleTime: 10_000, refetchOnWindowFocus: false } },
  });
}
