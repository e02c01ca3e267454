/** The screens that choose what is reviewed, in one chunk. */
export { BulkScreen } from './bulk.tsx';
export { ReviewScreen } from './review-queue.tsx';
