//! Items and their results.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};
use futures_util::{Stream, StreamExt, stream};

use super::Store;
use super::calls::{Found, Row, Transacted, attribute, number, read, text};
use super::jobs::{delete, put, update};
use super::keys::{self, Key, UNLABELED};
use super::rows::{ItemOfTailRow, ItemRow, RejectedRow, ResultRow, item, unlabeled_position};
use super::uploads::{as_read, of_revision, of_same_file};
use crate::domain::Error;
use crate::domain::id::{ItemName, ItemUid, OrganizationUid, ProjectUid, ResultUid};
use crate::domain::item::result::{LabelResult, ResultStatus};
use crate::domain::item::{Asset, Item};
use crate::domain::webhook::Delivery;
use crate::ports::{Drafts, Items, Page, Results, Slice, UnlabeledQuery};

/// Conditional puts at once. A BatchWriteItem could not be conditional, and would put an item over its result.
const PUTS: usize = 32;

impl Items for Store {
    async fn add_items(&self, items: &[Item]) -> Vec<Result<Option<Item>, Error>> {
        let rows: Vec<Result<Row, Error>> = items.iter().map(|new| item(&ItemRow::new(new)?)).collect();
        stream::iter(rows)
            .map(|row| async {
                let there = self.put_new_or_get(row?).await?;
                there.map(|row| read::<ItemRow>(row)?.read()).transpose()
            })
            .buffered(PUTS)
            .collect()
            .await
    }

    async fn items(&self, uids: &[ItemUid]) -> Result<Vec<Item>, Error> {
        let rows = self.item_rows(uids.iter().copied().map(Key::item).collect()).await?;
        rows.into_iter().map(ItemRow::read).collect()
    }

    async fn items_of(
        &self,
        organization: OrganizationUid,
        project: Option<ProjectUid>,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        let found = self.sized_items(organization, project, slice).await?;
        Ok(page_within(found, |(_, bytes)| *bytes, slice))
    }

    fn unlabeled(
        &self,
        project: ProjectUid,
        query: UnlabeledQuery,
    ) -> impl Stream<Item = Result<Vec<(String, Asset)>, Error>> + Send {
        self.unlabeled_items(project, query)
    }
}

impl Results for Store {
    fn position(&self, item: &Item) -> String {
        position(item)
    }

    async fn results(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        keep: impl Fn(&LabelResult) -> bool + Send,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        let mut page = self.items_of(organization, Some(project), slice).await?;
        page.entries.retain(|item| item.result.as_ref().is_some_and(&keep));
        Ok(page)
    }

