//! Messages of the queue of uploads: S3's events through EventBridge, ends of executions, the schedule, and our own
//! requests to check a project's uploads.

use serde::Deserialize;
use serde_json::Value;
use shared::domain::id::{JobUid, OrganizationUid, ProjectUid};
use shared::domain::item::file_version::Sequence;
use shared::domain::{Error, Timestamp};
use shared::queue::UploadMessage;

/// What a message of the queue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UploadEvent {
    /// An object was written.
    Created(Object),
    /// An object was deleted.
    Deleted(Object),
    /// The execution of a job has ended, however.
    ExecutionEnded(JobUid),
    /// The schedule.
    Tick,
    /// The rest of a round of the schedule.
    Round { after: String },
    /// The uploads of a project may have paused. `hops`: the checks that led to this one.
    CheckDue { organization: OrganizationUid, project: ProjectUid, hops: u32 },
}

/// What S3 says of an object (AWS, "EventBridge event message structure"). Its key comes as it is: unlike those of S3's own
/// notifications, it is not URL-encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) size_bytes: u64,
    pub(crate) etag: String,
    pub(crate) sequence: Sequence,
    pub(crate) at: Timestamp,
    /// What was deleted is one version of several: another one may be there.
    pub(crate) is_version: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Own(UploadMessage),
    EventBridge(EventBridgeEvent),
}

#[derive(Deserialize)]
struct EventBridgeEvent {
    #[serde(rename = "detail-type")]
    kind: String,
    source: String,
    time: Timestamp,
    #[serde(default)]
    detail: Value,
}

#[derive(Deserialize)]
struct ObjectDetail {
    bucket: Bucket,
    object: Described,
    #[serde(rename = "deletion-type", default)]
    deletion_type: String,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Described {
    key: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    etag: String,
    #[serde(rename = "version-id", default)]
    version: Option<String>,
    sequencer: String,
}

#[derive(Deserialize)]
struct ExecutionDetail {
    name: JobUid,
}

impl UploadEvent {
    /// Reads the body of a message.
    ///
    /// # Errors
    /// `Internal`: another try will not read it either.
    pub(crate) fn read(body: &str) -> Result<Self, Error> {
        let event = match serde_json::from_str(body).map_err(|_| unreadable("no message that we know"))? {
            Body::Own(UploadMessage::V1 { organization, project, hops }) => {
                return Ok(Self::CheckDue { organization, project, hops });
            }
            Body::Own(UploadMessage::RoundV1 { after }) => return Ok(Self::Round { after }),
            Body::EventBridge(event) => event,
        };
        match (event.source.as_str(), event.kind.as_str()) {
            ("aws.s3", "Object Created") => event.object().map(Self::Created),
            ("aws.s3", "Object Deleted") => event.object().map(Self::Deleted),
            ("aws.states", _) => {
                let ended: ExecutionDetail =
                    serde_json::from_value(event.detail).map_err(|_| unreadable("no execution of a job"))?;
                Ok(Self::ExecutionEnded(ended.name))
            }
            ("aws.events", _) => Ok(Self::Tick),
            _ => Err(unreadable("an event that this function does not handle")),
        }
    }
}

impl EventBridgeEvent {
    fn object(self) -> Result<Object, Error> {
        let ObjectDetail { bucket, object, deletion_type } =
            serde_json::from_value(self.detail).map_err(|_| unreadable("an event of S3 without its object"))?;
        Ok(Object {
            bucket: bucket.name,
            key: object.key,
            size_bytes: object.size,
            etag: object.etag,
            sequence: Sequence::of(&object.sequencer),
            at: self.time,
            is_version: object.version.is_some() && deletion_type == "Permanently Deleted",
        })
    }
}

fn unreadable(what: &str) -> Error {
    Error::internal(what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As AWS shows it.
    fn created() -> Value {
        json!({
            "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
            "account": "111122223333", "time": "2021-11-12T00:00:00Z", "region": "ca-central-1",
            "resources": ["arn:aws:s3:::bucket"],
            "detail": {
                "version": "0", "bucket": {"name": "bucket"},
                "object": {
                    "key": "projects/x/a+b c%20.jpg", "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184",
                    "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "sequencer": "617f08299329d189"
                },
                "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "1.2.3.4", "reason": "PutObject"
            }
        })
    }

    fn read(body: &Value) -> Result<UploadEvent, Error> {
        UploadEvent::read(&body.to_string())
    }

    #[test]
    fn an_object_is_read_and_its_key_taken_as_it_is() {
        let UploadEvent::Created(object) = read(&created()).unwrap() else { panic!("not created") };

        assert_eq!((object.bucket.as_str(), object.key.as_str()), ("bucket", "projects/x/a+b c%20.jpg"));
        assert_eq!((object.size_bytes, object.is_version), (5, false));
        assert_eq!(object.sequence, Sequence::of("617F08299329D189"));
    }

    #[test]
    fn of_a_deletion_it_is_read_whether_other_versions_may_be_there() {
        let mut deleted = created();
        deleted["detail-type"] = json!("Object Deleted");
        for (kind, version, is_version) in [
            ("Permanently Deleted", json!("v"), true),
            ("Permanently Deleted", json!(null), false),
            ("Delete Marker Created", json!("v"), false),
        ] {
            deleted["detail"]["deletion-type"] = json!(kind);
            deleted["detail"]["object"]["version-id"] = version;
            assert!(
                matches!(read(&deleted).unwrap(), UploadEvent::Deleted(object) if object.is_version == is_version),
                "{kind}"
            );
        }
    }

    #[test]
    fn the_other_messages_are_read() {
        let job = "0192b1c0-0000-7000-8000-00000000000a";
        let ended = json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
            "time": "2021-11-12T00:00:00Z", "detail": {"name": job, "status": "SUCCEEDED"}});
        assert_eq!(read(&ended).unwrap(), UploadEvent::ExecutionEnded(JobUid::parse(job).unwrap()));

        let tick = json!({"detail-type": "Scheduled Event", "source": "aws.events", "time": "2021-11-12T00:00:00Z", "detail": {}});
        assert_eq!(read(&tick).unwrap(), UploadEvent::Tick);

        let (organization, project) = (OrganizationUid::named("acme"), ProjectUid::parse(job).unwrap());
        let own = serde_json::to_value(UploadMessage::V1 { organization, project, hops: 7 }).unwrap();
        assert_eq!(read(&own).unwrap(), UploadEvent::CheckDue { organization, project, hops: 7 });
        let of_before = json!({"V1": {"organization": organization, "project": project}});
        assert_eq!(read(&of_before).unwrap(), UploadEvent::CheckDue { organization, project, hops: 0 });
        let rest = serde_json::to_value(UploadMessage::RoundV1 { after: "position".into() }).unwrap();
        assert_eq!(read(&rest).unwrap(), UploadEvent::Round { after: "position".into() });
    }

    #[test]
    fn what_is_no_message_of_ours_is_refused() {
        let mut without_object = created();
        without_object["detail"]["object"] = json!({"key": 7});
        let mut of_others = created();
        of_others["source"] = json!("my.app");
        for body in [json!("x"), json!({}), json!({"V2": {}}), without_object, of_others] {
            assert!(read(&body).is_err(), "{body}");
        }
        assert!(UploadEvent::read("not JSON").is_err());
    }
}
