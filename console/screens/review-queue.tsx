import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from 'react-router';
import type { QueuedDraft } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { leftOf, type Claims, type Left } from '../ui/claims.ts';
import { ALL, type Filters } from '../ui/filters.ts';
import { Button, Empty, Heading, Loading, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { projectQuery, reviewQuery } from '../ui/queries.ts';
import { useFilters } from '../ui/use-filters.ts';
import { claimsOf, giveBack } from './claimed.ts';
import { FilterForm, meaningOf } from './filter-form.tsx';
import css from './review.module.css';

/** What waits for a review, in an order that the person chooses, and the way into the editor. */
export function ReviewScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const about = useQuery(projectQuery(client, project));
  const filtering = useFilters();
  const { settled } = filtering;
  const { data, error } = useQuery(reviewQuery(client, project, settled));
  const isEmpty = data !== undefined && data.results.length === 0 && data.next === null;
  return (
    <>
      <Heading>{`Review queue ${about.data?.name ?? ''}`}</Heading>
      <FilterForm project={project} filtering={filtering} hasOrder />
      <p>{meaningOf(settled)}</p>
      {error ? <Problem error={error} /> : null}
      {!data && !error ? <Loading /> : null}
      {isEmpty ? <Nothing project={project} filters={settled} /> : null}
      {data && !isEmpty ? (
        <>
          <p className={css['left']} role="status">
            {leftOf(data.remaining)}
          </p>
          <Start project={project} filters={settled} left={data.remaining} />
          <Waiting rows={data.results} />
        </>
      ) : null}
    </>
  );
}

function Nothing({ project, filters }: { project: string; filters: Filters }) {
  const isNarrowed = meaningOf(filters) !== meaningOf(ALL) || filters.job !== '';
  return (
    <Empty title={isNarrowed ? 'No draft matches' : 'No draft waits for a review'}>
      {isNarrowed ? (
        <p>Choose another label, job or range above.</p>
      ) : (
        <p>
          <Link to={paths.autoLabel(project)}>Start a job</Link> to have some, or see the{' '}
          <Link to={paths.project(project)}>items of the project</Link>.
        </p>
      )}
    </Empty>
  );
}

async function firstOf(claims: Claims, left: Left): Promise<string> {
  claims.begin(left);
  await claims.more();
  const first = claims.first();
  if (first === undefined) {
    throw new Error('Other people have the drafts that match, or you have skipped them. Ask again in ten minutes.');
  }
  return first;
}

/** Claims the first items, and opens the first one. */
function Start({ project, filters, left }: { project: string; filters: Filters; left: Left }) {
  const app = useApp();
  const navigate = useNavigate();
  const lacking = useLack('review');
  const start = useMutation({
    mutationFn: async () => {
      const first = await firstOf(claimsOf(app, project, filters), left).catch(async (error: unknown) => {
        await giveBack(app, project, filters);
        throw error;
      });
      await navigate(paths.claimed(project, first, filters));
    },
  });
  return (
    <>
      <div className={css['actions']}>
        <Button kind="main" off={lacking || (start.isPending && 'Items are being claimed.')} onClick={() => start.mutate()}>
          Start
        </Button>
        <span>You get 20 at a time. No other person gets them while you are at work.</span>
        <Link to={paths.bulk(project, { ...filters, order: ALL.order })}>Accept or reject many at once</Link>
      </div>
      {start.error ? <Problem error={start.error} /> : null}
    </>
  );
}

function Waiting({ rows }: { rows: readonly QueuedDraft[] }) {
  return (
    <table>
      <caption>The next ones</caption>
      <thead>
        <tr>
          <th scope="col">Item</th>
          <th scope="col" className="number">
            Annotations
          </th>
          <th scope="col">Confidence</th>
          <th scope="col">Claimed by</th>
          <th scope="col">Skipped by</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.uid}>
            <th scope="row">{row.key}</th>
            <td className="number">{row.annotation_count.toLocaleString()}</td>
            <td>{rangeOf(row)}</td>
            <td>{row.is_yours ? 'you' : row.claimed_by}</td>
            <td>{row.skips.map(({ by, reason }) => (reason ? `${by}: ${reason}` : by)).join('; ')}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function rangeOf({ min_confidence: least, max_confidence: most }: QueuedDraft): string {
  if (typeof least !== 'number' || typeof most !== 'number') {
    return '–';
  }
  const [from, to] = [Math.round(least * 100), Math.round(most * 100)];
  return from === to ? `${to} %` : `${from} to ${to} %`;
}
