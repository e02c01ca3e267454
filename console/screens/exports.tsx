import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams, useSearchParams } from 'react-router';
import { cursorOf } from '../api/client.ts';
import type { Export } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { aboutOf } from '../ui/exporting.ts';
import { Button, Empty, Heading, Loading, Pages, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { exportsQuery, projectQuery } from '../ui/queries.ts';
import css from './exchange.module.css';
import { NewExportForm } from './new-export.tsx';

/** The exports of a project: a new one, and what became of the others. */
export function ExportsScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const [search, setSearch] = useSearchParams();
  const about = useQuery(projectQuery(client, project));
  const { data, error } = useQuery(exportsQuery(client, project, search.get('cursor') ?? undefined));
  const wrong = about.error ?? error;
  return (
    <>
      <Heading>{`Exports ${about.data?.name ?? ''}`}</Heading>
      <p>
        <Link to={paths.project(project)}>Back to the project</Link>
      </p>
      {wrong ? <Problem error={wrong} /> : null}
      {about.data ? <NewExportForm project={project} labels={about.data.labels} created={() => setSearch({})} /> : null}
      {!data && !wrong ? <Loading /> : null}
      {data?.results.length === 0 ? (
        <Empty title="The project has no export yet">
          <p>Choose a format above and create one. Its file is kept for some days, then export again.</p>
        </Empty>
      ) : null}
      <ul className={css['list']} aria-label="Exports">
        {data?.results.map((one) => (
          <li key={one.uid}>
            <OneExport one={one} />
          </li>
        ))}
      </ul>
      <Pages previous={cursorOf(data?.previous)} next={cursorOf(data?.next)} go={(to) => setSearch({ cursor: to })} />
    </>
  );
}

function OneExport({ one }: { one: Export }) {
  const title = one.name || aboutOf(one.format).title;
  return (
    <article aria-label={title}>
      <h2>
        <bdi>{title}</bdi>
      </h2>
      <p>
        {aboutOf(one.format).title} of {new Date(one.created_at).toLocaleString()}: {chosenOf(one)}.
      </p>
      <Progress one={one} title={title} />
      {one.error_message ? <Problem error={one.error_message} /> : null}
      <LeftOut one={one} />
      <Files one={one} />
      <Delete one={one} title={title} />
    </article>
  );
}

/** What it is about, in a sentence's part. */
export function chosenOf({ statuses, labels, min_confidence: least, job, split }: Export): string {
  const parts = [`items that are ${statuses.map((status) => (status === 'none' ? 'without a result' : status)).join(' or ')}`];
  if (labels.length > 0) {
    parts.push(`labels ${labels.join(', ')}`);
  }
  if (least !== null) {
    parts.push(`confidence from ${Math.round(least * 1000) / 10} %`);
  }
  if (job !== null) {
    parts.push('drafted by one job');
  }
  if (split !== null) {
    parts.push(`split ${[split.train, split.val, split.test].map((share) => Math.round(share * 1000) / 10).join(' / ')} %`);
  }
  return parts.join('; ');
}

function Progress({ one, title }: { one: Export; title: string }) {
  const { status, exported_task_count: done, total_task_count: total, expires_at: expires } = one;
  const isOpen = one.completed_at === null;
  return (
    <>
      {isOpen ? (
        <progress
          className={css['progress']}
          aria-label={`Share of ${title} that is done`}
          max={Math.max(total, 1)}
          value={done}
        />
      ) : null}
      <p role="status">
        {status}: {done.toLocaleString()} of {total.toLocaleString()} items
        {status === 'exported' ? `, kept until ${new Date(expires).toLocaleString()}` : ''}
      </p>
    </>
  );
}

/** What the format could not hold, counted. */
function LeftOut({ one: { left_out: leftOut } }: { one: Export }) {
  if (leftOut.length === 0) {
    return null;
  }
  const count = leftOut.reduce((sum, { count: some }) => sum + some, 0);
  return (
    <details>
      <summary>{count.toLocaleString()} left out</summary>
      <ul>
        {leftOut.map(({ type, count: some, reason }) => (
          <li key={`${type} ${reason}`}>
            {some.toLocaleString()} × {type.replaceAll('_', ' ')}: {reason}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Files({ one: { files } }: { one: Export }) {
  return files.length === 0 ? null : (
    <ul aria-label="Files">
      {files.map(({ name, url, bytes, sha256 }) => (
        <li key={name}>
          {/* In a tab of its own: a browser shows some formats and does not save them. */}
          <a href={url} download={name} target="_blank" rel="noopener noreferrer" title={`SHA-256 ${sha256}`}>
            Download {name}
          </a>{' '}
          ({sizeOf(bytes)})
        </li>
      ))}
    </ul>
  );
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** A number of bytes, for people. */
export function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${UNITS[power]}`;
}

/** Two presses: what is deleted is gone. */
function Delete({ one, title }: { one: Export; title: string }) {
  const { client } = useApp();
  const queries = useQueryClient();
  const lacking = useLack('export');
  const [isAsked, setIsAsked] = useState(false);
  const { mutate, error, isPending } = useMutation({
    mutationFn: () => client.delete('/exports/{uid}/', { path: { uid: one.uid } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['exports'] }),
  });
  const press = () => {
    setIsAsked(!isAsked);
    if (isAsked) {
      mutate();
    }
  };
  const isOpen = one.completed_at === null;
  return (
    <>
      <Button
        off={lacking || (isPending && 'It is being deleted.')}
        onClick={press}
        aria-label={isAsked ? undefined : `Delete ${title}`}
      >
        {isAsked ? `Really ${isOpen ? 'stop and delete it' : 'delete it with its file'}?` : 'Delete'}
      </Button>
      {error ? <Problem error={error} /> : null}
    </>
  );
}
