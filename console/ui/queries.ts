import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { ApiError, cursorOf, type Client } from '../api/client.ts';
import type { DatasetItem, Job, Outcome, Result } from '../api/types.ts';
import { COUNT, type ClaimServer } from './claims.ts';
import { chosenOf, type Filters } from './filters.ts';
import type { Queue } from './paths.ts';

/** The address of an export's file works for an hour: it is read again before. */
const ADDRESSES_MS = 30 * 60_000;

export function projectsQuery(client: Client, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['projects', cursor],
    queryFn: async ({ signal }) => (await client.get('/projects/', { query: from(cursor), signal })).body,
  });
}

export function projectQuery(client: Client, project: string) {
  return queryOptions({
    queryKey: ['project', project],
    queryFn: async ({ signal }) => (await client.get('/projects/{uid}/', { path: { uid: project }, signal })).body,
  });
}

/** A page of the items, in the order of the queue of all. */
export function itemsQuery(client: Client, project: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['items', project, cursor],
    queryFn: async ({ signal }) =>
      (
        await client.get('/projects/{uid}/items/', {
          path: { uid: project },
          query: { ...from(cursor), ordering: 'created_at' },
          signal,
        })
      ).body,
  });
}

/** The items that a reviewer goes through, the oldest first, page by page. `start`: the cursor of the first page. */
export function queueQuery(client: Client, project: string, queue: Queue, start?: string) {
  return infiniteQueryOptions({
    queryKey: ['queue', project, queue, start],
    staleTime: Infinity,
    initialPageParam: start,
    queryFn: async ({ pageParam, signal }) => {
      const given = { path: { uid: project }, signal };
      const query = { ...from(pageParam), ordering: 'created_at' };
      if (queue === 'all') {
        const { body } = await client.get('/projects/{uid}/items/', { ...given, query });
        return { next: body.next, items: body.results.map(({ uid }) => uid) };
      }
      const { body } = await client.get('/projects/{uid}/results/', { ...given, query: { ...query, status: queue } });
      return { next: body.next, items: body.results.map(({ item }) => item) };
    },
    getNextPageParam: ({ next }) => cursorOf(next),
  });
}

/** An item with the address of its file, and its result with the version that a change names. */
export interface Loaded {
  readonly item: Pick<DatasetItem, 'uid' | 'key' | 'url' | 'updated_at'> & {
    readonly metadata: Pick<DatasetItem['metadata'], 'asset_type' | 'width' | 'height'>;
  };
  readonly result: Shown | null;
  readonly etag: string;
}

/** What the page needs of a result. */
export type Shown = Pick<Result, 'uid' | 'status' | 'source' | 'reviewed_by' | 'annotations' | 'draft_indexes'>;

/** What a claim of the review queue has brought needs no call. */
export interface Reader {
  readonly client: Client;
  readonly claimed: Map<string, Loaded>;
}

export function itemQuery({ client, claimed }: Reader, project: string, item: string) {
  return queryOptions({
    queryKey: ['item', item],
    staleTime: Infinity,
    gcTime: 60_000,
    queryFn: async ({ signal, client: queries }): Promise<Loaded> => {
      const brought = claimed.get(item);
      if (brought) {
        // Once: what is asked for again is asked for since it may have changed.
        claimed.delete(item);
        return brought;
      }
      const dataset = await queries.ensureQueryData(datasetQuery(client, project));
      const path = { owner: dataset.owner_name ?? '', slug: dataset.slug, uid: item };
      const { body } = await client.get('/datasets/{owner}/{slug}/items/{uid}/', { path, signal });
      const [of] = body.annotations.results;
      if (!of) {
        return { item: body, result: null, etag: '' };
      }
      return { item: body, result: of, etag: `"${of.revision}"` };
    },
  });
}

/** Rows of the review queue that are shown before a person starts. */
const SHOWN = 20;

/** What waits for a review, and how many drafts are left. */
export function reviewQuery(client: Client, project: string, filters: Filters) {
  return queryOptions({
    queryKey: ['review', project, filters],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const query = { order: filters.order, limit: SHOWN, ...chosenOf(filters) };
      return (await client.get('/projects/{uid}/review-queue/', { path: { uid: project }, query, signal })).body;
    },
  });
}

