import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { cursorOf } from '../api/client.ts';
import type { Job, Outcome } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { Button, Heading, Loading, Pages, Problem } from '../ui/parts.tsx';
import { ALL } from '../ui/filters.ts';
import { paths } from '../ui/paths.ts';
import { jobQuery, reportsQuery } from '../ui/queries.ts';
import css from './settings.module.css';

const OUTCOMES: readonly Outcome[] = ['successful', 'skipped', 'failed'];

/** A job: how far it is, what became of each item, and what can be done about it. */
export function JobScreen() {
  const { client } = useApp();
  const { job: uid = '' } = useParams();
  const { data: job, error, dataUpdatedAt } = useQuery(jobQuery(client, uid));
  return (
    <>
      <Heading>Job</Heading>
      {error ? <Problem error={error} /> : null}
      {job ? (
        <>
          <Progress job={job} now={dataUpdatedAt} />
          <Actions job={job} />
          <Reports job={job} />
        </>
      ) : (
        <Loading />
      )}
    </>
  );
}

function Progress({ job, now }: { job: Job; now: number }) {
  const counts = { Drafted: job.successful_items, Skipped: job.skipped_items, Failed: job.failed_items, Items: job.total_items };
  return (
    <section aria-label="Progress">
      <p role="status">
        {job.status}
        {job.dry_run ? ', a dry run' : ''}
        {job.completed_at ? '' : `, ${remaining(job, now)}`}
      </p>
      <progress className={css['progress']} max={100} value={job.progress_pct} aria-label="Share of the items that are done" />
      <dl className={css['counts']}>
        {Object.entries(counts).map(([name, count]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{count.toLocaleString()}</dd>
          </div>
        ))}
      </dl>
      {job.error_message ? <Problem error={job.error_message} /> : null}
      {job.note ? <p>{job.note}</p> : null}
      {job.dry_run && job.summary ? <WouldBe summary={job.summary} /> : null}
    </section>
  );
}

/** What a dry run has counted. */
function WouldBe({ summary: { predictions, labels } }: { summary: NonNullable<Job['summary']> }) {
  return (
    <>
      <p>The drafts would have {predictions.toLocaleString()} annotations. Nothing was left behind.</p>
      <ul>
        {labels.map(({ label, count }) => (
          <li key={label}>
            <bdi>{label}</bdi>: {count.toLocaleString()}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Rate and remaining time, by what was done since the start. `now`: milliseconds since 1970. */
export function remaining({ started_at: started, processed_items: done, total_items: total }: Job, now: number): string {
  const seconds = started ? (now - Date.parse(started)) / 1000 : 0;
  if (done === 0 || seconds <= 0) {
    return 'no item is done yet';
  }
  const left = Math.ceil(((total - done) * seconds) / done);
  const time = left < 90 ? `${left} seconds` : `${Math.ceil(left / 60)} minutes`;
  return `${(done / seconds).toFixed(1)} items a second, about ${time} left`;
}

/** What can be done about a job. Drafts that are discarded are gone from all that was read of them. */
function useActions(job: Job) {
  const { client } = useApp();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const path = { uid: job.uid };
  const { mutate, error, isPending } = useMutation({
    mutationFn: (call: () => Promise<unknown>) => call(),
    onSettled: async () => {
      queries.removeQueries({ queryKey: ['item'] });
      const old = [
        ['job', job.uid],
        ['queue', job.project],
        ['items', job.project],
        ['review', job.project],
        ['preview', job.project],
      ];
      await Promise.all(old.map((queryKey) => queries.invalidateQueries({ queryKey })));
    },
  });
  const cancel = () => client.delete('/auto-label-jobs/{uid}/', { path });
  const retry = async () => {
    const { body } = await client.post('/auto-label-jobs/{uid}/retry/', { path });
    await navigate(paths.job(body.uid));
  };
  /** A call works for some seconds; its cursor is where the next one goes on. */
  const discard = async () => {
    let cursor: string | null | undefined;
    do {
      const { body } = await client.post('/auto-label-jobs/{uid}/discard-drafts/', { path, body: cursor ? { cursor } : {} });
      cursor = body.cursor;
    } while (cursor);
  };
  return { cancel: () => mutate(cancel), retry: () => mutate(retry), discard: () => mutate(discard), error, isPending };
}

function Actions({ job }: { job: Job }) {
  const { cancel, retry, discard, error, isPending } = useActions(job);
  const lacking = useLack('change');
  const isOver = job.completed_at !== null;
  return (
    <>
      <div className={css['actions']}>
        {job.successful_items > 0 && !job.dry_run ? (
          <>
            <Link to={paths.project(job.project)}>Review the drafts</Link>
            <Link to={paths.review(job.project, { ...ALL, job: job.uid })}>Review queue of this job</Link>
          </>
        ) : null}
        <Button off={lacking || (isOver && 'The job is over.')} onClick={cancel}>
          Cancel
        </Button>
        <Button off={lacking || (!isOver ? 'The job still runs.' : job.failed_items === 0 && 'No item failed.')} onClick={retry}>
          Retry failed
        </Button>
        <Discard job={job} lacking={lacking} isRunning={isPending} discard={discard} />
      </div>
      {error ? <Problem error={error} /> : null}
    </>
  );
}

/** Two presses: what is discarded is gone. */
function Discard(given: { job: Job; lacking: string | false; isRunning: boolean; discard(): void }) {
  const { job, lacking, isRunning, discard } = given;
  const [isAsked, setIsAsked] = useState(false);
  const off =
    lacking ||
    (isRunning && 'It is being done.') ||
    (job.completed_at === null && 'The job still runs.') ||
    (job.successful_items === 0 && 'The job left no draft.');
  const press = () => {
    setIsAsked(!isAsked);
    if (isAsked) {
      discard();
    }
  };
  return (
    <Button off={off} onClick={press}>
      {isAsked ? 'Really discard all drafts that no one reviewed?' : 'Discard drafts'}
    </Button>
  );
}

function Reports({ job }: { job: Job }) {
  const { client } = useApp();
  const [outcome, setOutcome] = useState<Outcome>();
  const [cursor, setCursor] = useState<string>();
  const { data, error } = useQuery({ ...reportsQuery(client, job.uid, outcome, cursor), enabled: job.completed_at !== null });
  const choose = (chosen: Outcome | undefined) => {
    setOutcome(chosen);
    setCursor(undefined);
  };
  return (
    <section aria-label="Items">
      <h2>Items</h2>
      <div className={css['actions']}>
        {[undefined, ...OUTCOMES].map((one) => (
          <Button key={one ?? 'all'} aria-pressed={one === outcome} onClick={() => choose(one)}>
            {one ?? 'all'}
          </Button>
        ))}
      </div>
      {error ? <Problem error={error} /> : null}
      <ul>
        {data?.results.map(({ item, key, outcome: what, message, note }) => (
          <li key={item}>
            <Link to={paths.item(job.project, item, 'all')}>{key ?? item}</Link>: {what}
            {message ? `. ${message}` : ''}
            {note ? ` ${note}` : ''}
          </li>
        ))}
      </ul>
      <Pages previous={cursorOf(data?.previous)} next={cursorOf(data?.next)} go={setCursor} />
    </section>
  );
}
