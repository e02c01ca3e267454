import {
  useInfiniteQuery,
  useQuery,
  useQueryClient,
  type InfiniteData,
  type QueryClient,
  type UseInfiniteQueryResult,
} from '@tanstack/react-query';
import { useEffect } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';
import { open, type Opened } from '../editor/open.ts';
import { PictureError } from '../editor/picture.ts';
import { Pictures } from '../editor/pictures.ts';
import type { Picture } from '../editor/renderer.ts';
import { useApp, type App } from '../ui/app.tsx';
import { Button, Loading, Problem } from '../ui/parts.tsx';
import { paths, queueOf } from '../ui/paths.ts';
import { itemQuery, projectQuery, queueQuery, type Loaded } from '../ui/queries.ts';
import { useClaims } from './claimed.ts';
import { Editor } from './editor-item.tsx';

const pictures = new Pictures();
/** Pages of the queue that are read to find the item that is open. */
const MOST_PAGES = 20;

/** All that the editor needs of an item. */
export interface Ready extends Loaded, Opened {
  readonly project: string;
  /** `null`: it is no picture, or `problem` says why it cannot be shown. */
  readonly picture: Picture | null;
  readonly problem: Error | null;
}

/** Where the editor leads to from an item. */
export interface Ways {
  next(): void;
  previous(): void;
  /** The person has decided about the item. */
  decided(): void;
  /** Gives the item to others, and says whether it did; `null`: there is no one to give it to. */
  readonly skip: (() => Promise<boolean>) | null;
  /** The item that is likely next. */
  readonly after: string | undefined;
  /** How many items there are still, for people; empty if that is not known. */
  readonly left: string;
  /** What went wrong with the queue. */
  readonly problem: unknown;
}

/** One item of a queue in the editor: of a list, or of the review queue. */
export function EditorScreen() {
  const [search] = useSearchParams();
  return search.get('queue') === 'review' ? <ClaimedItem /> : <ListedItem />;
}

function ListedItem() {
  const { project = '', item = '' } = useParams();
  return <OpenItem project={project} item={item} ways={useQueue(project, item)} />;
}

function ClaimedItem() {
  const { project = '', item = '' } = useParams();
  return <OpenItem project={project} item={item} ways={useClaims(project, item)} />;
}

function OpenItem({ project, item, ways }: { project: string; item: string; ways: Ways }) {
  const app = useApp();
  const queries = useQueryClient();
  const loaded = useQuery(itemQuery(app, project, item));
  const { data, error, refetch } = useQuery({
    queryKey: ['ready', item, loaded.data?.etag],
    enabled: loaded.data !== undefined,
    staleTime: Infinity,
    gcTime: 0,
    structuralSharing: false,
    queryFn: () => ready(app, queries, project, item),
  });
  const { after } = ways;
  useEffect(() => {
    if (data && after) {
      void prefetch(app, queries, project, after);
    }
  }, [app, queries, project, after, data]);
  if (loaded.error ?? error) {
    const again = () => void (loaded.error ? loaded.refetch() : refetch());
    return (
      <Problem error={loaded.error ?? error}>
        <Button onClick={again}>Try again</Button>
      </Problem>
    );
  }
  return data ? <Editor key={`${item} ${data.etag}`} ready={data} ways={ways} /> : <Loading />;
}

