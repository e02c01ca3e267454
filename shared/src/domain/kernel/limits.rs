//! Every limit of the system, with its source.

/// Actions that one DynamoDB transaction holds (AWS, "TransactWriteItems").
pub const TRANSACTION_ACTIONS: usize = 100;
/// Items of one chunk: a transaction, less the receipt and the counters.
pub const CHUNK_ITEMS: usize = TRANSACTION_ACTIONS - 2;
/// Items of one batch.
pub const BATCH_ITEMS: usize = 5_000;
/// Bytes of the manifest that are one batch: a worker holds its lines. [`BATCH_ITEMS`] of the usual length are less than half of
/// it, those with long URLs are several batches.
pub const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// A smaller batch costs a state transition without gaining anything.
pub const BATCH_ITEMS_MIN: usize = 250;
/// Bytes of a request body. The gateway itself would take 10 MB.
pub const BODY_BYTES: usize = 256 * 1024;
/// Bytes of the body that adds items: [`ITEMS_PER_CALL`] of them with the longest keys and URLs of 2,048 characters fit; of the longest
/// URLs, some 450. Lambda's own request takes 6 MB, in base64 where the content type is not JSON.
pub const ITEMS_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the body with a person's annotations: those of the largest draft fit, as other clients space JSON, too.
pub const CORRECTION_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Memory that its JSON may take, about: 10,000 cuboids take 34 MiB, and no other draft takes more.
pub const CORRECTION_MEMORY: usize = 40 * 1024 * 1024;
/// Memory that a request's JSON may take, about: a call that adds items takes a tenth of it.
pub const REQUEST_MEMORY: usize = 32 * 1024 * 1024;
/// Memory that one prediction's JSON may take while it is read, about: half a million runs of a mask.
pub const PREDICTION_MEMORY: usize = 16 * 1024 * 1024;
/// Memory that the attributes of one answer may take, about; those that follow are dropped, with a note.
pub const ATTRIBUTES_MEMORY: usize = 8 * 1024 * 1024;
/// Bytes of JSON that a page of items may have: as a string in a Lambda's answer, which is at most 6 MB, it is a quarter
/// longer (AWS, "Lambda quotas").
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a draft's annotations in its row, packed. A row of more is paid for by the kilobyte, twice: larger ones are
/// elsewhere (decision 0003).
pub const INLINE_BYTES: usize = 1024;
/// Bytes of a result's annotations as JSON, a draft's or a person's, wherever they are: an answer of [`PAGE_BYTES`] holds them.
pub const DRAFT_JSON_BYTES: u64 = 3 * 1024 * 1024;
/// Bytes of an object of raw predictions or of drafts, about: so many are in memory.
pub const OBJECT_BYTES: usize = 1024 * 1024;
/// Bytes of a part of an object that is written in parts, but for the last one (AWS, "Multipart upload limits").
pub const PART_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of a part of an export: two of them are in memory. An object has at most 10,000 parts, so an export 80 GB (AWS, "Multipart
/// upload limits").
pub const EXPORT_PART_BYTES: usize = 8 * 1024 * 1024;
/// Items of an export that are read at once: their rows are in memory.
pub const EXPORT_PAGE: usize = 400;
/// Exports of an organization that have not ended: each is a chain of messages that reads all of its items.
pub const EXPORTS_OPEN: usize = 20;
/// The latest exports of an organization, of which those are counted that have not ended.
pub const EXPORTS_COUNTED: usize = 100;
/// Projects of one export.
pub const EXPORT_PROJECTS: usize = 20;
/// Characters of all labels of the projects of one export, and of those that no project has: they are in its row.
pub const EXPORT_LABELS_CHARS: usize = 64 * 1024;
/// Bytes of the file of an import: the longest that one PUT takes (AWS, "Amazon S3 quotas"). A function's disk holds it twice.
pub const IMPORT_BYTES: u64 = 5_000_000_000;
/// Bytes of a compressed file of an import, unpacked.
pub const IMPORT_TEXT_BYTES: u64 = 4 * IMPORT_BYTES;
/// Bytes of one line or entry of such a file, and of all annotations of one picture in it: the largest draft, spaced.
pub const IMPORT_ENTRY_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of all names and ids of categories of such a file: they are in memory.
pub const IMPORT_CATEGORIES_BYTES: usize = 1024 * 1024;
/// Bytes and entries of a segment, about: so many are in memory while their labels are written.
pub const IMPORT_SEGMENT_BYTES: usize = 1024 * 1024;
/// See [`IMPORT_SEGMENT_BYTES`].
pub const IMPORT_SEGMENT_ENTRIES: usize = 200;
/// Reasons that an import shows itself; its report has all.
pub const IMPORT_REASONS: usize = 100;
/// Items of a project that an import finds by their file name: the names are in memory. In a larger project it finds them by key alone.
pub const IMPORT_NAMES: usize = 200_000;
/// Bytes of one result in its row, packed.
pub const DRAFT_BYTES: usize = 32 * 1024;
/// Bytes of a person's annotations in their row, as JSON: packed, boxes are a quarter of it and run lengths most of it. Larger ones
/// are elsewhere (decision 0038).
pub const CORRECTION_INLINE_BYTES: usize = 16 * 1024;
/// Predictions of one item that are read; those that follow are dropped, with a note.
pub const PREDICTIONS: usize = 10_000;
/// Masks of one item that are fetched; those that follow are dropped, with a note.
pub const MASK_PICTURES: usize = 100;
/// Bytes of a PNG that is a mask (contract, 10.3).
pub const MASK_BYTES: usize = 20 * 1024 * 1024;
/// Pixels of a PNG that is a mask: it is held as one bit each, 12 MB.
pub const MASK_PIXELS: u64 = 100_000_000;
/// Length of the URL of a file, an item's or a mask's: a signed one holds a session token.
pub const FILE_URL_CHARS: usize = 8_192;
/// Labels that a receipt and a summary count, most frequent first: a row takes 400 KB, and a model's labels are its own.
pub const SUMMARY_LABELS: usize = 200;
/// The same of the labels that a job does not want.
pub const DROPPED_LABELS: usize = 50;
/// Different labels that are counted at once while receipts are added up; beyond it the rarest so far are forgotten.
pub const LABELS_COUNTED: usize = 10_000;
/// Labels of one item that are counted among those: far more, since what is cut here is missing in every sum.
pub const DROPPED_LABELS_PER_ITEM: usize = LABELS;
/// Characters of all labels of a project or a job together.
pub const LABELS_CHARS: usize = 16 * 1024;
/// Characters of a sentence about an item.
pub const MESSAGE_CHARS: usize = 300;
/// Errors that `summary.errors` lists (contract, 6.5).
pub const SUMMARY_ERRORS: usize = 20;
/// Length of a name (contract, 8.1).
pub const NAME_CHARS: usize = 255;
/// Labels of a project or a job, and the length of one.
pub const LABELS: usize = 1_000;
/// See [`LABELS`].
pub const LABEL_CHARS: usize = 255;
/// Bytes of an upload that becomes an item: a model fetches it whole (docs/uploads.md).
pub const UPLOAD_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes of an object that are read to compare it with the version before: a larger one counts as another version.
pub const COMPARED_BYTES: u64 = 16 * 1024 * 1024;
/// Uploads that wait at most before a job starts without a pause (docs/decisions/0021).
pub const UPLOADS_WAITING: u64 = 5_000;
/// Seconds within which an upload is written to the table, from the moment that gives it its position among the unlabeled items: a
/// write that takes longer is given up, and its message comes again.
pub const UPLOAD_WRITE_SECONDS: u64 = 8;
/// Seconds after which jobs find every upload of a moment: it is written, and the index has had four to show it. Jobs take none
/// that is younger, since they read on behind the last one that they took (docs/decisions/0021).
pub const UPLOAD_SETTLED_SECONDS: u64 = UPLOAD_WRITE_SECONDS + 4;
/// The longest pause that a project may wait for, seconds: what SQS delays a message by at most (AWS, "Amazon SQS delay queues").
pub const QUIET_SECONDS: u32 = 900;
/// The shortest: what is asked below it would wait as long, since jobs take no younger upload.
pub const QUIET_SECONDS_LEAST: u32 = UPLOAD_SETTLED_SECONDS as u32;
/// Items a day that a project may have labeled on upload.
pub const UPLOADS_PER_DAY: u32 = 1_000_000;
/// Seconds that the note of a rejected upload is kept: 30 days.
pub const REJECTED_UPLOAD_SECONDS: i64 = 30 * 24 * 3_600;
/// Seconds that the announcement of a file is kept: 30 days. A file that is announced again later counts twice.
pub const ANNOUNCED_SECONDS: i64 = 30 * 24 * 3_600;
/// Items that are counted when a job finds none to label: ten pages of a list, read only then (docs/decisions/0032).
pub const ITEMS_COUNTED: usize = 1_000;
/// Items that one call adds.
pub const ITEMS_PER_CALL: usize = 1_000;
/// Items that a read of the review queue examines, about: ten BatchGetItem calls (docs/decisions/0039).
pub const QUEUE_ITEMS: usize = 1_000;
/// Items that one call claims, and about as many as a person reviews before her next one.
pub const CLAIMS: u32 = 20;
/// Claims of a person in a project that are remembered for her next call.
pub const CLAIMS_KEPT: usize = 100;
/// People who may have skipped a draft; of more the last ones are known.
pub const SKIPS: usize = 10;
/// Bytes of an item key: an S3 key takes 1,024, less our prefix.
pub const ITEM_KEY_BYTES: usize = 900;
/// Length of a description.
pub const DESCRIPTION_CHARS: usize = 2_000;
/// Length of a webhook secret that a client brings (contract, 9.1).
pub const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=256;
/// Bytes of the credentials of one provider: as many as KMS seals in one call (AWS, "Encrypt").
pub const CREDENTIALS_BYTES: usize = 4_096;
/// Model calls in flight that a provider may allow over all workers of a job: what one worker drives, several times over.
pub const CONCURRENCY: u32 = 1_000;
/// Further request headers of a provider, and the lengths of a name and of a value.
pub const HEADERS: usize = 20;
/// See [`HEADERS`].
pub const HEADER_NAME_CHARS: usize = 100;
/// See [`HEADERS`].
pub const HEADER_CHARS: usize = 2_048;
/// Length of a role's ARN (AWS, "AssumeRole").
pub const ROLE_ARN_CHARS: usize = 2_048;
/// Length of the name of a multi-model endpoint's model (AWS, "InvokeEndpoint").
pub const TARGET_MODEL_CHARS: usize = 1_024;
/// Length of a label's prompt: what a model of open vocabulary reads is a phrase or two.
pub const PROMPT_CHARS: usize = 1_000;
/// Length of a URL (contract, 9.1).
pub const URL_CHARS: usize = 2_048;
/// Webhook subscriptions of an organization.
pub const WEBHOOKS: usize = 50;
/// Deliveries that one verdict may have: they are in its transaction. Calls at once may each add some, so it is less than [`DELIVERIES`].
pub const VERDICT_DELIVERIES: usize = 90;
/// Deliveries that a transaction holds, beside the three writes that an event has at most.
pub const DELIVERIES: usize = TRANSACTION_ACTIONS - 3;
const _: () = assert!(VERDICT_DELIVERIES < DELIVERIES && WEBHOOKS < VERDICT_DELIVERIES);
/// Seconds that a delivery record is kept: 30 days (contract, 9.4).
pub const DELIVERY_SECONDS: i64 = 30 * 24 * 3_600;
/// Characters of a webhook answer that are kept (contract, D22).
pub const RESPONSE_PREVIEW_CHARS: usize = 1_024;
/// Bytes of an answer that is kept for an idempotency key: a row takes 400 KB.
pub const KEPT_ANSWER_BYTES: usize = 350 * 1024;
/// Default and largest page (contract, D6).
pub const PAGE: usize = 100;
/// Width and height of a picture, pixels.
pub const PIXELS_PER_SIDE: u32 = 1_000_000;
