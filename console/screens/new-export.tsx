import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { ApiError } from '../api/client.ts';
import type { ExportFormat, SelectedStatus } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import {
  aboutOf,
  bodyOf,
  EXPORT_FORMATS,
  FIRST_CHOICE,
  flawOf,
  hasPictures,
  hasTask,
  PARTS,
  type ExportChoice,
  type Task,
} from '../ui/exporting.ts';
import { Button, Field, Problem, Select } from '../ui/parts.tsx';
import { jobsQuery } from '../ui/queries.ts';
import css from './exchange.module.css';

interface FormProps {
  readonly choice: ExportChoice;
  change(part: Partial<ExportChoice>): void;
}

interface Props {
  readonly project: string;
  /** Of the project. */
  readonly labels: readonly string[];
  /** An export was created: it is the first of the list. */
  created(): void;
}

/** What is exported, and how. */
export function NewExportForm({ project, labels, created }: Props) {
  const [choice, setChoice] = useState(FIRST_CHOICE);
  const change = (part: Partial<ExportChoice>) => setChoice({ ...choice, ...part });
  const { create, error, isPending } = useCreate(project, choice, created);
  const off = useLack('export') || flawOf(choice) || (isPending && 'It is being created.');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!off) {
      create();
    }
  };
  return (
    <form aria-label="New export" onSubmit={submit}>
      <Format choice={choice} change={change} />
      <Statuses choice={choice} change={change} />
      <details>
        <summary>Only some of it, a split, a name</summary>
        <LabelBoxes labels={labels} choice={choice} change={change} />
        <Narrowing project={project} choice={choice} change={change} />
        <Split choice={choice} change={change} />
        <Field label="Name" value={choice.name} onChange={({ target }) => change({ name: target.value })} />
      </details>
      <div className={css['actions']}>
        <Button type="submit" kind="main" off={off}>
          Create the export
        </Button>
        {flawOf(choice) ? <span role="status">{flawOf(choice)}</span> : null}
      </div>
      {error ? <Refusal error={error} /> : null}
    </form>
  );
}

function useCreate(project: string, choice: ExportChoice, created: () => void) {
  const { client } = useApp();
  const queries = useQueryClient();
  const { mutate, error, isPending } = useMutation({
    mutationFn: () => client.post('/exports/', { body: bodyOf(project, choice) }),
    onSuccess: created,
    onSettled: () => queries.invalidateQueries({ queryKey: ['exports', project] }),
  });
  return { create: () => mutate(), error, isPending };
}

/** What the API refuses, field by field. */
export function Refusal({ error }: { error: Error }) {
  const complaints = error instanceof ApiError ? Object.entries(error.errors) : [];
  return (
    <Problem error={error}>
      <ul>
        {complaints.map(([field, messages]) => (
          <li key={field}>
            {field}: {messages.join(' ')}
          </li>
        ))}
      </ul>
    </Problem>
  );
}

function Format({ choice, change }: FormProps) {
  const { format, task, hasImages } = choice;
  return (
    <div>
      <Select label="Format" value={format} onChange={({ target }) => change({ format: target.value as ExportFormat })}>
        {EXPORT_FORMATS.map((one) => (
          <option key={one} value={one}>
            {aboutOf(one).title}
          </option>
        ))}
      </Select>{' '}
      {hasTask(format) ? (
        <Select label="Shapes" value={task} onChange={({ target }) => change({ task: target.value as Task })}>
          <option value="detect">Boxes (detect)</option>
          <option value="segment">Outlines (segment)</option>
        </Select>
      ) : null}{' '}
      {hasPictures(format) ? (
        <label>
          <input type="checkbox" checked={hasImages} onChange={({ target }) => change({ hasImages: target.checked })} /> With the
          pictures
        </label>
      ) : null}
      <p className={css['hint']}>{aboutOf(format).fit}</p>
    </div>
  );
}

const STATUSES: readonly (readonly [SelectedStatus, string])[] = [
  ['accepted', 'Accepted'],
  ['draft', 'Drafts'],
  ['rejected', 'Rejected'],
  ['none', 'Without a result'],
];

function Statuses({ choice: { statuses }, change }: FormProps) {
  const toggle = (status: SelectedStatus) =>
    change({ statuses: STATUSES.map(([one]) => one).filter((one) => statuses.includes(one) !== (one === status)) });
  return (
    <fieldset className={css['choices']}>
      <legend>Items</legend>
      {STATUSES.map(([status, text]) => (
        <label key={status}>
          <input type="checkbox" checked={statuses.includes(status)} onChange={() => toggle(status)} /> {text}
        </label>
      ))}
    </fieldset>
  );
}

function LabelBoxes({ labels, choice: { labels: chosen }, change }: FormProps & { labels: readonly string[] }) {
  const toggle = (label: string) =>
    change({ labels: chosen.includes(label) ? chosen.filter((one) => one !== label) : [...chosen, label] });
  return labels.length === 0 ? null : (
    <fieldset className={css['choices']}>
      <legend>Labels ({chosen.length === 0 ? 'all' : chosen.length})</legend>
      {labels.map((label) => (
        <label key={label}>
          <input type="checkbox" checked={chosen.includes(label)} onChange={() => toggle(label)} /> <bdi>{label}</bdi>
        </label>
      ))}
    </fieldset>
  );
}

function Narrowing({ project, choice: { confidence, job }, change }: FormProps & { project: string }) {
  const { client } = useApp();
  const { data } = useQuery(jobsQuery(client, project));
  return (
    <>
      <Field
        label="Least confidence, percent"
        hint="Empty: any. What is equal is kept."
        inputMode="decimal"
        value={confidence}
        onChange={({ target }) => change({ confidence: target.value })}
      />
      <Select label="Drafted by the job" value={job} onChange={({ target }) => change({ job: target.value })}>
        <option value="">any, or by hand</option>
        {data?.results.map(({ uid, created_at: created }) => (
          <option key={uid} value={uid}>
            {new Date(created).toLocaleString()}
          </option>
        ))}
      </Select>
    </>
  );
}

function Split({ choice: { split }, change }: FormProps) {
  return (
    <fieldset className={css['choices']}>
      <legend>Split, percent (empty: none)</legend>
      {PARTS.map((part) => (
        <label key={part}>
          {part}{' '}
          <input
            inputMode="decimal"
            size={5}
            value={split[part]}
            onChange={({ target }) => change({ split: { ...split, [part]: target.value } })}
          />
        </label>
      ))}
    </fieldset>
  );
}