    async fn results_and_rejected(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<Item>, Error> {
        let mut found = self.sized_items(organization, Some(project), slice).await?;
        self.add_rejected(&mut found.entries).await?;
        let mut page = page_within(found, |(_, bytes)| *bytes, slice);
        page.entries.retain(|item| item.result.is_some());
        Ok(page)
    }

    async fn result(&self, uid: ResultUid) -> Result<Option<Item>, Error> {
        let Some(generation) = uid.generation() else { return Ok(None) };
        let uid = match uid.item() {
            ItemName::Whole(item) => item,
            ItemName::Tail(tail) => match self.get::<ItemOfTailRow>(Key::item_of_tail(tail)).await? {
                Some(row) => row.item_uid,
                None => return Ok(None),
            },
        };
        let Some(row) = self.get::<ItemRow>(Key::item(uid)).await? else { return Ok(None) };
        let item = row.read()?;
        if item.result.as_ref().is_some_and(|result| result.generation == generation) {
            return Ok(Some(item));
        }
        let Some(row) = self.get::<RejectedRow>(Key::rejected(uid, generation)).await? else { return Ok(None) };
        Ok(Some(Item { result: Some(row.read(generation)?), ..item }))
    }

    async fn review(&self, of: &Item, reviewed: &LabelResult, deliveries: &[Delivery]) -> Result<bool, Error> {
        let Some(before) = &of.result else { return Err(Error::internal("a review of no result")) };
        let row = ResultRow::of(reviewed.clone())?;
        // A name beside annotations that are there already is never too much.
        if reviewed.annotations != before.annotations && !row.fits {
            return Err(too_large());
        }
        // A transaction even of one action: if its answer is lost, the SDK repeats it under the same token, and the caller gets
        // no error about a change of its own.
        let mut actions = match (before.status, reviewed.status) {
            (ResultStatus::Rejected, _) => self.reopened(of, before, &row)?,
            (_, ResultStatus::Rejected) => self.rejected(of, reviewed.generation, row)?,
            _ => vec![self.replaced(of, &row)?],
        };
        actions.extend(self.queue_again(of, reviewed)?);
        actions.extend(self.outgoing(deliveries)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }

    async fn label(&self, of: &Item, given: &LabelResult, deliveries: &[Delivery]) -> Result<bool, Error> {
        let row = ResultRow::of(given.clone())?;
        if !row.fits {
            return Err(too_large());
        }
        let mut actions = vec![self.labeled(of, &row, given.generation)?];
        actions.extend(self.outgoing(deliveries)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }
}

pub(super) fn too_large() -> Error {
    Error::field("annotations", "Are too large to be stored.")
}

impl Drafts for Store {
    async fn discard_draft(&self, of: &Item) -> Result<bool, Error> {
        let Some(draft) = &of.result else { return Err(Error::internal("a draft of no result")) };
        let (discarded, same_file) = of_same_file(of.asset.changes, Update::builder());
        let (discarded, same_revision) = of_revision(draft.revision, discarded);
        let discarded = discarded
            .table_name(&self.table)
            .set_key(Some(Key::item(of.asset.uid).into()))
            // Never over a person's work (I3): a draft that was corrected and reopened meanwhile has another revision.
            .condition_expression(format!(
                "generation = :generation AND #result.#status = :draft AND {same_revision} AND {same_file}"
            ))
            .expression_attribute_names("#result", "result")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":generation", number(draft.generation))
            .expression_attribute_values(":draft", attribute(&ResultStatus::Draft)?);
        let discarded = without_result(of, discarded);
        // A transaction even of one action, for the same reason as in `review`.
        let mut actions = vec![update(discarded)?];
        actions.extend(self.long_names(of)?);
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }
}

/// Takes an item's result, and puts it back to its position among the unlabeled ones, unless its file is gone. `generation`
/// stays: the next result has another uid.
fn without_result(of: &Item, update: UpdateBuilder) -> UpdateBuilder {
    if of.is_deleted() {
        return update.update_expression("REMOVE #result, marks");
    }
    let (pk, sk) = unlabeled_position(of);
    update
        .update_expression(format!("SET {} = :pk, {} = :sk REMOVE #result, marks", UNLABELED.pk, UNLABELED.sk))
        .expression_attribute_values(":pk", text(pk))
        .expression_attribute_values(":sk", text(sk))
}

/// The position of an item in the lists of its project.
fn position(item: &Item) -> String {
    keys::project_position(item.project, item.created_at, item.asset.uid)
}

/// An item, and bytes of its result in an answer.
pub(super) type SizedItem = (Item, usize);

/// A page of as many items as [`limits::PAGE_BYTES`](crate::domain::limits::PAGE_BYTES) hold.
pub(super) fn page_within(found: Found<SizedItem>, bytes: impl Fn(&SizedItem) -> usize, slice: &Slice) -> Page<Item> {
    let position = |(item, _): &SizedItem| position(item);
    let page = found.within_bytes(bytes, position).page(slice, position);
    page.with(|items| items.into_iter().map(|(item, _)| item).collect())
}

impl Store {
    /// A part of a list of items.
    pub(super) async fn sized_items(
        &self,
        organization: OrganizationUid,
        project: Option<ProjectUid>,
        slice: &Slice,
    ) -> Result<Found<SizedItem>, Error> {
        let Found { entries, further } = self.find_in_list(&keys::items_of(organization, project), slice).await?;
        let rows = self.item_rows(entries.into_iter().map(|(_, key)| key).collect()).await?;
        Ok(Found { entries: rows.into_iter().map(ItemRow::read_sized).collect::<Result<_, _>>()?, further })
    }

    /// Gives the items without a result their last one, if it was rejected.
    pub(super) async fn add_rejected(&self, items: &mut [SizedItem]) -> Result<(), Error> {
        let had_one = |item: &&Item| item.result.is_none() && item.generation > 0;
        let last = |item: &Item| Key::rejected(item.asset.uid, item.generation);
        let rows = self.get_many(items.iter().map(|(item, _)| item).filter(had_one).map(last).collect()).await?;
        let rows: Vec<RejectedRow> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        let mut rejected: HashMap<String, RejectedRow> = rows.into_iter().map(|row| (row.pk.clone(), row)).collect();
        for (item, bytes) in items {
            if let Some(row) = rejected.remove(&Key::item(item.asset.uid).pk) {
                let (result, sized) = row.read_sized(item.generation)?;
                (item.result, *bytes) = (Some(result), sized);
            }
        }
        Ok(())
    }

    /// An item as it was read. Of two reviews at once the second must fail and read again; also if the file was deleted meanwhile.
    fn item_as_read(&self, of: &Item) -> (UpdateBuilder, String) {
        let (written, as_read) = as_read(of, Update::builder());
        (written.table_name(&self.table).set_key(Some(Key::item(of.asset.uid).into())), as_read)
    }

    /// Puts a result over the one that was read. A claim of it ends here: one attribute less in the same write.
    fn replaced(&self, of: &Item, row: &ResultRow) -> Result<TransactWriteItem, Error> {
        let (written, as_read) = self.item_as_read(of);
        let replaced = written
            .condition_expression(as_read)
            .update_expression("SET #result = :result REMOVE marks")
            .expression_attribute_values(":result", attribute(row)?);
        update(replaced)
    }

    /// Moves a result from its item to a row of its own.
    fn rejected(&self, of: &Item, generation: u32, row: ResultRow) -> Result<Vec<TransactWriteItem>, Error> {
        let (written, as_read) = self.item_as_read(of);
        let left = without_result(of, written.condition_expression(as_read));
        let history = item(&RejectedRow::new(&of.asset, generation, row))?;
        let mut actions = vec![update(left)?, put(self.put(history))?];
        actions.extend(self.long_names(of)?);
        Ok(actions)
    }

    /// Moves a rejected result back to its item, if that has had no other since and the rejected one is as it was read.
    fn reopened(&self, of: &Item, rejected: &LabelResult, row: &ResultRow) -> Result<Vec<TransactWriteItem>, Error> {
        let unlabeled = Item { generation: rejected.generation, result: None, ..of.clone() };
        let history = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(Key::rejected(of.asset.uid, rejected.generation).into()))
            .condition_expression("#result.revision = :revision")
            .expression_attribute_names("#result", "result")
            .expression_attribute_values(":revision", number(rejected.revision));
        Ok(vec![self.labeled(&unlabeled, row, rejected.generation)?, delete(history)?])
    }

    /// Gives a result to an item that has none. Of a job and a person at once the first one wins (I3). The number of results must be
    /// as it was read: if a draft came and went meanwhile, it had the uid of this result.
    pub(super) fn labeled(&self, of: &Item, row: &ResultRow, generation: u32) -> Result<TransactWriteItem, Error> {
        let (labeled, as_read) = self.item_as_read(of);
        let labeled = labeled
            .condition_expression(format!("{as_read} AND generation = :before"))
            .update_expression(format!(
                "SET #result = :result, generation = :generation REMOVE {}, {}",
                UNLABELED.pk, UNLABELED.sk
            ))
            .expression_attribute_values(":before", number(of.generation))
            .expression_attribute_values(":generation", number(generation))
            .expression_attribute_values(":result", attribute(row)?);
        update(labeled)
    }

    /// What lets the uids of an item's later results lead to it, written with the end of a result after which they may be
    /// [long](ResultUid::is_long): before there is the first of them.
    pub(super) fn long_names(&self, of: &Item) -> Result<Option<TransactWriteItem>, Error> {
        if !of.result.as_ref().is_some_and(|result| ResultUid::is_long(result.generation.saturating_add(1))) {
            return Ok(None);
        }
        let row = item(&ItemOfTailRow::new(of.asset.uid))?;
        // Should two uids ever end in the same 62 bits, the second item must not take the first one's name.
        let own = self.put(row).condition_expression("attribute_not_exists(pk) OR item_uid = :item");
        put(own.expression_attribute_values(":item", attribute(&of.asset.uid)?)).map(Some)
    }

    /// The rows of these keys that exist, in this order.
    async fn item_rows(&self, keys: Vec<Key>) -> Result<Vec<ItemRow>, Error> {
        self.get_many(keys).await?.into_iter().map(read).collect()
    }
}
