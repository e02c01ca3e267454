/** Every address of the page. */
export const paths = {
  projects: () => '/',
  project: (project: string) => `/projects/${project}`,
  autoLabel: (project: string) => `/projects/${project}/auto-label`,
  job: (job: string) => `/jobs/${job}`,
  inference: () => '/settings/inference',
  newProvider: (type: 'sagemaker' | 'http') => `/settings/inference/new/${type}`,
  /** `queue`: what the next item is taken from; `from`: the cursor of the page on which it begins. */
  item: (project: string, item: string, queue: Queue, from?: string) =>
    `/projects/${project}/items/${item}?queue=${queue}${from ? `&from=${encodeURIComponent(from)}` : ''}`,
};

export type Queue = 'draft' | 'accepted' | 'all';

export function queueOf(text: string | null): Queue {
  return text === 'draft' || text === 'accepted' ? text : 'all';
}
