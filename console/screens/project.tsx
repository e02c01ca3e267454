import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { Link, useParams, useSearchParams } from 'react-router';
import { cursorOf } from '../api/client.ts';
import type { Item } from '../api/types.ts';
import { useApp } from '../ui/app.tsx';
import { Empty, Heading, Loading, Pages, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { itemsQuery, projectQuery, queueQuery } from '../ui/queries.ts';
import { UploadPanel } from './upload-panel.tsx';

/** A project: the way into the review, and its items. */
export function ProjectScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const [search, setSearch] = useSearchParams();
  const about = useQuery(projectQuery(client, project));
  const cursor = search.get('cursor') ?? undefined;
  const items = useQuery(itemsQuery(client, project, cursor));
  const error = about.error ?? items.error;
  return (
    <>
      <Heading>{about.data?.name ?? 'Project'}</Heading>
      {error ? <Problem error={error} /> : null}
      <Review project={project} />
      <p>
        <Link to={paths.review(project)}>Review queue</Link> · <Link to={paths.bulk(project)}>Accept or reject many</Link> ·{' '}
        <Link to={paths.autoLabel(project)}>Auto-Label</Link> · <Link to={paths.exports(project)}>Exports</Link> ·{' '}
        <Link to={paths.imports(project)}>Imports</Link>
      </p>
      <UploadPanel project={project} />
      {!items.data && !error ? <Loading /> : null}
      {items.data?.results.length === 0 ? (
        <Empty title="The project has no item yet">
          <p>
            Drop files above. Or add items by <code>POST /projects/{project}/items/</code>, or put files into the bucket below the
            project's prefix. Then <Link to={paths.autoLabel(project)}>start a job</Link> to have drafts.
          </p>
        </Empty>
      ) : null}
      {items.data && items.data.results.length > 0 ? (
        <Items project={project} items={items.data.results} cursor={cursor} />
      ) : null}
      <Pages previous={cursorOf(items.data?.previous)} next={cursorOf(items.data?.next)} go={(to) => setSearch({ cursor: to })} />
    </>
  );
}

/** Pages of the drafts that are read to find the first one: a call of the page never grows with the project. */
const MOST_PAGES = 10;

/** Leads to the first draft. A page of the list may have none, though a later one has. */
function Review({ project }: { project: string }) {
  const { client } = useApp();
  const drafts = useInfiniteQuery({ ...queueQuery(client, project, 'draft'), staleTime: 0 });
  const { data, error, hasNextPage, isFetching, fetchNextPage } = drafts;
  const [first] = data?.pages.flatMap(({ items }) => items) ?? [];
  const isFar = hasNextPage && (data?.pages.length ?? 0) >= MOST_PAGES;
  const isOpen = data !== undefined && first === undefined && hasNextPage && !isFar;
  useEffect(() => {
    if (isOpen && !isFetching && !error) {
      void fetchNextPage();
    }
  }, [isOpen, isFetching, error, fetchNextPage]);
  if (error && !first) {
    return <Problem error={error} />;
  }
  if (!data || isOpen) {
    return <p role="status">Reading the drafts…</p>;
  }
  if (!first && isFar) {
    return (
      <p>
        The first {MOST_PAGES * 100} items have no draft. The <Link to={paths.review(project)}>review queue</Link> has what there
        is.
      </p>
    );
  }
  return first ? (
    <p>
      <Link to={paths.item(project, first, 'draft')}>Review the drafts</Link>
    </p>
  ) : (
    <p>
      No draft waits for a review. <Link to={paths.autoLabel(project)}>Start a job</Link> to have some.
    </p>
  );
}

function Items({ project, items, cursor }: { project: string; items: readonly Item[]; cursor: string | undefined }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Item</th>
          <th scope="col">Type</th>
          <th scope="col">Size</th>
          <th scope="col">Result</th>
        </tr>
      </thead>
      <tbody>
        {items.map(({ uid, key, asset_type: type, width, height, status }) => (
          <tr key={uid}>
            <th scope="row">
              <Link to={paths.item(project, uid, 'all', cursor)}>{key}</Link>
            </th>
            <td>{type.replace('_', ' ')}</td>
            <td>{width && height ? `${width} × ${height}` : '–'}</td>
            <td>{status}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
