//! Which labels a model is asked for, and which a job keeps of what it says.

use serde_json::json;
use shared::domain::prediction::label_count::LabelCount;
use shared::domain::provider::connection::Reading;
use shared::testing::{MemoryJobs, ScriptedModel, ScriptedModels, an_item};

use super::{far, masking, running, worker_on};
use crate::Worker;

#[tokio::test(start_paused = true)]
async fn labels_that_the_job_does_not_want_are_counted_and_a_label_may_have_a_threshold_of_its_own() {
    let predicted =
        |label: &str, confidence: f64| json!({"type": "classification", "label": label, "confidence": confidence});
    let predictions = vec![predicted("sky", 0.9), predicted("road", 0.4), predicted("sky", 0.1), predicted("car", 0.4)];
    let (worker, batch) = masking(predictions).await;
    let mut job = running();
    job.spec.wanted = vec!["road".into(), "car".into()];
    job.spec.options.label_thresholds = [("road".to_owned(), 0.4)].into();
    let worker = Worker { store: MemoryJobs::of(job), ..worker };

    worker.run(&batch, "a", far()).await.unwrap();

    let receipts = worker.store.committed_receipts();
    let count = |label: &str, count| LabelCount { label: label.into(), count };
    assert_eq!(receipts[0].labels, [count("road", 3)]);
    assert_eq!(receipts[0].dropped_labels, [count("sky", 6)]);
}

/// Contract D25.
#[tokio::test(start_paused = true)]
async fn a_model_is_asked_in_its_own_words_for_what_the_job_wants() {
    let (worker, batch) = worker_on(&[an_item(0)]).await;
    let mut job = running();
    job.spec.wanted = vec!["desk".into()];
    let reading = Reading { label_map: [("dining table".into(), "desk".into())].into(), ..Reading::default() };
    let model = ScriptedModel::answering(json!({"annotations": []}).to_string(), reading);
    let worker = Worker { store: MemoryJobs::of(job), models: ScriptedModels(model.clone()), ..worker };

    worker.run(&batch, "a", far()).await.unwrap();

    assert_eq!(model.labels(), [["desk", "dining table"]]);
}
