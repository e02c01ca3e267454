/** Every address of the page. */
export const paths = {
  projects: () => '/',
  project: (project: string) => `/projects/${project}`,
  autoLabel: (project: string) => `/projects/${project}/auto-label`,
  job: (job: string) => `/jobs/${job}`,
  inference: () => '/settings/inference',
  newProvider: (type: 'sagemaker' | 'http') => `/settings/inference/new/${type}`,
  /** `queue`: what the next item is taken from. */
  item: (project: string, item: string, queue: Queue) => `/projects/${project}/items/${item}?queue=${queue}`,
};

export type Queue = 'draft' | 'accepted' | 'all';

export function queueOf(text: string | null): Queue {
  return text === 'draft' || text === 'accepted' ? text : 'all';
}
