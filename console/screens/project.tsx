import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useParams, useSearchParams } from 'react-router';
import { cursorOf } from '../api/client.ts';
import type { Item } from '../api/types.ts';
import { useApp } from '../ui/app.tsx';
import { Empty, Heading, Loading, Pages, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { itemsQuery, projectQuery, queueQuery } from '../ui/queries.ts';

/** A project: the way into the review, and its items. */
export function ProjectScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const [search, setSearch] = useSearchParams();
  const about = useQuery(projectQuery(client, project));
  const items = useQuery(itemsQuery(client, project, search.get('cursor') ?? undefined));
  const error = about.error ?? items.error;
  return (
    <>
      <Heading>{about.data?.name ?? 'Project'}</Heading>
      {error ? <Problem error={error} /> : null}
      <Review project={project} />
      <p>
        <Link to={paths.autoLabel(project)}>Auto-Label</Link>
      </p>
      {!items.data && !error ? <Loading /> : null}
      {items.data?.results.length === 0 ? (
        <Empty title="The project has no item yet">
          <p>
            Add items by <code>POST /projects/{project}/items/</code>, or put files into the bucket below the project's prefix.
          </p>
        </Empty>
      ) : null}
      {items.data && items.data.results.length > 0 ? <Items project={project} items={items.data.results} /> : null}
      <Pages previous={cursorOf(items.data?.previous)} next={cursorOf(items.data?.next)} go={(cursor) => setSearch({ cursor })} />
    </>
  );
}

/** Leads to the first draft. */
function Review({ project }: { project: string }) {
  const { client } = useApp();
  const { data } = useInfiniteQuery({ ...queueQuery(client, project, 'draft'), staleTime: 0 });
  const [first] = data?.pages.flatMap(({ items }) => items) ?? [];
  if (!data) {
    return null;
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

function Items({ project, items }: { project: string; items: readonly Item[] }) {
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
              <Link to={paths.item(project, uid, 'all')}>{key}</Link>
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
