/** The screens that start and follow jobs, in one chunk. */
export { AutoLabelScreen } from './auto-label.tsx';
export { InferenceScreen } from './inference.tsx';
export { JobScreen } from './job.tsx';
export { NewProviderScreen } from './new-provider.tsx';
