//! What a project's items have, counted when a job finds none to label: its note says why, and what to do.

use std::collections::BTreeSet;

use crate::domain::id::JobUid;
use crate::domain::item::Item;
use crate::domain::item::result::{ResultSource, ResultStatus};
use crate::domain::limits;

/// The newest items of a project, up to [`limits::ITEMS_COUNTED`], by what they have.
#[derive(Debug, Default)]
pub struct ItemCount {
    drafts: usize,
    accepted: usize,
    without_file: usize,
    unlabeled: usize,
    /// The jobs that have left the drafts.
    jobs: BTreeSet<JobUid>,
    has_more: bool,
}

impl ItemCount {
    /// Counts an item.
    pub fn add(&mut self, item: &Item) {
        if self.total() == limits::ITEMS_COUNTED {
            self.has_more = true;
            return;
        }
        match &item.result {
            Some(result) if result.status == ResultStatus::Draft => {
                self.drafts += 1;
                let of_model = result.lineage.as_ref().filter(|_| result.source == ResultSource::AutoLabel);
                self.jobs.extend(of_model.map(|lineage| lineage.job));
            }
            Some(_) => self.accepted += 1,
            None if item.is_deleted() => self.without_file += 1,
            None => self.unlabeled += 1,
        }
    }

    /// Whether the project has more items than are counted.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.has_more
    }

    const fn total(&self) -> usize {
        self.drafts + self.accepted + self.without_file + self.unlabeled
    }

    /// Why there is nothing to label, and what to do, in sentences.
    #[must_use]
    pub fn note(&self) -> String {
        if self.total() == 0 {
            return "The project has no items. Add some: POST /projects/{uid}/items/.".into();
        }
        [Some(self.what_there_is()), self.what_to_do()].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn what_there_is(&self) -> String {
        let (total, counts) = (self.total(), self.counts());
        if self.has_more {
            return format!(
                "The project has more than {total} items, and none to label. Of the newest {total}: {counts}."
            );
        }
        match (total, total - self.drafts - self.accepted) {
            (1, 0) => format!("The only item has a result: {counts}."),
            (_, 0) => format!("All {total} items have results: {counts}."),
            (1, _) => format!("There is one item: {counts}."),
            _ => format!("Of {total} items none is to label: {counts}."),
        }
    }

    fn counts(&self) -> String {
        let drafts = if self.drafts == 1 { "draft" } else { "drafts" };
        let parts = [
            (self.drafts, drafts),
            (self.accepted, "accepted"),
            (self.without_file, "without a file any more"),
            (self.unlabeled, "too late for this job"),
        ];
        let parts = parts.into_iter().filter(|(items, _)| *items > 0).map(|(items, what)| format!("{items} {what}"));
        parts.collect::<Vec<_>>().join(", ")
    }

    fn what_to_do(&self) -> Option<String> {
        if self.unlabeled > 0 {
            return Some("Start another job for the late ones.".into());
        }
        match (self.jobs.first(), self.jobs.len()) {
            (Some(job), 1) => Some(format!(
                "{AGAIN} discard the drafts and start again: POST /auto-label-jobs/{job}/discard-drafts/."
            )),
            (Some(_), jobs) => Some(format!(
                "{AGAIN} discard the drafts of the {jobs} jobs and start again: POST /auto-label-jobs/{{uid}}/discard-drafts/."
            )),
            (None, _) if self.drafts > 0 => Some("Accept or reject the drafts that people have made.".into()),
            (None, _) if self.accepted > 0 => {
                Some("To label an item again, reject its result: POST /results/{uid}/reject/.".into())
            }
            (None, _) => None,
        }
    }
}

