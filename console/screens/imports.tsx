import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { Link, useParams, useSearchParams } from 'react-router';
import { cursorOf } from '../api/client.ts';
import type { Import, ImportReason } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { aboutOf } from '../ui/exporting.ts';
import { Button, Empty, Heading, Loading, Pages, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { importsQuery, projectQuery } from '../ui/queries.ts';
import css from './exchange.module.css';
import { NewImportForm } from './new-import.tsx';
import { Sent, useSending, type Sending } from './sending.tsx';

/** The imports of a project: a new one, and what became of the others. */
export function ImportsScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const [search, setSearch] = useSearchParams();
  const about = useQuery(projectQuery(client, project));
  const { data, error } = useQuery(importsQuery(client, project, search.get('cursor') ?? undefined));
  useAfterwards(project, data?.results ?? []);
  const sending = useSending(project);
  const wrong = about.error ?? error;
  return (
    <>
      <Heading>{`Imports ${about.data?.name ?? ''}`}</Heading>
      <p>
        <Link to={paths.project(project)}>Back to the project</Link>
      </p>
      {wrong ? <Problem error={wrong} /> : null}
      <NewImportForm project={project} sending={sending} />
      <Sent sending={sending} />
      {!data && !wrong ? <Loading /> : null}
      {data?.results.length === 0 ? (
        <Empty title="The project has no import yet">
          <p>Drop a file with labels above: an export of this or of another tool.</p>
        </Empty>
      ) : null}
      <ul className={css['list']} aria-label="Imports">
        {data?.results.map((one) => (
          <li key={one.uid}>
            <OneImport one={one} sending={sending} />
          </li>
        ))}
      </ul>
      <Pages previous={cursorOf(data?.previous)} next={cursorOf(data?.next)} go={(to) => setSearch({ cursor: to })} />
    </>
  );
}

/** Reads the lists of the project again when an import has ended. */
function useAfterwards(project: string, all: readonly Import[]): void {
  const queries = useQueryClient();
  const ended = all.filter(({ completed_at: end }) => end !== null).length;
  useEffect(() => {
    for (const list of ended > 0 ? ['items', 'project', 'queue', 'review', 'preview'] : []) {
      void queries.invalidateQueries({ queryKey: [list, project] });
    }
  }, [queries, project, ended]);
}

const BECOMES = { accepted: 'accepted results', draft: 'drafts' } as const;

function OneImport({ one, sending }: { one: Import; sending: Sending }) {
  const { format, as: becomes, add_labels: addsLabels, created_at: created, source, counts, reasons } = one;
  const { title } = aboutOf(format);
  return (
    <article aria-label={title}>
      <h2>{title}</h2>
      <p>
        {new Date(created).toLocaleString()}, as {BECOMES[becomes]}
        {addsLabels ? ', with its labels added to the project' : ''}
        {source ? `, from ${source}` : ''}.
      </p>
      <p role="status">
        {one.status}: {counts.items.toLocaleString()} items read, {counts.results.toLocaleString()} have a result by it,{' '}
        {counts.skipped.toLocaleString()} had one before, {counts.refused.toLocaleString()} not taken
      </p>
      {one.error_message ? <Problem error={one.error_message} /> : null}
      {one.upload_url ? <Again url={one.upload_url} sending={sending} title={title} /> : null}
      <Reasons reasons={reasons} count={counts.refused + counts.skipped} />
      {one.report_url && reasons.length > 0 ? (
        <a href={one.report_url} target="_blank" rel="noopener noreferrer">
          The whole report, a line of JSON for each reason
        </a>
      ) : null}
    </article>
  );
}

/** An import whose file did not arrive takes it now. */
function Again({ url, sending, title }: { url: string; sending: Sending; title: string }) {
  const input = useRef<HTMLInputElement>(null);
  const off = useLack('change') || (sending.isRunning && 'A file is on its way.');
  return (
    <p>
      It waits for its file.{' '}
      <Button off={off} onClick={() => input.current?.click()}>
        Send the file of {title}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={`File of ${title}`}
        onChange={({ target }) => {
          const file = target.files?.[0];
          if (file) {
            void sending.send(file, () => Promise.resolve(url));
          }
          target.value = '';
        }}
      />
    </p>
  );
}

/** Why items were not taken, or stayed as they were: the first hundred. */
function Reasons({ reasons, count }: { reasons: readonly ImportReason[]; count: number }) {
  if (reasons.length === 0) {
    return null;
  }
  return (
    <details>
      <summary>{countOf(reasons.length, count)}</summary>
      <ul>
        {reasons.map((reason) => (
          <li key={JSON.stringify(reason)}>
            {whereOf(reason)}
            {reason.name ? (
              <>
                {' '}
                (<bdi>{reason.name}</bdi>)
              </>
            ) : null}
            : {reason.message}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** How many reasons there are, and how many of them are shown. */
export function countOf(shown: number, all: number): string {
  const reasons = `${all.toLocaleString()} ${all === 1 ? 'reason' : 'reasons'}`;
  return shown < all ? `The first ${shown} of ${reasons}` : reasons;
}

/** Where in the file, for people. */
export function whereOf({ line, path }: Pick<ImportReason, 'line' | 'path'>): string {
  return line === null ? (path ?? 'The file') : `Line ${line.toLocaleString()}`;
}
