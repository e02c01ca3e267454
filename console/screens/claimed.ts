import { useEffect, useMemo, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import type { Key, QueuedDraft } from '../api/types.ts';
import { useApp, type App } from '../ui/app.tsx';
import { Claims } from '../ui/claims.ts';
import { filtersOf, searchOf, type Filters } from '../ui/filters.ts';
import { paths } from '../ui/paths.ts';
import { Presence } from '../ui/presence.ts';
import { claimServer, type Loaded } from '../ui/queries.ts';
import type { Ways } from './editor.tsx';

const CHECKED_EVERY_MS = 30_000;

/** A person's claims of a project's review queue, as long as they review. */
export function claimsOf({ client, key, claims, claimed }: App, project: string, filters: Filters): Claims {
  const name = nameOf(project, filters);
  const known = claims.get(name);
  if (known) {
    return known;
  }
  const presence = new Presence(presenceOf(key, project));
  const made = new Claims(claimServer(client, project, filters), presence, {
    taken: (row) => claimed.set(row.item, loadedOf(row)),
    dropped: (items) => items.forEach((item) => claimed.delete(item)),
  });
  claims.set(name, made);
  return made;
}

/**
 * Under what the pages of one key know of each other. A claim is of a key, and two keys may have one name: the time at which it
 * was made separates them, since the API shows nothing else of a key that no other has.
 */
export function presenceOf({ name, created_at: created, organization }: Key, project: string): string {
  return `claims ${organization.uid} ${name} ${created} ${project}`;
}

/** Ends a person's claims of a queue. Should the call fail: they run out by themselves. */
export async function giveBack({ claims }: App, project: string, filters: Filters): Promise<void> {
  const name = nameOf(project, filters);
  const made = claims.get(name);
  claims.delete(name);
  await made?.release().catch(() => undefined);
}

/** The ways between claimed items. Claims are made ahead, renewed, and given back when the person leaves. */
export function useClaims(project: string, item: string): Ways {
  const app = useApp();
  const navigate = useNavigate();
  const [search] = useSearchParams();
  const filters = useMemo(() => filtersOf(search), [search]);
  const claims = useMemo(() => claimsOf(app, project, filters), [app, project, filters]);
  const [problem, setProblem] = useState<unknown>(null);
  const [, setClaims] = useState(0);
  useKept(app, nameOf(project, filters), claims, setProblem);
  useEffect(() => {
    // The claims are no state of React: when there are more, the ways are others.
    claims.ahead(item).then(() => {
      setClaims((times) => times + 1);
      setProblem(null);
    }, setProblem);
  }, [claims, item]);
  const go = (to: string) => void navigate(paths.claimed(project, to, filters));
  const following = async () => claims.after(item) ?? (await claims.more(), claims.after(item));
  const leave = (to: string | undefined) => navigate(to ? paths.claimed(project, to, filters) : paths.review(project, filters));
  const next = async () => leave(await following());
  const skip = async () => {
    const to = await following();
    await claims.skip(item);
    await leave(to);
    return true;
  };
  const fail = (failure: unknown) => (setProblem(failure), false);
  const before = claims.before(item);
  return {
    after: claims.after(item),
    next: () => void next().catch(setProblem),
    previous: () => before && go(before),
    skip: () => skip().catch(fail),
    decided: () => claims.decided(item),
    left: claims.left ? `${claims.left.count.toLocaleString()}${claims.left.is_exact ? '' : '+'} left` : '',
    problem,
  };
}

/** Renews the claims as long as the person is at one of them, then gives them back. */
function useKept(app: App, name: string, claims: Claims, setProblem: (problem: unknown) => void): void {
  useEffect(() => {
    const timer = setInterval(() => void claims.renew().catch(setProblem), CHECKED_EVERY_MS);
    return () => {
      clearInterval(timer);
      app.claims.delete(name);
      // Should it fail: they run out by themselves.
      claims.release().catch(() => undefined);
    };
  }, [app, name, claims, setProblem]);
}

function nameOf(project: string, filters: Filters): string {
  return `${project}?${searchOf(filters)}`;
}

/** What the editor needs of a claimed draft: it needs no further call. */
function loadedOf({ key, url, asset_type, width, height, ...result }: QueuedDraft): Loaded {
  const { item: uid, updated_at, revision } = result;
  return { item: { uid, key, url, updated_at, metadata: { asset_type, width, height } }, result, etag: `"${revision}"` };
}
