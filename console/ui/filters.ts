import type { Chosen } from './sweep.ts';

/** In which order the review queue gives drafts, and how a person says so. */
export const ORDERS = {
  sequence: 'As they were added',
  newest: 'Newest first',
  least_confident: 'Least confident first',
  most_confident: 'Most confident first',
  random: 'At random',
} as const;
export type Order = keyof typeof ORDERS;

/** Which drafts a person wants. It is in the address of a screen. */
export interface Filters {
  readonly order: Order;
  /** Empty: any. */
  readonly label: string;
  /** Empty: of any job. */
  readonly job: string;
  /** Confidence, 0 to 1. */
  readonly range: readonly [least: number, most: number];
}

/** The parts of an address that are filters. */
const NAMES = ['order', 'label', 'job', 'min', 'max'];

export const ALL: Filters = { order: 'sequence', label: '', job: '', range: [0, 1] };

/** Reads an address. What cannot be read narrows nothing. */
export function filtersOf(search: URLSearchParams): Filters {
  const order = search.get('order') ?? '';
  const [least, most] = [percentOf(search.get('min'), 0), percentOf(search.get('max'), 100)];
  return {
    order: order in ORDERS ? (order as Order) : ALL.order,
    label: search.get('label') ?? '',
    job: search.get('job') ?? '',
    range: least <= most ? [least / 100, most / 100] : ALL.range,
  };
}

/** The part of an address that `filtersOf` reads. What narrows nothing is not there. */
export function searchOf({ order, label, job, range: [least, most] }: Filters): URLSearchParams {
  const given = {
    order: order === ALL.order ? '' : order,
    label,
    job,
    min: least > 0 ? `${Math.round(least * 100)}` : '',
    max: most < 1 ? `${Math.round(most * 100)}` : '',
  };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ''));
}

/** An address with other filters. What else is in it stays. */
export function withFilters(search: URLSearchParams, filters: Filters): URLSearchParams {
  const others = [...search].filter(([name]) => !NAMES.includes(name));
  return new URLSearchParams([...searchOf(filters), ...others]);
}

/** What a call is given of them. The ends of the range are left out: a draft without annotations has no confidence. */
export function chosenOf({ label, job, range: [least, most] }: Filters): Chosen {
  return {
    ...(label === '' ? {} : { label }),
    ...(job === '' ? {} : { job }),
    ...(least > 0 ? { min_confidence: least } : {}),
    ...(most < 1 ? { max_confidence: most } : {}),
  };
}

function percentOf(text: string | null, otherwise: number): number {
  const percent = Number(text ?? otherwise);
  return Number.isInteger(percent) && percent >= 0 && percent <= 100 ? percent : otherwise;
}
