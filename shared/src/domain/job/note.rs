//! Why a job had nothing to do, or left nothing: a sentence or two for the person who started it.

use crate::domain::job::Job;
use crate::domain::job::summary::Summary;
use crate::domain::prediction::label_count::LabelCount;

/// Of a retry without items, if its job was planned. That this job left some is checked when the retry is created.
pub const NOTHING_TO_RETRY: &str = "Nothing is left to retry: the items that failed or were not reached have results by now, or their files were deleted.";

/// Of a job by uploads that found the project's setting turned off.
pub const UPLOADS_ARE_OFF: &str =
    "The project does not label uploads any more: auto_label_on_upload was turned off before the job began.";

/// Of a job by uploads that found none.
pub const NO_UPLOADS: &str =
    "No upload waits any more: the files have results by now, or were deleted before the job began.";

/// Of a job by uploads on a day whose items are used up.
#[must_use]
pub fn day_is_full(max_items_per_day: u32) -> String {
    format!(
        "Jobs by uploads have taken the {max_items_per_day} items of this day, UTC. The uploads wait for the next day, or for a larger \
         max_items_per_day of auto_label_on_upload."
    )
}

/// Labels that a note names.
const LABELS: usize = 5;

/// Of a job that ends, and has items and no item with a prediction to keep.
#[must_use]
pub fn without_results(job: &Job, summary: &Summary) -> Option<String> {
    let counters = job.state.counters;
    if counters.total == 0 || counters.successful > 0 || counters.processed() < counters.total {
        return None;
    }
    let outcomes = [(counters.skipped, "skipped"), (counters.failed, "failed")];
    let outcomes: Vec<String> =
        outcomes.iter().filter(|(items, _)| *items > 0).map(|(items, name)| format!("{items} {name}")).collect();
    let mut note = format!(
        "No item has a prediction to keep: {}. GET /auto-label-jobs/{}/items/ has the reason of each.",
        outcomes.join(", "),
        job.spec.uid
    );
    if !summary.dropped_labels.is_empty() {
        let named = |LabelCount { label, count }: &LabelCount| format!("{label} ({count})");
        let labels: Vec<String> = summary.dropped_labels.iter().take(LABELS).map(named).collect();
        note += &format!(
            " The model found labels that the job does not ask for: {}. Add them to the project's labels, or translate them with \
             label_map of the provider.",
            labels.join(", ")
        );
    }
    Some(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Counters;

    fn ended(counters: Counters) -> Job {
        let mut job = crate::domain::job::tests::a_retryable_job();
        job.state.counters = counters;
        job
    }

    #[test]
    fn a_job_that_leaves_nothing_says_how_many_items_had_which_outcome() {
        let job = ended(Counters { total: 9, skipped: 7, failed: 2, successful: 0 });

        let note = without_results(&job, &Summary::default()).unwrap();

        let expected = format!(
            "No item has a prediction to keep: 7 skipped, 2 failed. GET /auto-label-jobs/{}/items/ has the reason of each.",
            job.spec.uid
        );
        assert_eq!(note, expected);
    }

    #[test]
    fn labels_that_were_dropped_are_named_with_what_to_do() {
        let job = ended(Counters { total: 1, skipped: 1, ..Counters::default() });
        let dropped_labels = (1..=6).map(|count| LabelCount { label: format!("label {count}"), count }).collect();

        let note = without_results(&job, &Summary { dropped_labels, ..Summary::default() }).unwrap();

        assert!(note.contains("No item has a prediction to keep: 1 skipped."), "{note}");
        assert!(note.contains("label 1 (1), label 2 (2), label 3 (3), label 4 (4), label 5 (5). Add them"), "{note}");
    }

    #[test]
    fn a_job_that_left_something_or_was_stopped_has_no_such_note() {
        for counters in [
            Counters { total: 2, successful: 1, skipped: 1, failed: 0 },
            Counters { total: 2, skipped: 1, ..Counters::default() },
            Counters::default(),
        ] {
            assert_eq!(without_results(&ended(counters), &Summary::default()), None, "{counters:?}");
        }
    }
}
