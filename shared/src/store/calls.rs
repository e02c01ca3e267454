//! The calls of the table: typed rows in, typed rows out, errors classified.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use futures_util::{Stream, stream};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use uuid::Uuid;

use super::Store;
use super::keys::{Key, LISTING, List, PK, SK};
use crate::domain::{Error, limits};
use crate::ports::{Page, Slice};
use crate::sdk;

pub(super) type Row = HashMap<String, AttributeValue>;

/// Keys of one BatchGetItem call (AWS, "BatchGetItem").
const BATCH_GET: usize = 100;
/// A transaction that conflicted or was throttled is repeated for this long, and so is a batch read with keys left unprocessed.
/// A client may be waiting; a task is repeated as a whole.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

impl From<Key> for Row {
    fn from(key: Key) -> Self {
        HashMap::from([(PK.to_owned(), text(key.pk)), (SK.to_owned(), text(key.sk))])
    }
}

/// A serialized value as one attribute, for update expressions.
pub(super) fn attribute(value: &impl serde::Serialize) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(value).map_err(Error::internal)
}

pub(super) fn read<T: DeserializeOwned>(row: Row) -> Result<T, Error> {
    serde_dynamo::from_item(row).map_err(Error::internal)
}

/// Also a conflict with another transaction is worth repeating: it has a code of its own.
pub(super) fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error.code() {
        Some("TransactionConflictException") => Error::StoreUnavailable(Box::new(error)),
        _ => sdk::classify(error, Error::StoreUnavailable),
    }
}

/// Whether a conditional write was made.
pub(super) fn is_done<T, E>(answer: Result<T, SdkError<E>>) -> Result<bool, Error>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(classify(error)),
    }
}

impl Store {
    /// One row, by a consistent read.
    pub(super) async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<T>, Error> {
        self.get_row(key).await?.map(read).transpose()
    }