/** Leads to the neighbours in the queue; from the last one back to the project. */
function useQueue(project: string, item: string): Ways {
  const { client } = useApp();
  const navigate = useNavigate();
  const [search] = useSearchParams();
  const queue = queueOf(search.get('queue'));
  const from = search.get('from') ?? undefined;
  const list = useInfiniteQuery(queueQuery(client, project, queue, from));
  const { data, hasNextPage, isFetching, isError, fetchNextPage } = list;
  const items = data?.pages.flatMap((page) => page.items) ?? [];
  const at = items.indexOf(item);
  const [before, after] = [items[at - 1], items[at + 1]];
  // A link from a job may lead far into all items: then the pages up to there are read first.
  const isFar = at < 0 && queue === 'all' && (data?.pages.length ?? 0) < MOST_PAGES;
  const isNearEnd = data !== undefined && (isFar || at >= items.length - 3);
  useEffect(() => {
    if (isNearEnd && hasNextPage && !isFetching && !isError) {
      void fetchNextPage();
    }
  }, [isNearEnd, hasNextPage, isFetching, isError, fetchNextPage]);
  const go = (to: string | undefined) => void navigate(to ? paths.item(project, to, queue, from) : paths.project(project));
  return {
    after,
    next: () => void nextOf(list, item).then(go),
    previous: () => before && go(before),
    skip: null,
    decided: () => undefined,
    left: '',
    problem: null,
  };
}

type List = Pick<
  UseInfiniteQueryResult<InfiniteData<{ readonly items: readonly string[]; readonly next?: string | null | undefined }>>,
  'data' | 'fetchNextPage' | 'refetch'
>;

/** The item after this one. A person may be faster than the list: then it is known when the list is there. */
async function nextOf(list: List, item: string): Promise<string | undefined> {
  const inFlight = { cancelRefetch: false };
  let { data } = list;
  for (let page = 0; page < MOST_PAGES; page++) {
    const items = data?.pages.flatMap((one) => one.items) ?? [];
    const next = items[items.indexOf(item) + 1];
    if (next !== undefined || (data && !data.pages.at(-1)?.next)) {
      return next;
    }
    const answer = await (data ? list.fetchNextPage(inFlight) : list.refetch(inFlight));
    if (answer.isError) {
      return undefined;
    }
    ({ data } = answer);
  }
  return undefined;
}

async function ready(app: App, queries: QueryClient, project: string, item: string): Promise<Ready> {
  // A person may come back while the decision is on its way.
  await app.saver.settled(item);
  const [about, loaded] = await Promise.all([
    queries.ensureQueryData(projectQuery(app.client, project)),
    queries.ensureQueryData(itemQuery(app, project, item)),
  ]);
  const shown = await pictureOf(app, queries, project, loaded).then(
    (picture) => ({ picture, problem: null }),
    (problem: Error) => ({ picture: null, problem }),
  );
  const { width, height } = sizeOf(loaded, shown.picture);
  const opened = await open(item, loaded.result, loaded.etag, about.labels, { x: 0, y: 0, width, height }, app.saver);
  // Geometry is in the item's size: should the file have another one, it is drawn in the item's.
  return {
    ...loaded,
    ...opened,
    project,
    picture: shown.picture && { ...shown.picture, width, height },
    problem: shown.problem,
  };
}

function sizeOf({ item: { metadata } }: Loaded, picture: Picture | null): { width: number; height: number } {
  const { width, height } = metadata;
  return width && height ? { width, height } : { width: picture?.width ?? 0, height: picture?.height ?? 0 };
}

/** The picture of an item; `null` of a point cloud. An address that has expired is asked for once more. */
async function pictureOf(app: App, queries: QueryClient, project: string, { item }: Loaded): Promise<Picture | null> {
  if (item.metadata.asset_type === 'point_cloud') {
    return null;
  }
  try {
    return await load(item);
  } catch (error) {
    if (!(error instanceof PictureError && error.expired)) {
      throw error;
    }
    return load((await queries.fetchQuery({ ...itemQuery(app, project, item.uid), staleTime: 0 })).item);
  }
}

async function load({ url, uid, updated_at: version }: Loaded['item']): Promise<Picture> {
  if (!url) {
    throw new PictureError('The deployment does not read this file any more.');
  }
  return pictures.get(`${uid} ${version}`, url);
}

/** Loads the next item while a person is at this one. That it fails is seen when the person is there. */
async function prefetch(app: App, queries: QueryClient, project: string, item: string): Promise<void> {
  try {
    await pictureOf(app, queries, project, await queries.ensureQueryData(itemQuery(app, project, item)));
  } catch {
    queries.removeQueries({ queryKey: ['item', item] });
  }
}
