import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState, useSyncExternalStore, type DragEvent } from 'react';
import { uploadsOf, useApp, useLack } from '../ui/app.tsx';
import { droppedFiles, unreadOf } from '../ui/dropped.ts';
import { FORMATS } from '../ui/formats.ts';
import { Button, Problem } from '../ui/parts.tsx';
import { refusedQuery } from '../ui/queries.ts';
import { Rows } from '../ui/rows.tsx';
import type { Stage, Upload, Uploading, Uploads } from '../ui/uploads.ts';
import { useMisses } from '../ui/use-misses.ts';
import { useStay } from '../ui/use-stay.ts';
import css from './upload-panel.module.css';

/** The server reads a file within seconds of its upload: so long its word is waited for. */
const JUDGED_MS = 20_000;
const READ_EVERY_MS = 3000;
/** Pixels; that of a row. */
const ROW = 44;

/** Adds files to a project: dropped or chosen, with the progress and the errors of each. */
export function UploadPanel({ project }: { project: string }) {
  const app = useApp();
  const uploads = uploadsOf(app, project);
  const state = useSyncExternalStore(uploads.subscribe, uploads.state);
  useAfterwards(project, state);
  const lacking = useLack('change');
  useStay(state.isRunning);
  return (
    <section aria-label="Upload" className={css['panel']}>
      <Drop uploads={uploads} lacking={lacking} />
      {state.all.length > 0 ? <Progress uploads={uploads} state={state} /> : null}
      <Refused project={project} isOpen={state.all.length > 0} />
    </section>
  );
}

/** Reads the lists again when files were sent, and for some seconds more. */
function useAfterwards(project: string, { counts: { sent }, isRunning }: Uploading): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (sent === 0 || isRunning) {
      return undefined;
    }
    const read = () => {
      for (const list of ['items', 'project', 'refused']) {
        void queries.invalidateQueries({ queryKey: [list, project] });
      }
    };
    read();
    const timer = setInterval(read, READ_EVERY_MS);
    const end = setTimeout(() => clearInterval(timer), JUDGED_MS);
    return () => {
      clearInterval(timer);
      clearTimeout(end);
    };
  }, [queries, project, sent, isRunning]);
}

function Drop({ uploads, lacking }: { uploads: Uploads; lacking: string | false }) {
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setIsOver] = useState(false);
  const [problem, setProblem] = useState('');
  useMisses();
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(false);
    if (!lacking) {
      void begin(uploads, event.dataTransfer).then(setProblem);
    }
  };
  const over = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(!lacking);
  };
  return (
    <div className={css['drop']} data-over={isOver} onDrop={drop} onDragOver={over} onDragLeave={() => setIsOver(false)}>
      <p>
        Drop files or folders here, or{' '}
        <Button off={lacking} onClick={() => input.current?.click()}>
          Choose files
        </Button>
      </p>
      <p className={css['hint']}>{FORMATS}.</p>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={({ target }) => {
          uploads.start([...(target.files ?? [])].map((file) => ({ name: file.name, file })));
          target.value = '';
        }}
      />
      {problem ? <Problem error={problem} /> : null}
    </div>
  );
}

/** Begins with what was dropped. Gives what the browser could not read, for people. */
async function begin(uploads: Uploads, transfer: DataTransfer): Promise<string> {
  const { files, unread } = await droppedFiles(transfer);
  uploads.start(files);
  return unreadOf(unread);
}

function Progress({ uploads, state }: { uploads: Uploads; state: Uploading }) {
  const [isNarrowed, setIsNarrowed] = useState(false);
  const { all, counts, isRunning } = state;
  const wrong = counts.failed + counts.refused + counts.taken;
  const rows = isNarrowed ? all.filter(({ problem }) => problem !== '') : all;
  return (
    <>
      <progress className={css['progress']} aria-label="Files that are uploaded" max={all.length} value={counts.sent + wrong} />
      <div className={css['actions']}>
        <span role="status">
          {counts.sent.toLocaleString()} of {all.length.toLocaleString()} uploaded
          {wrong > 0 ? `, ${wrong.toLocaleString()} not` : ''}
        </span>
        <Button aria-pressed={isNarrowed} off={wrong === 0 && 'Nothing went wrong.'} onClick={() => setIsNarrowed(!isNarrowed)}>
          Only what went wrong
        </Button>
        <Button off={counts.failed === 0 && 'Nothing has failed.'} onClick={() => uploads.retryFailed()}>
          Retry all that failed
        </Button>
        <Button off={!isRunning && 'Nothing is on its way.'} onClick={() => uploads.stop()}>
          Stop
        </Button>
      </div>
      <Rows
        label="Files"
        rows={rows}
        height={ROW}
        idOf={({ id }) => id}
        render={(upload) => <UploadRow upload={upload} retry={() => uploads.retry(upload.id)} />}
      />
    </>
  );
}

const STAGES: Record<Stage, string> = {
  waiting: 'waits',
  adding: 'is being added',
  ready: 'waits',
  sending: 'is being sent',
  sent: '✓ uploaded',
  refused: '✕ not taken',
  failed: '✕ failed',
  taken: '✕ the name is taken',
};

function UploadRow({ upload: { name, file, stage, sent, problem }, retry }: { upload: Upload; retry(): void }) {
  return (
    <>
      <span className={css['name']} title={name}>
        {name}
      </span>
      {stage === 'sending' ? (
        <progress aria-label={`Share of ${name} that is sent`} max={Math.max(file.size, 1)} value={sent} />
      ) : (
        <span>{STAGES[stage]}</span>
      )}
      <span className={css['problem']} title={problem}>
        {problem}
      </span>
      {stage === 'failed' || stage === 'taken' ? (
        <Button aria-label={`${stage === 'failed' ? 'Retry' : 'Replace the file of'} ${name}`} onClick={retry}>
          {stage === 'failed' ? 'Retry' : 'Replace its file'}
        </Button>
      ) : null}
    </>
  );
}

/** Files in the bucket that became no item, by whichever way they came. */
function Refused({ project, isOpen }: { project: string; isOpen: boolean }) {
  const { client } = useApp();
  const { data } = useQuery(refusedQuery(client, project));
  if (!data || data.results.length === 0) {
    return null;
  }
  const prefix = `projects/${project}/`;
  return (
    <details open={isOpen}>
      <summary>
        {data.results.length}
        {data.next ? ' or more' : ''} uploads of the last 30 days became no item
      </summary>
      <ul>
        {data.results.map(({ uid, key, detail }) => (
          <li key={uid}>
            <bdi>{key.startsWith(prefix) ? key.slice(prefix.length) : key}</bdi>: {detail}
          </li>
        ))}
      </ul>
    </details>
  );
}
