//! Uploads: owners of projects, file versions of items, and rejected uploads (docs/decisions/0021).

use aws_sdk_dynamodb::types::Update;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;

use super::Store;
use super::calls::{Found, Transacted, attribute, classify, number, read, text};
use super::jobs::update;
use super::keys::{self, Key, UNLABELED};
use super::rows::{OwnerRow, RejectedUploadRow, item, packed};
use crate::domain::id::{OrganizationUid, ProjectUid};
use crate::domain::item::Item;
use crate::domain::upload::RejectedUpload;
use crate::domain::{Error, Timestamp};
use crate::ports::{Page, Slice, Uploads};

impl Uploads for Store {
    async fn owner(&self, project: ProjectUid) -> Result<Option<OrganizationUid>, Error> {
        Ok(self.get::<OwnerRow>(Key::owner(project)).await?.map(|row| row.organization))
    }

    async fn change_file(&self, before: &Item, after: &Item, now: Timestamp) -> Result<bool, Error> {
        let mut set = "#item = :item, #file = :file".to_owned();
        let mut remove = Vec::new();
        let mut change = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::item(after.asset.uid).into()))
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":item", text(packed(&after.asset)?))
            .expression_attribute_values(":file", attribute(&after.file)?);
        if after.asset.changes > 0 {
            set += ", changes = :changes";
            change = change.expression_attribute_values(":changes", number(after.asset.changes));
        }
        if after.waits_again(before) {
            // At the position of this moment: the next job by uploads reads behind what the last one has taken.
            set += &format!(", {} = :pk, {} = :sk", UNLABELED.pk, UNLABELED.sk);
            let shard = after.asset.uid.shard(keys::UNLABELED_SHARDS);
            change = change
                .expression_attribute_values(":pk", text(keys::unlabeled_of(after.project, shard)))
                .expression_attribute_values(":sk", text(keys::uploaded(now, after.asset.uid)));
        } else if !after.waits() {
            remove.extend([UNLABELED.pk, UNLABELED.sk]);
        }
        if after.result.is_none() && before.result.is_some() {
            remove.extend(["#result", "marks"]);
        }
        let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        let (change, as_read) = as_read(before, change);
        let change = change.update_expression(format!("SET {set}{remove}")).condition_expression(as_read);
        // In a transaction, as a review is: after a lost answer it must not be taken for the write of another process.
        let mut actions = vec![update(change)?];
        if after.result.is_none() {
            actions.extend(self.long_names(before)?);
        }
        Ok(matches!(self.transact(actions).await?, Transacted::Done))
    }

    async fn reject_upload(&self, rejected: &RejectedUpload) -> Result<(), Error> {
        let row = item(&RejectedUploadRow::new(rejected))?;
        self.client.put_item().table_name(&self.table).set_item(Some(row)).send().await.map_err(classify)?;
        Ok(())
    }

    async fn rejected_uploads(
        &self,
        organization: OrganizationUid,
        project: ProjectUid,
        slice: &Slice,
    ) -> Result<Page<RejectedUpload>, Error> {
        let Found { entries, further } =
            self.find_in_list(&keys::rejected_uploads_of(organization, project), slice).await?;
        let keys = entries.into_iter().map(|(_, key)| key).collect();
        let mut entries: Vec<RejectedUpload> =
            self.get_many(keys).await?.into_iter().map(read).collect::<Result<_, _>>()?;
        entries.sort_by_key(|upload| (upload.uploaded_at, upload.uid()));
        if !slice.reads_upward() {
            entries.reverse();
        }
        let position = |upload: &RejectedUpload| keys::project_position(project, upload.uploaded_at, upload.uid());
        Ok(Found { entries, further }.page(slice, position))
    }
}

/// The condition that an item's file has been changed this often. The number is an attribute of its own: the rest of the asset is
/// packed, and conditions read attributes alone.
pub(super) fn of_same_file(changes: u32, update: UpdateBuilder) -> (UpdateBuilder, &'static str) {
    match changes {
        0 => (update, "attribute_not_exists(changes)"),
        changes => (update.expression_attribute_values(":changes", number(changes)), "changes = :changes"),
    }
}

/// The condition that an item has the file and the result that it was read with.
pub(super) fn as_read(item: &Item, update: UpdateBuilder) -> (UpdateBuilder, String) {
    let update = update.expression_attribute_names("#file", "file").expression_attribute_names("#result", "result");
    let (update, file) = match &item.file {
        None => (update, "attribute_not_exists(#file)"),
        Some(file) => (
            update
                .expression_attribute_names("#sequence", "s")
                .expression_attribute_values(":sequence", text(file.sequence.as_str())),
            "#file.#sequence = :sequence",
        ),
    };
    let (update, result) = match &item.result {
        None => (update, "attribute_not_exists(#result)".to_owned()),
        Some(result) => {
            let update = update.expression_attribute_values(":generation", number(result.generation));
            let (update, revision) = of_revision(result.revision, update);
            (update, format!("generation = :generation AND {revision}"))
        }
    };
    (update, format!("attribute_exists(pk) AND {file} AND {result}"))
}

/// The condition that an item has a result of this revision. A draft of revision 0 says none.
pub(super) fn of_revision(revision: u32, update: UpdateBuilder) -> (UpdateBuilder, &'static str) {
    match revision {
        0 => (update, "attribute_exists(#result) AND attribute_not_exists(#result.revision)"),
        revision => (update.expression_attribute_values(":revision", number(revision)), "#result.revision = :revision"),
    }
}
