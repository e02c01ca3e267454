import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type SyntheticEvent } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { free } from '../api/client.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { Button, Heading, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { jobsQuery, projectQuery } from '../ui/queries.ts';
import { Arrival } from './arrival.tsx';
import { Options, thresholdsOf, type Choice } from './options.tsx';
import { Preview } from './preview.tsx';

/** What a job is asked for. */
interface Run extends Choice {
  readonly dryRun: boolean;
}

const FIRST: Run = { provider: '', threshold: 0.5, labels: [], thresholds: {}, dryRun: false };

/** Project > Settings > Auto-Label: provider, confidence threshold, Run Auto-Label; and what uploads start by themselves. */
export function AutoLabelScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const about = useQuery(projectQuery(client, project));
  return (
    <>
      <Heading>{`Auto-Label ${about.data?.name ?? ''}`}</Heading>
      {about.error ? <Problem error={about.error} /> : null}
      <RunForm project={project} labels={about.data?.labels ?? []} />
      {about.data ? <Arrival project={about.data} /> : null}
      <Jobs project={project} />
    </>
  );
}

function RunForm({ project, labels }: { project: string; labels: readonly string[] }) {
  const [choice, setChoice] = useState(FIRST);
  const change = (part: Partial<Run>) => setChoice({ ...choice, ...part });
  const run = useRun(project, choice);
  const lacking = useLack('change');
  return (
    <form aria-label="Run Auto-Label" onSubmit={(event: SyntheticEvent) => (event.preventDefault(), run.mutate())}>
      <Options labels={labels} choice={choice} hasThresholds change={change} />
      <Preview project={project} labels={labels} choice={choice} />
      <p>
        <label>
          <input type="checkbox" checked={choice.dryRun} onChange={(event) => change({ dryRun: event.target.checked })} /> Dry
          run: count what would be drafted, and leave no draft
        </label>
      </p>
      <Button type="submit" kind="main" off={lacking || (run.isPending && 'The job is being started.')}>
        Run Auto-Label
      </Button>
      {run.error ? <Problem error={run.error} /> : null}
    </form>
  );
}

/** Starts a job, and leads to it. */
function useRun(project: string, choice: Run) {
  const { client } = useApp();
  const navigate = useNavigate();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async () =>
      (await client.post('/projects/{project}/auto-label/', { path: { project }, body: bodyOf(choice) })).body,
    onSuccess: async ({ uid }) => {
      await queries.invalidateQueries({ queryKey: ['jobs', project] });
      await navigate(paths.job(uid));
    },
  });
}

function bodyOf(choice: Run) {
  const { provider, threshold, labels, dryRun } = choice;
  const given = thresholdsOf(choice);
  return {
    confidence_threshold: threshold,
    dry_run: dryRun,
    ...(provider === '' ? {} : { provider_id: provider }),
    labels: [...labels],
    ...(given.length === 0 ? {} : { label_thresholds: free(Object.fromEntries(given)) }),
  };
}

/** The last jobs of the project. */
function Jobs({ project }: { project: string }) {
  const { client } = useApp();
  const { data } = useQuery(jobsQuery(client, project));
  return (
    <section aria-label="Jobs">
      <h2>Jobs</h2>
      {data?.results.length === 0 ? <p>There was none yet.</p> : null}
      <ul>
        {data?.results.map(({ uid, status, created_at: created, successful_items: successful, total_items: total }) => (
          <li key={uid}>
            <Link to={paths.job(uid)}>{new Date(created).toLocaleString()}</Link>: {status}, {successful} of {total} drafted
          </li>
        ))}
      </ul>
    </section>
  );
}
