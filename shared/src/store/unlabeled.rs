//! The unlabeled items of a project: the shards of the sparse index, merged into one order.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use futures_util::{Stream, stream};

use super::Store;
use super::calls::{Row, classify, text};
use super::keys::{self, UNLABELED};
use super::rows::asset;
use crate::domain::Error;
use crate::domain::id::{ItemUid, ProjectUid};
use crate::domain::item::Asset;
use crate::ports::UnlabeledQuery;

/// Entries of one read: some 2 MB in memory, of each shard. A job of up to four times as many costs one read a shard.
const ENTRIES: usize = 1_000;

/// Entries of a shard, each with its position in the order, and where the next ones begin.
type Read<T, C> = (VecDeque<(String, T)>, Option<C>);

impl Store {
    /// The items of a query in the order of their creation, each with its position, some thousands at a time.
    pub(super) fn unlabeled_items(
        &self,
        project: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send + use<'_> {
        // A position begins with digits. `!` sorts before every digit, and `~` behind every position that begins like it.
        let since = query.since.map(|since| keys::in_time(since, "~")); // behind every position of that time
        let after = query.after.max(since);
        let begin = after.map_or_else(|| "!".to_owned(), |position| format!("{position}!"));
        let end = query.until.map_or_else(|| "~".to_owned(), |until| keys::in_time(until, "~"));
        let first_read = query.limit.map_or(ENTRIES, |limit| limit.clamp(1, ENTRIES));
        // DynamoDB would refuse a range that ends before it begins.
        let shards = if begin < end { keys::UNLABELED_SHARDS } else { 0 };
        let shards = (0..shards).map(|shard| keys::unlabeled_of(project, shard)).collect();
        merged(shards, move |shard, after| {
            let limit = if after.is_none() { first_read } else { ENTRIES };
            let read = self.unlabeled_in(shard, (begin.clone(), end.clone()), after, limit);
            async move {
                let (mut entries, next) = read.await?;
                entries.retain(|(position, _)| !query.uploads || keys::is_uploaded(position));
                Ok((entries, next))
            }
        })
    }

    async fn unlabeled_in(
        &self,
        shard: String,
        (begin, end): (String, String),
        after: Option<Row>,
        limit: usize,
    ) -> Result<Read<Asset, Row>, Error> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(UNLABELED.name)
            .key_condition_expression(format!("{} = :shard AND {} BETWEEN :begin AND :end", UNLABELED.pk, UNLABELED.sk))
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":begin", text(begin))
            .expression_attribute_values(":end", text(end))
            .set_exclusive_start_key(after)
            .limit(i32::try_from(limit).map_err(Error::internal)?);
        let answer = request.send().await.map_err(classify)?;
        let entries = answer.items.unwrap_or_default().iter().map(waiting).collect::<Result<_, _>>()?;
        Ok((entries, answer.last_evaluated_key))
    }
}

/// A shard that is being read.
struct Shard<T, C> {
    name: String,
    /// What has been read and not handed out.
    waiting: VecDeque<(String, T)>,
    next: Next<C>,
}

/// Where the next read of a shard begins.
enum Next<C> {
    First,
    After(C),
    None,
}

impl<T, C> Shard<T, C> {
    /// Nothing waits, and there may be more.
    fn has_run_out(&self) -> bool {
        self.waiting.is_empty() && !matches!(self.next, Next::None)
    }

    async fn fill<F>(&mut self, read: &impl Fn(String, Option<C>) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Read<T, C>, Error>>,
    {
        while self.has_run_out() {
            let after = match std::mem::replace(&mut self.next, Next::None) {
                Next::After(key) => Some(key),
                Next::First | Next::None => None,
            };
            let (entries, next) = read(self.name.clone(), after).await?;
            self.waiting = entries;
            self.next = next.map_or(Next::None, Next::After);
        }
        Ok(())
    }
}

/// The entries of all shards in one order. Each turn reads on in those that have run out, and hands out what comes before
/// anything that is still unread.
fn merged<T: Send, C: Send, F>(
    shards: Vec<String>,
    read: impl Fn(String, Option<C>) -> F + Send + Sync,
) -> impl Stream<Item = Result<Vec<(String, T)>, Error>> + Send
where
    F: Future<Output = Result<Read<T, C>, Error>> + Send,
{
    let shard = |name| Shard { name, waiting: VecDeque::new(), next: Next::First };
    let shards: Vec<Shard<T, C>> = shards.into_iter().map(shard).collect();
    stream::try_unfold((shards, read), |(mut shards, read)| async {
        try_join_all(shards.iter_mut().map(|shard| shard.fill(&read))).await?;
        let mut entries = Vec::new();
        while let Some(first) = first(&mut shards) {
            entries.extend(first.waiting.pop_front());
            if first.has_run_out() {
                break;
            }
        }
        Ok((!entries.is_empty()).then_some((entries, (shards, read))))
    })
}

/// The shard whose next entry comes before those of the others.
fn first<T, C>(shards: &mut [Shard<T, C>]) -> Option<&mut Shard<T, C>> {
    let position = |shard: &Shard<T, C>| shard.waiting.front().map(|(position, _)| position.clone());
    let (_, first) =
        shards.iter_mut().filter_map(|shard| Some((position(shard)?, shard))).min_by(|a, b| a.0.cmp(&b.0))?;
    Some(first)
}

/// An entry of the sparse index.
fn waiting(row: &Row) -> Result<(String, Asset), Error> {
    let field = |name: &str| {
        row.get(name)
            .and_then(|value: &AttributeValue| value.as_s().ok())
            .ok_or_else(|| Error::internal("index entry without its attributes"))
    };
    let uid = field("pk")?.strip_prefix("ITEM#").ok_or_else(|| Error::internal("index entry that is no item"))?;
    Ok((field(UNLABELED.sk)?.clone(), asset(ItemUid::parse(uid)?, field("item")?)?))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::TryStreamExt;
    use proptest::prelude::*;

    use super::*;

    /// What the shards hold, read two entries at a time; as DynamoDB does, a shard that ends with a page says so by an
    /// empty one.
    async fn read_in_order(shards: &[Vec<u16>]) -> (Vec<u16>, usize) {
        let reads = AtomicUsize::new(0);
        let read = |shard: String, after: Option<usize>| {
            reads.fetch_add(1, Ordering::Relaxed);
            let (entries, from) = (&shards[shard.parse::<usize>().unwrap()], after.unwrap_or(0));
            let page: VecDeque<_> =
                entries[from..].iter().take(2).map(|entry| (format!("{entry:05}"), *entry)).collect();
            let next = (page.len() == 2).then_some(from + 2);
            async move { Ok((page, next)) }
        };
        let names = (0..shards.len()).map(|shard| shard.to_string()).collect();
        let merged: Vec<(String, u16)> = merged(names, read).try_concat().await.unwrap();
        (merged.into_iter().map(|(_, entry)| entry).collect(), reads.into_inner())
    }

    proptest! {
        #[test]
        fn whatever_the_shards_hold_it_comes_in_one_order_and_each_page_is_read_once(
            shards in proptest::collection::vec(proptest::collection::vec(any::<u16>(), 0..9), 4)
        ) {
            let sorted = |mut entries: Vec<u16>| { entries.sort_unstable(); entries };
            let shards: Vec<Vec<u16>> = shards.into_iter().map(sorted).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

            let (merged, reads) = runtime.block_on(read_in_order(&shards));

            prop_assert_eq!(merged, sorted(shards.concat()));
            prop_assert_eq!(reads, shards.iter().map(|shard| shard.len() / 2 + 1).sum::<usize>());
        }
    }
}
