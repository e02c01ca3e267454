import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { useApp } from '../ui/app.tsx';
import { paths } from '../ui/paths.ts';
import { providersQuery } from '../ui/queries.ts';
import css from './settings.module.css';

/** What a model is asked for. */
export interface Choice {
  /** Empty: the one that serves the project without a choice. */
  readonly provider: string;
  readonly threshold: number;
  /** Empty: all. */
  readonly labels: readonly string[];
  /** Percent by label, as typed. */
  readonly thresholds: Readonly<Record<string, string>>;
}

/** The thresholds that were typed, 0 to 1, by label. */
export function thresholdsOf({ thresholds }: Pick<Choice, 'thresholds'>): [label: string, threshold: number][] {
  const given = Object.entries(thresholds).filter(([, percent]) => percent !== '');
  return given.map(([label, percent]) => [label, Number(percent) / 100]);
}

interface OptionsProps {
  /** Of the project. */
  readonly labels: readonly string[];
  readonly choice: Choice;
  /** Whether a label may have a threshold of its own. */
  readonly hasThresholds: boolean;
  change(part: Partial<Choice>): void;
}

/** Provider, threshold and labels. */
export function Options(given: OptionsProps) {
  const { choice, change } = given;
  return (
    <>
      <ProviderChoice value={choice.provider} set={(provider) => change({ provider })} />
      <Threshold value={choice.threshold} set={(threshold) => change({ threshold })} />
      <LabelChoice {...given} />
    </>
  );
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

function LabelChoice({ labels, choice, hasThresholds, change }: OptionsProps) {
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
            {hasThresholds ? (
              <input
                type="number"
                min={0}
                max={100}
                placeholder={`${Math.round(choice.threshold * 100)}`}
                aria-label={`Threshold of ${label}, percent`}
                value={choice.thresholds[label] ?? ''}
                onChange={(event) => change({ thresholds: { ...choice.thresholds, [label]: event.target.value } })}
              />
            ) : null}
          </li>
        ))}
      </ul>
    </details>
  );
}