    /// See [`Store::get`].
    pub(super) async fn get_row(&self, key: Key) -> Result<Option<Row>, Error> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key.into())).consistent_read(true);
        Ok(request.send().await.map_err(classify)?.item)
    }

    /// An update of the row of this key. Without a condition it creates the row.
    pub(super) fn update_row(&self, key: Key) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key.into()))
    }

    /// A new row. `false`: there is one.
    pub(super) async fn put_new(&self, row: Row) -> Result<bool, Error> {
        self.put_if(row, "attribute_not_exists(pk)", None).await
    }

    /// A new row, or else the one that is there.
    pub(super) async fn put_new_or_get(&self, row: Row) -> Result<Option<Row>, Error> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => match lost.item() {
                    Some(row) => Ok(Some(row.clone())),
                    None => Err(Error::internal("a row that is there and is not shown")),
                },
                _ => Err(classify(error)),
            },
        }
    }

    /// Replaces a row that still has these attributes. `false`: it has others, or there is none.
    pub(super) async fn put_over(
        &self,
        row: Row,
        as_read: impl IntoIterator<Item = (&str, AttributeValue)>,
    ) -> Result<bool, Error> {
        let (terms, values): (Vec<String>, HashMap<String, AttributeValue>) =
            as_read.into_iter().map(|(name, value)| (format!("{name} = :{name}"), (format!(":{name}"), value))).unzip();
        self.put_if(row, terms.join(" AND "), Some(values)).await
    }

    async fn put_if(
        &self,
        row: Row,
        condition: impl Into<String>,
        values: Option<HashMap<String, AttributeValue>>,
    ) -> Result<bool, Error> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression(condition)
            .set_expression_attribute_values(values);
        is_done(request.send().await)
    }

    /// Removes a row. `false`: there was none.
    pub(super) async fn remove(&self, key: Key) -> Result<bool, Error> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.into()))
            .condition_expression("attribute_exists(pk)");
        is_done(request.send().await)
    }

    /// The rows of these keys that exist, in this order. A key that comes twice is read and returned once: DynamoDB refuses a
    /// call with both.
    pub(super) async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Row>, Error> {
        let mut seen = HashSet::with_capacity(keys.len());
        let keys: Vec<Key> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        let mut found = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_GET) {
            let rows = self.get_batch(keys).await?;
            found.extend(rows.into_iter().filter_map(|row| Some((key_of(&row)?, row))));
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    /// Those of these keys that have rows.
    pub(super) async fn find_many(&self, keys: Vec<Key>) -> Result<Vec<Key>, Error> {
        let rows = self.get_many(keys).await?;
        Ok(rows.iter().filter_map(key_of).collect())
    }

    /// The rows of at most [`BATCH_GET`] keys, in no order. Keys that a busy table leaves unprocessed are asked for again, for
    /// [`PATIENCE`] since the last answer with rows.
    async fn get_batch(&self, keys: &[Key]) -> Result<Vec<Row>, Error> {
        let keys = keys.iter().cloned().map(Row::from).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut open = HashMap::from([(self.table.clone(), wanted.build().map_err(Error::internal)?)]);
        let (mut delays, mut begun) = (backoff().build(), Instant::now());
        let mut rows = Vec::new();
        loop {
            let answer = self.client.batch_get_item().set_request_items(Some(open)).send().await.map_err(classify)?;
            let before = rows.len();
            rows.extend(answer.responses.unwrap_or_default().into_values().flatten());
            open = answer.unprocessed_keys.unwrap_or_default();
            if open.is_empty() {
                return Ok(rows);
            }
            if rows.len() > before {
                (delays, begun) = (backoff().build(), Instant::now()); // the answer was full: 16 MB
            }
            match delays.next() {
                Some(delay) if begun.elapsed() + delay < PATIENCE => sleep(delay).await,
                _ => return Err(Error::StoreUnavailable("keys left unprocessed".into())),
            }
        }
    }

    /// The rows of a partition whose sort key begins so, in order, read page by page.
    pub(super) fn query_prefix(
        &self,
        pk: String,
        prefix: &str,
        projection: Option<&str>,
    ) -> impl Stream<Item = Result<Row, Error>> + Send + use<> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":prefix", text(prefix))
            .set_projection_expression(projection.map(Into::into));
        stream::unfold(request.into_paginator().items().send(), |mut rows| async {
            let row = rows.next().await?;
            Some((row.map_err(classify), rows))
        })
    }

    /// A page of a partition of the table: its uids sort by time.
    pub(super) async fn page_of_partition<T: DeserializeOwned>(
        &self,
        pk: String,
        prefix: &str,
        slice: &Slice,
    ) -> Result<Page<T>, Error> {
        let start = slice.after.as_ref().map(|after| Key { pk: pk.clone(), sk: format!("{prefix}{after}") }.into());
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":prefix", text(prefix))
            .set_exclusive_start_key(start)
            .scan_index_forward(slice.reads_upward())
            .limit(i32::try_from(slice.limit + 1).unwrap_or(i32::MAX));
        let answer = request.send().await.map_err(classify)?;
        let mut rows = answer.items.unwrap_or_default();
        let more = rows.len() > slice.limit || answer.last_evaluated_key.is_some();
        rows.truncate(slice.limit);
        let position = |row: &Row| row.get(SK)?.as_s().ok()?.strip_prefix(prefix).map(str::to_owned);
        let further = rows.last().and_then(position).filter(|_| more);
        let entries: Vec<(String, T)> = rows
            .into_iter()
            .map(|row| Ok((position(&row).unwrap_or_default(), read(row)?)))
            .collect::<Result<_, Error>>()?;
        let page = Page::found(slice, entries, further, |(position, _)| position.clone());
        Ok(page.with(|entries| entries.into_iter().map(|(_, entry)| entry).collect()))
    }

    /// The keys of a part of a list, each with its position in the list.
    pub(super) async fn find_in_list(&self, list: &List, slice: &Slice) -> Result<Found<(String, Key)>, Error> {
        let (first, last) = list.ends();
        let (from, to) = match slice.after.clone() {
            // A forged position, or one of another list: DynamoDB refuses a range that ends before it begins.
            Some(after) if after <= first || after >= last => return Err(Error::InvalidCursor),
            Some(after) if slice.reads_upward() => (after, last),
            Some(after) => (first, after),
            None => (first, last),
        };
        let wanted = slice.limit + 1 + usize::from(slice.after.is_some());
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(LISTING.name)
            .key_condition_expression(format!("{} = :list AND {} BETWEEN :from AND :to", LISTING.pk, LISTING.sk))
            .expression_attribute_values(":list", text(&list.pk))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .scan_index_forward(slice.reads_upward())
            .limit(i32::try_from(wanted).unwrap_or(i32::MAX));
        let answer = request.send().await.map_err(classify)?;
        let position = |row: &Row| row.get(LISTING.sk)?.as_s().ok().cloned();
        let mut rows = answer.items.unwrap_or_default();
        rows.retain(|row| slice.after.is_none() || position(row) != slice.after); // BETWEEN has both its ends
        let more = rows.len() > slice.limit || answer.last_evaluated_key.is_some();
        rows.truncate(slice.limit);
        let further = rows.last().and_then(position).filter(|_| more);
        let entries = rows.iter().filter_map(|row| Some((position(row)?, key_of(row)?))).collect();
        Ok(Found { entries, further })
    }
}

