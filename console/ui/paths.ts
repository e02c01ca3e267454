import { searchOf, type Filters } from './filters.ts';

/** Every address of the page. */
export const paths = {
  projects: () => '/',
  project: (project: string) => `/projects/${project}`,
  autoLabel: (project: string) => `/projects/${project}/auto-label`,
  review: (project: string, filters?: Filters) => `/projects/${project}/review${queryOf(filters)}`,
  bulk: (project: string, filters?: Filters) => `/projects/${project}/bulk${queryOf(filters)}`,
  exports: (project: string) => `/projects/${project}/exports`,
  imports: (project: string) => `/projects/${project}/imports`,
  job: (job: string) => `/jobs/${job}`,
  inference: () => '/settings/inference',
  newProvider: (type: 'sagemaker' | 'http') => `/settings/inference/new/${type}`,
  /** `queue`: what the next item is taken from; `from`: the cursor of the page on which it begins. */
  item: (project: string, item: string, queue: Queue, from?: string) =>
    `/projects/${project}/items/${item}?queue=${queue}${from ? `&from=${encodeURIComponent(from)}` : ''}`,
  /** An item that was claimed from the review queue. */
  claimed: (project: string, item: string, filters: Filters) => {
    const search = searchOf(filters);
    search.set('queue', 'review');
    return `/projects/${project}/items/${item}?${search}`;
  },
  /** Another item of the queue that an address has, if it has one. */
  sibling: (project: string, item: string, search: string) =>
    new URLSearchParams(search).has('queue')
      ? `/projects/${project}/items/${item}${search}`
      : `/projects/${project}/items/${item}?queue=all`,
};

export type Queue = 'draft' | 'accepted' | 'all';

export function queueOf(text: string | null): Queue {
  return text === 'draft' || text === 'accepted' ? text : 'all';
}

function queryOf(filters: Filters | undefined): string {
  const text = filters ? searchOf(filters).toString() : '';
  return text === '' ? '' : `?${text}`;
}
