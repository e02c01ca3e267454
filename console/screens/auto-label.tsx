import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type SyntheticEvent } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { free } from '../api/client.ts';
import { useApp } from '../ui/app.tsx';
import { Button, Heading, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { jobsQuery, projectQuery, providersQuery } from '../ui/queries.ts';
import css from './settings.module.css';

/** What a job is asked for. */
interface Choice {
  /** Empty: the one that serves the project without a choice. */
  readonly provider: string;
  readonly threshold: number;
  /** Empty: all. */
  readonly labels: readonly string[];
  /** Percent by label, as typed. */
  readonly thresholds: Readonly<Record<string, string>>;
  readonly dryRun: boolean;
}

const FIRST: Choice = { provider: '', threshold: 0.5, labels: [], thresholds: {}, dryRun: false };

/** Project > Settings > Auto-Label: provider, confidence threshold, Run Auto-Label. */
export function AutoLabelScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const about = useQuery(projectQuery(client, project));
  const [choice, setChoice] = useState(FIRST);
  const change = (part: Partial<Choice>) => setChoice({ ...choice, ...part });
  const run = useMutation({
    mutationFn: async () =>
      (await client.post('/projects/{project}/auto-label/', { path: { project }, body: bodyOf(choice) })).body,
    onSuccess: async ({ uid }) => {
      await queries.invalidateQueries({ queryKey: ['jobs', project] });
      await navigate(paths.job(uid));
    },
  });
  return (
    <>
      <Heading>{`Auto-Label ${about.data?.name ?? ''}`}</Heading>
      <form onSubmit={(event: SyntheticEvent) => (event.preventDefault(), run.mutate())}>
        <ProviderChoice value={choice.provider} set={(provider) => change({ provider })} />
        <Threshold value={choice.threshold} set={(threshold) => change({ threshold })} />
        <LabelChoice labels={about.data?.labels ?? []} choice={choice} change={change} />
        <p>
          <label>
            <input type="checkbox" checked={choice.dryRun} onChange={(event) => change({ dryRun: event.target.checked })} /> Dry
            run: count what would be drafted, and leave no draft
          </label>
        </p>
        <Button type="submit" kind="main" off={run.isPending && 'The job is being started.'}>
          Run Auto-Label
        </Button>
      </form>
      {run.error ? <Problem error={run.error} /> : null}
      <Jobs project={project} />
    </>
  );
}

function bodyOf({ provider, threshold, labels, thresholds, dryRun }: Choice) {
  const given = Object.entries(thresholds).filter(([, percent]) => percent !== '');
  return {
    confidence_threshold: threshold,
    dry_run: dryRun,
    ...(provider === '' ? {} : { provider_id: provider }),
    labels: [...labels],
    ...(given.length === 0
      ? {}
      : { label_thresholds: free(Object.fromEntries(given.map(([label, percent]) => [label, Number(percent) / 100]))) }),
  };
}

function ProviderChoice({ value, set }: { value: string; set(provider: string): void }) {
  const { client } = useApp();
  const { data } = useQuery(providersQuery(client));
  const active = data?.results.filter((provider) => provider.is_active) ?? [];
  return (
    <p>
      <label>
        Inference provider{' '}
        <select value={value} onChange={(event) => set(event.target.value)}>
          <option value="">The project's, or the deployment's own</option>
          {active.map(({ uid, name }) => (
            <option key={uid} value={uid}>
              {name}
            </option>
          ))}
        </select>
      </label>{' '}
      <Link to={paths.inference()}>Add a provider</Link>
    </p>
  );
}

/** What a threshold means, from the lowest on. */
const MEANINGS = [
  [0.9, 'Only very confident predictions. Minimal false positives.'],
  [0.7, 'Fewer predictions, higher quality. Good for production.'],
  [0.45, 'Balanced. Recommended starting point.'],
  [0, 'More predictions, more noise. Good for a first exploration.'],
] as const;

function Threshold({ value, set }: { value: number; set(threshold: number): void }) {
  const meaning = MEANINGS.find(([least]) => value >= least)?.[1];
  return (
    <p>
      <label>
        Confidence threshold{' '}
        <input
          type="range"
          min={0}
          max={100}
          value={Math.round(value * 100)}
          onChange={(event) => set(Number(event.target.value) / 100)}
        />{' '}
      </label>
      <output>
        {Math.round(value * 100)} %. {meaning}
      </output>
    </p>
  );
}

interface LabelChoiceProps {
  readonly labels: readonly string[];
  readonly choice: Choice;
  change(part: Partial<Choice>): void;
}

function LabelChoice({ labels, choice, change }: LabelChoiceProps) {
  const toggle = (label: string, isChosen: boolean) =>
    change({ labels: isChosen ? [...choice.labels, label] : choice.labels.filter((other) => other !== label) });
  return (
    <details>
      <summary>Labels: {choice.labels.length === 0 ? 'all' : choice.labels.join(', ')}</summary>
      <ul className={css['labels']}>
        {labels.map((label) => (
          <li key={label}>
            <label>
              <input
                type="checkbox"
                checked={choice.labels.includes(label)}
                onChange={(event) => toggle(label, event.target.checked)}
              />{' '}
              {label}
            </label>{' '}
            <input
              type="number"
              min={0}
              max={100}
              placeholder={`${Math.round(choice.threshold * 100)}`}
              aria-label={`Threshold of ${label}, percent`}
              value={choice.thresholds[label] ?? ''}
              onChange={(event) => change({ thresholds: { ...choice.thresholds, [label]: event.target.value } })}
            />
          </li>
        ))}
      </ul>
    </details>
  );
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
