/** All functions, by the names of their folders below `functions/`, in the order in which `AutoLabel` creates them. */

export { Adopt as adopt } from './adopt.ts';
export { Catalog as catalog } from './catalog.ts';
export { Compose as compose } from './compose.ts';
export { Datasets as datasets } from './datasets.ts';
export { Deliver as deliver } from './deliver.ts';
export { Exports as exports } from './exports.ts';
export { Finalize as finalize } from './finalize.ts';
export { Infer as infer } from './infer.ts';
export { Ingest as ingest } from './ingest.ts';
export { Jobs as jobs } from './jobs.ts';
export { Plan as plan } from './plan.ts';
export { Providers as providers } from './providers.ts';
export { Settle as settle } from './settle.ts';
export { Webhooks as webhooks } from './webhooks.ts';