/// How the advice begins if there are drafts.
const AGAIN: &str = "To change the threshold, the labels or the model,";

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::id::{ItemUid, Naming, OrganizationUid, ProjectUid};
    use crate::domain::item::file_version::{FileVersion, Sequence};
    use crate::domain::item::result::{LabelResult, Lineage};
    use crate::domain::item::{Asset, AssetType, SizeOrigin, Source};

    fn job(n: u32) -> JobUid {
        JobUid::named(&Naming::repeatable(Uuid::from_u128(7), "f".into()), Timestamp::UNIX_EPOCH, n)
    }

    fn an_item() -> Item {
        let now = Timestamp::UNIX_EPOCH;
        let project = ProjectUid::at(now);
        let asset = Asset {
            uid: ItemUid::of(project, "a"),
            kind: AssetType::Image,
            size: None,
            origin: SizeOrigin::default(),
            source: Source::Bucket("a".into()),
            changes: 0,
        };
        let (organization, key) = (OrganizationUid::named("acme"), "a".into());
        Item { organization, project, key, asset, file: None, created_at: now, generation: 0, result: None }
    }

    fn with_result(status: ResultStatus, job: JobUid) -> Item {
        let now = Timestamp::UNIX_EPOCH;
        let result = LabelResult {
            generation: 1,
            revision: 0,
            status,
            source: ResultSource::AutoLabel,
            created_by: "bot".into(),
            reviewed_by: None,
            lineage: Some(Lineage { job, provider: None, model_type: None, confidence_threshold: 0.5 }),
            annotations: Vec::new(),
            elsewhere: None,
            draft: None,
            sweep: None,
            file_changes: None,
            created_at: now,
            updated_at: now,
        };
        Item { result: Some(result), ..an_item() }
    }

    fn without_file() -> Item {
        let file = FileVersion { deleted: true, ..FileVersion::of("e", Sequence::of("1")) };
        Item { file: Some(file), ..an_item() }
    }

    fn note(items: impl IntoIterator<Item = (usize, super::Item)>) -> String {
        let mut count = ItemCount::default();
        for (times, item) in items {
            (0..times).for_each(|_| count.add(&item));
        }
        count.note()
    }

    #[test]
    fn a_note_says_what_the_items_have_and_what_to_do() {
        let (draft, accepted) =
            (|n| with_result(ResultStatus::Draft, job(n)), with_result(ResultStatus::Accepted, job(1)));
        let again = "To change the threshold, the labels or the model,";
        let (one, several) =
            (format!("/auto-label-jobs/{}/discard-drafts/.", job(1)), "/auto-label-jobs/{uid}/discard-drafts/.");
        for (items, expected) in [
            (vec![], "The project has no items. Add some: POST /projects/{uid}/items/.".to_owned()),
            (
                vec![(7, draft(1)), (2, accepted.clone())],
                format!("All 9 items have results: 7 drafts, 2 accepted. {again} discard the drafts and start again: POST {one}"),
            ),
            (
                vec![(1, draft(1)), (1, draft(2))],
                format!("All 2 items have results: 2 drafts. {again} discard the drafts of the 2 jobs and start again: POST {several}"),
            ),
            (
                vec![(1, accepted.clone())],
                "The only item has a result: 1 accepted. To label an item again, reject its result: POST /results/{uid}/reject/.".into(),
            ),
            (vec![(3, without_file())], "Of 3 items none is to label: 3 without a file any more.".into()),
            (
                vec![(1, without_file()), (1, an_item()), (2, accepted)],
                "Of 4 items none is to label: 2 accepted, 1 without a file any more, 1 too late for this job. Start another job for the late ones.".into(),
            ),
            (vec![(1, an_item())], "There is one item: 1 too late for this job. Start another job for the late ones.".into()),
        ] {
            assert_eq!(note(items), expected);
        }
    }

    #[test]
    fn of_a_large_project_the_newest_items_are_counted_and_the_note_says_so() {
        let draft = with_result(ResultStatus::Draft, job(1));
        let exact = note([(limits::ITEMS_COUNTED, draft.clone())]);
        let more = note([(limits::ITEMS_COUNTED + 5, draft)]);

        assert!(exact.starts_with("All 1000 items have results: 1000 drafts."), "{exact}");
        let expected = "The project has more than 1000 items, and none to label. Of the newest 1000: 1000 drafts.";
        assert!(more.starts_with(expected), "{more}");
    }
}
