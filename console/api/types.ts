import type { components } from './schema.ts';

type Schemas = components['schemas'];
export type Prediction = Schemas['Prediction'];
export type Result = Schemas['Result'];
export type Project = Schemas['Project'];
export type DatasetItem = Schemas['DatasetItem'];
export type Dataset = Schemas['Dataset'];
export type Item = Schemas['Item'];
export type Organization = Schemas['Organization'];
export type Provider = Schemas['ProviderView'];
export type ProviderTest = Schemas['TestView'];
export type Job = Schemas['Job'];
export type ItemReport = Schemas['ItemReport'];
export type Outcome = Schemas['OutcomeKind'];
export type Problem = Schemas['Problem'];
export type Key = Schemas['Key'];
export type QueuedDraft = Schemas['QueuedDraft'];
export type Scope = Schemas['Scope'];
export type NewItem = Schemas['NewItem'];
export type AddedItem = Schemas['AddedItem'];
export type AutoLabelOnUpload = Schemas['AutoLabelOnUpload'];
export type AutoLabelPause = Schemas['AutoLabelPause'];
export type Export = Schemas['Export'];
export type ExportFormat = Schemas['ExportFormat'];
export type ExportStatus = Schemas['ExportStatus'];
export type Import = Schemas['Import'];
export type ImportAs = Schemas['ImportAs'];
export type ImportFormat = Schemas['ImportFormat'];
export type ImportReason = Schemas['ImportReason'];
export type SelectedStatus = Schemas['SelectedStatus'];

/** A page of a list. `next` is the address of the next one. */
export interface Page<Row> {
  readonly next?: string | null;
  readonly results: readonly Row[];
}

/** `task` and `include_images` are of formats that a deployment may not have yet: they are sent with those alone. */
export type NewExport = Omit<Partial<Schemas['NewExport']>, 'format' | 'statuses'> & {
  readonly format: ExportFormat;
  readonly statuses: SelectedStatus[];
  readonly task?: 'detect' | 'segment';
  readonly include_images?: boolean;
};