/// The result of a read of a list.
pub(super) struct Found<T> {
    /// In the order of the read.
    pub(super) entries: Vec<T>,
    /// The position that the next read starts behind; `None`: the list ends here.
    pub(super) further: Option<String>,
}

impl<T> Found<T> {
    /// The entries that are wanted, at most `limit`. The next read starts behind the last of them, or behind all that were read.
    pub(super) fn narrowed(
        mut self,
        limit: usize,
        wanted: impl Fn(&T) -> bool,
        position: impl Fn(&T) -> String,
    ) -> Self {
        self.entries.retain(wanted);
        if self.entries.len() > limit {
            self.entries.truncate(limit);
            self.further = self.entries.last().map(position);
        }
        self
    }

    /// As many entries as [`limits::PAGE_BYTES`] hold, but one at least. The next read starts behind the last of them.
    pub(super) fn within_bytes(mut self, bytes: impl Fn(&T) -> usize, position: impl Fn(&T) -> String) -> Self {
        let mut room = limits::PAGE_BYTES;
        let fits = |entry: &&T| {
            let left = room.checked_sub(bytes(entry));
            room = left.unwrap_or_default();
            left.is_some()
        };
        let fitting = self.entries.iter().take_while(fits).count().max(1);
        if fitting < self.entries.len() {
            self.entries.truncate(fitting);
            self.further = self.entries.last().map(position);
        }
        self
    }

    /// As a page of `slice`.
    pub(super) fn page(self, slice: &Slice, position: impl Fn(&T) -> String) -> Page<T> {
        Page::found(slice, self.entries, self.further, position)
    }
}

/// The part of a list that is read for a page that is filtered in memory: the largest page, so that few are empty, and one read
/// alone, so that its cost is bounded.
pub(super) fn full_page(slice: &Slice) -> Slice {
    Slice { limit: slice.limit.max(limits::PAGE), ..slice.clone() }
}

/// The primary key in a row.
pub(super) fn key_of(row: &Row) -> Option<Key> {
    Some(Key { pk: row.get(PK)?.as_s().ok()?.clone(), sk: row.get(SK)?.as_s().ok()?.clone() })
}

/// What became of a transaction.
pub(super) enum Transacted {
    /// All actions are written.
    Done,
    /// No action is: a condition did not hold. One reason per action.
    Refused(Vec<CancellationReason>),
}

/// Whether the condition of this action failed.
pub(super) fn refused(reasons: &[CancellationReason], action: usize) -> bool {
    reasons.get(action).is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

impl Store {
    /// All or nothing. Conflicts with other writers and throttling are repeated for [`PATIENCE`].
    pub(super) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Transacted, Error> {
        self.transact_within(PATIENCE, actions).await
    }

    /// The same with another patience: less than the ten minutes for which AWS knows a token.
    pub(super) async fn transact_within(
        &self,
        patience: Duration,
        actions: Vec<TransactWriteItem>,
    ) -> Result<Transacted, Error> {
        // One for all attempts: the second must not be refused by what the first one wrote.
        let token = Uuid::now_v7().to_string();
        let attempt = || async {
            let request = self
                .client
                .transact_write_items()
                .set_transact_items(Some(actions.clone()))
                .client_request_token(&token);
            let error = match request.send().await {
                Ok(_) => return Ok(Transacted::Done),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons();
                    if (0..reasons.len()).any(|action| refused(reasons, action)) {
                        return Ok(Transacted::Refused(reasons.to_vec()));
                    }
                    let codes: Vec<&str> =
                        reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None").collect();
                    let passing = codes.iter().all(|code| {
                        matches!(*code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
                    });
                    let cause = format!("transaction cancelled: {}", codes.join(", "));
                    Err(if passing { Error::StoreUnavailable(cause.into()) } else { Error::internal(cause) })
                }
                _ => Err(classify(error)),
            }
        };
        within(patience, attempt).await
    }
}

/// Repeats a call that conflicts with other writers, or finds the table busy, for [`PATIENCE`]. The call must be idempotent: an
/// attempt whose answer was lost has been made.
pub(super) async fn patiently<T, F>(attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    within(PATIENCE, attempt).await
}

/// Delays between attempts: each longer than the last, with jitter, so that callers that conflicted do not repeat together.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
}

async fn within<T, F>(patience: Duration, attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let begun = Instant::now();
    let attempts = attempt
        .retry(backoff())
        .when(|error: &Error| matches!(error, Error::StoreUnavailable(_)) && begun.elapsed() < patience)
        .into_future();
    Box::pin(attempts).await // the SDK's futures are nested nearly as deep as the compiler follows
}
