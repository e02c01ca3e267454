//! Golden messages: what an earlier version put on a queue, into a manifest or into the state machine must still be read, and
//! has the same bytes when this version writes it. `store::golden` has the same for the rows of the table.

use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::domain::item::Asset;
use shared::domain::job::plan::{Batch, Plan};
use shared::queue::{DeliveryMessage, ExportMessage, ImportMessage, UploadMessage};

use crate::repository;

fn golden(kind: &str) -> Vec<String> {
    let text = fs::read_to_string(repository("tests/it/golden/messages.json")).unwrap();
    let kinds: Value = serde_json::from_str(&text).unwrap();
    let messages = kinds[kind].as_array().unwrap();
    messages.iter().map(|message| message.as_str().unwrap().to_owned()).collect()
}

/// What the messages say.
fn read_and_write<T: Serialize + DeserializeOwned>(kind: &str) -> Vec<T> {
    let read = |message: &String| {
        let read: T = serde_json::from_str(message).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), *message);
        read
    };
    golden(kind).iter().map(read).collect()
}

#[test]
fn golden_messages_of_before_still_read() {
    let deliveries: Vec<DeliveryMessage> = read_and_write("webhook_queue");
    assert!(matches!(deliveries[0], DeliveryMessage::V1 { organization: None, hops: 0, .. }));
    assert!(matches!(deliveries[2], DeliveryMessage::V1 { organization: Some(_), hops: 3, .. }));
    let uploads: Vec<UploadMessage> = read_and_write("upload_queue");
    assert!(matches!(uploads[1], UploadMessage::V1 { hops: 2, .. }));
    assert!(matches!(&uploads[2], UploadMessage::RoundV1 { after } if after.starts_with("0001700000070000000#")));
    let steps: Vec<ExportMessage> = read_and_write("export_queue");
    assert_eq!(steps.len(), 1);
    let imports: Vec<ImportMessage> = read_and_write("import_queue");
    assert_eq!(imports.len(), 1);
    let assets: Vec<Asset> = read_and_write("manifest_lines");
    assert_eq!((assets[0].changes, assets[1].changes, assets[2].size), (0, 2, None));
}

#[test]
fn the_plan_is_handed_to_the_state_machine_as_before() {
    let batches: Vec<Batch> = read_and_write("batches");
    let plan = Plan { job: batches[0].job, workers: 1, batches, truncated: false, note: None };

    let answers = [plan.clone().inline(), plan.listed("jobs/j/batches.json".into())];

    let written = answers.map(|answer| serde_json::to_string(&answer).unwrap());
    assert_eq!(written.as_slice(), golden("plan_answers"));
}
