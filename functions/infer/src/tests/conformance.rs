//! `tests/conformance/predictions.jsonl`: what a model says of an item, and what becomes of it, case by case.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use shared::domain::item::{Asset, AssetType};
use shared::domain::job::failure::NoteCode;
use shared::domain::job::outcome::Receipt;
use shared::domain::prediction::label_count::LabelCount;
use shared::domain::prediction::size::Size;
use shared::domain::provider::connection::{Coordinates, Reading, ResponseFormat};
use shared::ports::Objects;
use shared::testing::{MemoryJobs, ScriptedModel, ScriptedModels, an_item};

use super::{far, running, worker_on};
use crate::Worker;

const CASES: &str = include_str!("../../../../tests/conformance/predictions.jsonl");

/// One of `draft`, `skipped` and `code` says the outcome.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    asset: CaseAsset,
    /// The answer, as JSON or as it is.
    #[serde(default)]
    answer: Value,
    text: Option<String>,
    #[serde(default)]
    format: ResponseFormat,
    key: Option<String>,
    #[serde(default)]
    coordinates: Coordinates,
    #[serde(default)]
    label_map: BTreeMap<String, String>,
    #[serde(default)]
    job: CaseJob,
    draft: Option<Value>,
    #[serde(default)]
    skipped: bool,
    code: Option<String>,
    message: Option<String>,
    note: Option<String>,
    /// What was corrected, or seems wrong, by code.
    #[serde(default)]
    remarks: Vec<(NoteCode, String)>,
    #[serde(default)]
    dropped_labels: Vec<LabelCount>,
}

#[derive(Deserialize)]
struct CaseAsset {
    #[serde(rename = "type")]
    kind: AssetType,
    #[serde(flatten)]
    size: Option<Size>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CaseJob {
    confidence_threshold: Option<f64>,
    label_thresholds: BTreeMap<String, f64>,
    labels: Vec<String>,
}

impl Case {
    fn all() -> Vec<Self> {
        CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn reading(&self) -> Reading {
        let usual = Reading::default();
        Reading {
            response_key: self.key.clone().unwrap_or_else(|| usual.response_key.clone()),
            response_format: self.format,
            label_map: self.label_map.clone(),
            coordinates: self.coordinates,
            ..usual
        }
    }

    /// What a worker makes of it: the receipt, and the draft if there is one.
    async fn worked(&self) -> (Receipt, Option<Value>) {
        let (worker, batch) = worker_on(&[Asset { kind: self.asset.kind, size: self.asset.size, ..an_item(0) }]).await;
        let mut job = running();
        job.spec.options.confidence_threshold = self.job.confidence_threshold.unwrap_or(0.5);
        job.spec.options.label_thresholds = self.job.label_thresholds.clone();
        job.spec.wanted = self.job.labels.clone();
        let answer = self.text.clone().unwrap_or_else(|| self.answer.to_string());
        let models = ScriptedModels(ScriptedModel::answering(answer, self.reading()));
        let worker = Worker { store: MemoryJobs::of(job), models, ..worker };

        worker.run(&batch, "a", far()).await.unwrap();

        let receipt = worker.store.committed_receipts().remove(0);
        let mut annotations = None;
        for draft in worker.store.committed_drafts() {
            let kept = match &draft.elsewhere {
                Some(blob) => {
                    let bytes = worker.objects.get_range(&blob.key, blob.offset, blob.length).await.unwrap();
                    blob.read(&bytes).unwrap()
                }
                None => draft.annotations,
            };
            annotations = Some(serde_json::to_value(kept).unwrap());
        }
        (receipt, annotations)
    }
}

/// Contract D28, D29, D30.
#[tokio::test(start_paused = true)]
async fn every_case_of_the_table_comes_to_its_draft_or_its_error() {
    for case in Case::all() {
        let (receipt, draft) = case.worked().await;

        let outcome = if case.skipped {
            "b"
        } else if case.draft.is_some() {
            "s"
        } else {
            "f"
        };
        assert_eq!((receipt.outcomes.as_str(), &draft), (outcome, &case.draft), "{}: {receipt:?}", case.name);
        let failure = receipt.failures.into_iter().next();
        let code = failure.as_ref().map(|failure| serde_json::to_value(failure.code).unwrap());
        assert_eq!(code, case.code.map(Value::from), "{}", case.name);
        assert_eq!(failure.map(|failure| failure.message), case.message, "{}", case.name);
        let note = receipt.notes.into_iter().next();
        assert_eq!(note.map(|note| note.message), case.note, "{}", case.name);
        assert_eq!(receipt.dropped_labels, case.dropped_labels, "{}", case.name);
        let remarks: Vec<_> = receipt.remarks.into_iter().map(|note| (note.code, note.message)).collect();
        assert_eq!(remarks, case.remarks, "{}", case.name);
    }
}

#[test]
fn the_table_has_all_kinds_forms_and_assets_well_and_broken() {
    let cases = Case::all();
    let (good, broken): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.code.is_none());
    let drafted =
        |case: &&Case| case.draft.iter().flat_map(|draft| draft.as_array().unwrap().clone()).collect::<Vec<_>>();
    let kinds: BTreeSet<String> =
        good.iter().flat_map(drafted).map(|annotation| annotation["type"].as_str().unwrap().to_owned()).collect();
    let pairs: BTreeSet<String> = good.iter().map(|case| format!("{:?} {:?}", case.format, case.asset.kind)).collect();

    assert!(cases.len() >= 120 && broken.len() >= 60, "{} cases, {} of them broken", cases.len(), broken.len());
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert_eq!(pairs.len(), 3 + 2 + 2 + 2, "formats in pixels have no point clouds: {pairs:?}");
    for run_lengths in ["\"counts\": [", "\"counts\": \""] {
        assert!(CASES.contains(run_lengths));
    }
}
