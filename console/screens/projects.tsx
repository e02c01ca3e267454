import { useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { cursorOf } from '../api/client.ts';
import type { Project } from '../api/types.ts';
import { useApp } from '../ui/app.tsx';
import { Empty, Heading, Loading, Pages, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { projectsQuery } from '../ui/queries.ts';

/** The projects of the organization. */
export function Projects() {
  const { client } = useApp();
  const [search, setSearch] = useSearchParams();
  const { data, error } = useQuery(projectsQuery(client, search.get('cursor') ?? undefined));
  return (
    <>
      <Heading>Projects</Heading>
      {error ? <Problem error={error} /> : null}
      {!data && !error ? <Loading /> : null}
      {data?.results.length === 0 ? (
        <Empty title="There is no project yet">
          <p>
            Create one by <code>POST /projects/</code> with a name and its labels, then add items to it.
          </p>
        </Empty>
      ) : null}
      {data && data.results.length > 0 ? <Table projects={data.results} /> : null}
      <Pages previous={cursorOf(data?.previous)} next={cursorOf(data?.next)} go={(cursor) => setSearch({ cursor })} />
    </>
  );
}

function Table({ projects }: { projects: readonly Project[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col" className="number">
            Items
          </th>
          <th scope="col">Labels</th>
          <th scope="col">Status</th>
        </tr>
      </thead>
      <tbody>
        {projects.map((project) => (
          <tr key={project.uid}>
            <th scope="row">
              <Link to={paths.project(project.uid)}>{project.name}</Link>
            </th>
            <td className="number">{project.item_count.toLocaleString()}</td>
            <td>{project.labels.slice(0, 10).join(', ')}</td>
            <td>{project.status}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
