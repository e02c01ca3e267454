//! Datasets: names, announced files, and what has become of uploaded ones (docs/decisions/0047).

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{Put, Update};
use serde::{Deserialize, Serialize};

use super::Store;
use super::calls::{Transacted, attribute, is_done, number, refused, text};
use super::jobs::{put, update};
use super::keys::Key;
use super::rows::{Keyed, item};
use crate::domain::id::{ItemUid, OrganizationUid, ProjectUid, UploadUid};
use crate::domain::project::Project;
use crate::domain::project::dataset::DatasetName;
use crate::domain::upload::parse_object_key;
use crate::domain::{Error, Timestamp, limits};
use crate::ports::{Announced, Datasets};

/// The project that has a name.
#[derive(Serialize, Deserialize)]
struct NameRow {
    project: ProjectUid,
}

/// The bytes of an announced file.
#[derive(Serialize, Deserialize)]
struct AnnouncedRow {
    announced: u64,
    /// Seconds.
    expires_at: i64,
}

/// The bytes of all announced files of an organization.
#[derive(Deserialize)]
struct QuotaRow {
    announced: u64,
}

/// Announcements of one file at once before the table counts as busy.
const ROUNDS: usize = 5;

impl Datasets for Store {
    async fn name_dataset(
        &self,
        organization: OrganizationUid,
        name: &DatasetName,
        project: ProjectUid,
    ) -> Result<ProjectUid, Error> {
        let holder: Option<NameRow> = self.add(Key::dataset(organization, name), &NameRow { project }).await?;
        Ok(holder.map_or(project, |row| row.project))
    }

    async fn dataset_named(
        &self,
        organization: OrganizationUid,
        name: &DatasetName,
    ) -> Result<Option<ProjectUid>, Error> {
        Ok(self.get::<NameRow>(Key::dataset(organization, name)).await?.map(|row| row.project))
    }

    async fn change_dataset(&self, before: &Project, after: &Project) -> Result<bool, Error> {
        // Of two that read on at once one must lose: a dataset that is created stays so.
        let request = self
            .update_row(Key::project(after.organization, after.uid))
            .update_expression("SET #name = :name, dataset = :after, updated_at = :now")
            .condition_expression("dataset = :before")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", text(&after.name))
            .expression_attribute_values(":before", attribute(&before.dataset)?)
            .expression_attribute_values(":after", attribute(&after.dataset)?)
            .expression_attribute_values(":now", attribute(&after.updated_at)?);
        is_done(request.send().await)
    }

    async fn announce(&self, file: &Announced, limit: u64, now: Timestamp) -> Result<(), Error> {
        for _ in 0..ROUNDS {
            let row: Option<AnnouncedRow> = self.get(Key::announced(file.project, &file.key)).await?;
            let before = row.map(|row| row.announced);
            let more = file.bytes.saturating_sub(before.unwrap_or_default());
            if before.is_some() && more == 0 {
                return Ok(());
            }
            match self.count_announced(file, before, more, limit, now).await? {
                Transacted::Done => return Ok(()),
                Transacted::Refused(reasons) if refused(&reasons, 1) => {
                    let used = self.announced_bytes(file.organization).await?;
                    return Err(Error::QuotaExceeded { used, limit });
                }
                Transacted::Refused(_) => {} // another call has announced the file meanwhile
            }
        }
        Err(Error::StoreUnavailable("the file keeps being announced".into()))
    }

    async fn announced_bytes(&self, organization: OrganizationUid) -> Result<u64, Error> {
        let row: Option<QuotaRow> = self.get(Key::quota(organization)).await?;
        Ok(row.map(|row| row.announced).unwrap_or_default())
    }

    async fn count_taken_in(&self, project: ProjectUid, objects: &[String]) -> Result<usize, Error> {
        let keys_of = |object: &String| {
            let rejected = Key::rejected_upload(UploadUid::of(project, None, object));
            let item = parse_object_key(object).map(|(_, key)| Key::item(ItemUid::of(project, key)));
            (item, rejected)
        };
        let keys: Vec<_> = objects.iter().map(keys_of).collect();
        let wanted = keys.iter().flat_map(|(item, rejected)| item.iter().chain([rejected])).cloned().collect();
        let found: HashSet<Key> = self.find_many(wanted).await?.into_iter().collect();
        let is_taken_in = |(item, rejected): &&(Option<Key>, Key)| {
            found.contains(rejected) || item.as_ref().is_some_and(|item| found.contains(item))
        };
        Ok(keys.iter().take_while(is_taken_in).count())
    }
}

impl Store {
    /// One transaction: the file's bytes, and those of its organization.
    async fn count_announced(
        &self,
        file: &Announced,
        before: Option<u64>,
        more: u64,
        limit: u64,
        now: Timestamp,
    ) -> Result<Transacted, Error> {
        let expires_at = now.as_second() + limits::ANNOUNCED_SECONDS;
        let row = AnnouncedRow { announced: file.bytes, expires_at };
        let row = item(&Keyed::new(Key::announced(file.project, &file.key), &row))?;
        let known = Put::builder().table_name(&self.table).set_item(Some(row));
        let known = match before {
            None => known.condition_expression("attribute_not_exists(pk)"),
            Some(before) => {
                known.condition_expression("announced = :before").expression_attribute_values(":before", number(before))
            }
        };
        // `limit` is more than `more`, or else no bytes before it would do.
        let Some(most) = limit.checked_sub(more) else {
            let used = self.announced_bytes(file.organization).await?;
            return Err(Error::QuotaExceeded { used, limit });
        };
        let count = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::quota(file.organization).into()))
            .update_expression("ADD announced :more")
            .condition_expression("attribute_not_exists(pk) OR announced <= :most")
            .expression_attribute_values(":more", number(more))
            .expression_attribute_values(":most", number(most));
        self.transact(vec![put(known)?, update(count)?]).await
    }
}
