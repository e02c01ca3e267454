import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type SyntheticEvent } from 'react';
import { Link } from 'react-router';
import { ApiError } from '../api/client.ts';
import type { AutoLabelOnUpload, AutoLabelPause, Project } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { Button, Field, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { Options, type Choice } from './options.tsx';

/** How uploads are labeled, as a person edits it. Numbers are as typed. */
interface Setting extends Choice {
  readonly isOn: boolean;
  readonly quiet: string;
  readonly most: string;
}

/** Label on arrival: what comes into the project is labeled without a call. */
export function Arrival({ project }: { project: Project }) {
  const { auto_label_on_upload: setting, auto_label_pause: pause } = project;
  return (
    <section aria-labelledby="arrival">
      <h2 id="arrival">Label on arrival</h2>
      <p>
        {setting === null ? 'Off: uploads wait for a job that you start.' : 'On: a job labels what was uploaded, a pause later.'}
      </p>
      {pause ? <Pause pause={pause} /> : null}
      {/* Another setting is there: what was typed over the old one is no more. */}
      <Form key={JSON.stringify(setting)} project={project} />
    </section>
  );
}

function Pause({ pause: { failures, reason, retry_at: next, job_uid: job } }: { pause: AutoLabelPause }) {
  const times = failures === 1 ? 'The last job by uploads failed' : `The last ${failures} jobs by uploads failed`;
  return (
    <Problem error={`${times}. ${reason} The next one may start at ${new Date(next).toLocaleString()}, or after any change.`}>
      {job ? <Link to={paths.job(job)}>See the job</Link> : null}
    </Problem>
  );
}

function Form({ project }: { project: Project }) {
  const [setting, setSetting] = useState(() => settingOf(project.auto_label_on_upload));
  const change = (part: Partial<Setting>) => setSetting({ ...setting, ...part });
  const save = useSave(project, setting);
  const lacking = useLack('change');
  return (
    <form aria-label="Label on arrival" onSubmit={(event: SyntheticEvent) => (event.preventDefault(), save.mutate())}>
      <p>
        <label>
          <input type="checkbox" checked={setting.isOn} onChange={(event) => change({ isOn: event.target.checked })} /> Label
          uploads when they arrive
        </label>
      </p>
      {setting.isOn ? (
        <>
          <Options labels={project.labels} choice={setting} hasThresholds={false} change={change} />
          <Numbers setting={setting} error={save.error} change={change} />
        </>
      ) : null}
      <Button type="submit" off={lacking || (save.isPending && 'It is being saved.')}>
        Save the setting
      </Button>{' '}
      {save.isSuccess ? <span role="status">Saved.</span> : null}
      {save.error ? <Problem error={save.error} /> : null}
    </form>
  );
}

function Numbers(given: { setting: Setting; error: unknown; change(part: Partial<Setting>): void }) {
  const { setting, error, change } = given;
  const wrong = (name: string) =>
    error instanceof ApiError ? Object.entries(error.errors).find(([path]) => path.split('.').at(-1) === name)?.[1] : undefined;
  return (
    <>
      <Field
        label="Pause"
        hint="Seconds without an upload before a job starts, 12 to 900."
        type="number"
        wrong={wrong('quiet_seconds')}
        value={setting.quiet}
        onChange={(event) => change({ quiet: event.target.value })}
      />
      <Field
        label="Most items in a day"
        hint="That these jobs send to the model, by UTC. The rest waits for the next day."
        type="number"
        wrong={wrong('max_items_per_day')}
        value={setting.most}
        onChange={(event) => change({ most: event.target.value })}
      />
    </>
  );
}

function useSave(project: Project, setting: Setting) {
  const { client } = useApp();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => {
      const body = { auto_label_on_upload: bodyOf(setting, project.auto_label_on_upload) };
      return client.patch('/projects/{uid}/', { path: { uid: project.uid }, body });
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ['project', project.uid] }),
  });
}

function settingOf(known: AutoLabelOnUpload | null): Setting {
  return {
    isOn: known !== null,
    provider: known?.provider_id ?? '',
    threshold: known?.confidence_threshold ?? 0.5,
    labels: known?.labels ?? [],
    thresholds: {},
    quiet: `${known?.quiet_seconds ?? 60}`,
    most: `${known?.max_items_per_day ?? 10_000}`,
  };
}

/** The whole setting: what is not sent would be as by default. The kind of model stays as it was set by a call. */
function bodyOf({ isOn, provider, threshold, labels, quiet, most }: Setting, known: AutoLabelOnUpload | null) {
  return {
    enabled: isOn,
    confidence_threshold: threshold,
    labels: [...labels],
    quiet_seconds: numberOf(quiet),
    max_items_per_day: numberOf(most),
    ...(provider === '' ? {} : { provider_id: provider }),
    ...(known?.model_type ? { model_type: known.model_type } : {}),
  };
}

/** An empty field is as by default. */
function numberOf(text: string): number | null {
  return text === '' ? null : Number(text);
}