/** The calls by which a person has drafts of the review queue for themselves. */
export function claimServer(client: Client, project: string, filters: Filters): ClaimServer {
  const path = { uid: project };
  const chosen = { count: COUNT, order: filters.order, ...chosenOf(filters) };
  return {
    claim: async (cursor) => {
      const body = cursor === null ? chosen : { ...chosen, cursor };
      return (await client.post('/projects/{uid}/review-queue/claim/', { path, body })).body;
    },
    renew: async (items) =>
      (await client.post('/projects/{uid}/review-queue/renew/', { path, body: { items: [...items] } })).body,
    release: (items) => client.post('/projects/{uid}/review-queue/release/', { path, body: { items: [...items] } }),
    skip: (item) =>
      client.post('/projects/{uid}/review-queue/skip/', { path, body: { item } }).catch((error: unknown) => {
        // It is no draft any more: then there is nothing to give back.
        if (!(error instanceof ApiError && error.status === 404)) {
          throw error;
        }
      }),
  };
}

/** A page has the drafts among so many items; so many pages are read to find some. */
const PREVIEW_ITEMS = 20;
const PREVIEW_PAGES = 5;
const PREVIEWED = 3;

/** Three drafts, the newest, to see what a threshold leaves of them. */
export function previewQuery(client: Client, project: string) {
  return queryOptions({
    queryKey: ['preview', project],
    queryFn: async ({ signal }): Promise<Result[]> => {
      const found: Result[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < PREVIEW_PAGES && found.length < PREVIEWED && (page === 0 || cursor); page++) {
        const query = { status: 'draft' as const, limit: PREVIEW_ITEMS, ...from(cursor) };
        const { body } = await client.get('/projects/{uid}/results/', { path: { uid: project }, query, signal });
        found.push(...body.results);
        cursor = cursorOf(body.next);
      }
      return found.slice(0, PREVIEWED);
    },
  });
}

/** Files that became no item. */
export function refusedQuery(client: Client, project: string) {
  return queryOptions({
    queryKey: ['refused', project],
    queryFn: async ({ signal }) => (await client.get('/projects/{uid}/uploads/', { path: { uid: project }, signal })).body,
  });
}

export function providersQuery(client: Client) {
  return queryOptions({
    queryKey: ['providers'],
    queryFn: async ({ signal }) => (await client.get('/inference-providers/', { signal })).body,
  });
}

export function jobsQuery(client: Client, project: string) {
  return queryOptions({
    queryKey: ['jobs', project],
    queryFn: async ({ signal }) => (await client.get('/auto-label-jobs/', { query: { project, limit: 20 }, signal })).body,
  });
}

/** A job; once a second again while it runs and the page is seen. */
export function jobQuery(client: Client, job: string) {
  return queryOptions({
    queryKey: ['job', job],
    staleTime: 0,
    queryFn: async ({ signal }): Promise<Job> =>
      (await client.get('/auto-label-jobs/{uid}/', { path: { uid: job }, signal })).body,
    refetchInterval: ({ state }): number | false => (state.data?.completed_at ? false : 1000),
  });
}

export function reportsQuery(client: Client, job: string, outcome: Outcome | undefined, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['reports', job, outcome, cursor],
    queryFn: async ({ signal }) => {
      const query = { ...from(cursor), ...(outcome ? { outcome } : {}), limit: 50 };
      return (await client.get('/auto-label-jobs/{uid}/items/', { path: { uid: job }, query, signal })).body;
    },
  });
}

/** A page of the exports of a project, the newest first; once a second again while one of them runs and the page is seen. */
export function exportsQuery(client: Client, project: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['exports', project, cursor],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const query = { project, ...from(cursor), limit: 20 };
      return (await client.get('/exports/', { query, signal })).body;
    },
    refetchInterval: ({ state }): number | false => {
      const isOpen = state.data?.results.some(({ completed_at: end }) => end === null);
      return isOpen ? 1000 : ADDRESSES_MS;
    },
  });
}

/** A page of the imports of a project, the newest first; again while one is worked on, or waits for its file, and the page is seen. */
export function importsQuery(client: Client, project: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['imports', project, cursor],
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const query = { ...from(cursor), limit: 20 };
      return (await client.get('/projects/{uid}/imports/', { path: { uid: project }, query, signal })).body;
    },
    refetchInterval: ({ state }): number => {
      const open = state.data?.results.filter(({ completed_at: end }) => end === null) ?? [];
      const isRunning = open.some(({ status }) => status === 'processing');
      return isRunning ? 1000 : open.length > 0 ? 3000 : ADDRESSES_MS;
    },
  });
}

function datasetQuery(client: Client, project: string) {
  return queryOptions({
    queryKey: ['dataset', project],
    staleTime: Infinity,
    queryFn: async ({ signal }) => (await client.get('/datasets/{uid}/', { path: { uid: project }, signal })).body,
  });
}

function from(cursor: string | undefined): { cursor?: string } {
  return cursor === undefined ? {} : { cursor };
}
