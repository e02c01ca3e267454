import { useQuery } from '@tanstack/react-query';
import { useApp } from '../ui/app.tsx';
import { ORDERS, type Filters, type Order } from '../ui/filters.ts';
import { Select } from '../ui/parts.tsx';
import { jobsQuery, projectQuery } from '../ui/queries.ts';
import { ConfidenceRange } from '../ui/range.tsx';
import type { Filtering } from '../ui/use-filters.ts';
import css from './review.module.css';

const HANDLES = ['Least confidence, percent', 'Most confidence, percent'] as const;

interface FormProps {
  readonly project: string;
  readonly filtering: Filtering;
  readonly hasOrder: boolean;
  /** Why the filters cannot be changed now. */
  readonly off?: string | false;
}

/** Which drafts: by confidence, label and job; with `hasOrder`, in which order. */
export function FilterForm({ project, filtering, hasOrder, off = false }: FormProps) {
  const { filters, change } = filtering;
  return (
    <form aria-label="Which drafts" onSubmit={(event) => event.preventDefault()}>
      <fieldset className={css['filters']} disabled={off !== false} title={off || undefined}>
        {hasOrder ? (
          <Select label="Order" value={filters.order} onChange={(event) => change({ order: event.target.value as Order })}>
            {Object.entries(ORDERS).map(([order, text]) => (
              <option key={order} value={order}>
                {text}
              </option>
            ))}
          </Select>
        ) : null}
        <LabelChoice project={project} filters={filters} set={(label) => change({ label })} />
        <JobChoice project={project} filters={filters} set={(job) => change({ job })} />
        <fieldset>
          <legend>Confidence</legend>
          <ConfidenceRange value={filters.range} names={HANDLES} set={(range) => change({ range })} />
        </fieldset>
      </fieldset>
    </form>
  );
}

interface ChoiceProps {
  readonly project: string;
  readonly filters: Filters;
  set(value: string): void;
}

/** A label of the project. One that it does not have any more, or a project without labels, is in the address only. */
function LabelChoice({ project, filters: { label }, set }: ChoiceProps) {
  const { client } = useApp();
  const { data } = useQuery(projectQuery(client, project));
  const labels = [...new Set([...(data?.labels ?? []), ...(label === '' ? [] : [label])])];
  if (data?.labels.length === 0) {
    return (
      <label>
        Label <input value={label} placeholder="Any" onChange={(event) => set(event.target.value)} />
      </label>
    );
  }
  return (
    <Select label="Label" value={label} onChange={(event) => set(event.target.value)}>
      <option value="">Any</option>
      {labels.map((one) => (
        <option key={one} value={one}>
          {one}
        </option>
      ))}
    </Select>
  );
}

function JobChoice({ project, filters: { job }, set }: ChoiceProps) {
  const { client } = useApp();
  const { data } = useQuery(jobsQuery(client, project));
  const jobs = data?.results ?? [];
  const isOld = job !== '' && !jobs.some(({ uid }) => uid === job);
  return (
    <Select label="Job" value={job} onChange={(event) => set(event.target.value)}>
      <option value="">Any</option>
      {isOld ? <option value={job}>{job}</option> : null}
      {jobs.map(({ uid, created_at: created, successful_items: drafts }) => (
        <option key={uid} value={uid}>
          {new Date(created).toLocaleString()}, {drafts.toLocaleString()} drafts
        </option>
      ))}
    </Select>
  );
}

/** What a range and a label mean, in a sentence. */
export function meaningOf({ label, range: [least, most] }: Filters): string {
  const ends = [...(least > 0 ? [`at least ${percent(least)}`] : []), ...(most < 1 ? [`at most ${percent(most)}`] : [])];
  const confidence = `a confidence of ${ends.join(' and ')}`;
  if (label === '') {
    return ends.length === 0 ? 'All drafts.' : `Drafts of which every annotation has ${confidence}.`;
  }
  return ends.length === 0
    ? 'Drafts with an annotation of this label.'
    : `Drafts with an annotation of this label, if each one of this label has ${confidence}.`;
}

function percent(value: number): string {
  return `${Math.round(value * 100)} %`;
}
