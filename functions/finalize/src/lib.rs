//! Finalize: the state machine's last task. It settles the job with what its workers have committed.

use serde::{Deserialize, Serialize};
use shared::domain::id::JobUid;
use shared::domain::job_status::JobStatus;
use shared::domain::{Error, ErrorCode};
use shared::ports::{Clock, Jobs, Ledger, Queue, Webhooks};
use shared::services::settle::settle;
use tracing::info;

/// Errors whose text was written for users.
const FOR_USERS: [ErrorCode; 2] = [ErrorCode::ProviderRefused, ErrorCode::BatchStuck];

/// The task's input: the plan's answer or the execution's input, and the error that a `Catch` added.
#[derive(Debug, Deserialize)]
pub struct Input {
    job: JobUid,
    error: Option<Caught>,
}

/// The error that a `Catch` writes (AWS, "Handling errors in Step Functions workflows").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Caught {
    error: String,
    #[serde(default)]
    cause: String,
}

/// The output of the task, and so of the execution.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    job: JobUid,
    status: JobStatus,
}

/// The content of `Cause`, as Lambda writes it (AWS, "Lambda function errors in Rust").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaCause {
    error_message: String,
}

impl Caught {
    /// A sentence for users. Of an error whose text is not for users it has the name alone.
    fn sentence(&self) -> String {
        if FOR_USERS.iter().any(|code| self.error == code.facts().task_error)
            && let Ok(LambdaCause { error_message }) = serde_json::from_str(&self.cause)
        {
            return error_message;
        }
        format!(
            "The job was stopped by an internal problem ({}). What is labeled stays; start another job for the rest.",
            self.error
        )
    }
}

/// Settles the job.
///
/// # Errors
/// See [`settle`].
pub async fn finalize<S: Jobs + Ledger + Webhooks>(
    store: &S,
    queue: &impl Queue,
    clock: &impl Clock,
    input: Input,
) -> Result<Output, Error> {
    let problem = input.error.as_ref().map(Caught::sentence);
    let status = settle(store, store, queue, clock, input.job, problem.as_deref()).await?;
    info!(job.uid = %input.job, %status, "job settled");
    Ok(Output { job: input.job, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(error: &str, cause: &str) -> Caught {
        Caught { error: error.into(), cause: cause.into() }
    }

    const GOLDEN: &str = include_str!("../../../tests/it/golden/messages.json");

    #[test]
    fn golden_inputs_of_before_still_read() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let inputs = golden["finalize_inputs"].as_array().unwrap().iter();
        let inputs: Vec<Input> = inputs.map(|input| serde_json::from_str(input.as_str().unwrap()).unwrap()).collect();

        let sentences: Vec<Option<String>> =
            inputs.iter().map(|input| Some(input.error.as_ref()?.sentence())).collect();
        assert_eq!((&sentences[0], sentences[1].as_deref()), (&None, Some("No endpoint.")));
        assert!(sentences[2].as_ref().unwrap().contains("(States.Timeout)"));
        let output = Output { job: inputs[0].job, status: JobStatus::Completed };
        assert_eq!(Some(serde_json::to_string(&output).unwrap().as_str()), golden["finalize_answer"].as_str());
    }

    #[test]
    fn only_sentences_for_users_reach_users() {
        let refused = caught(
            "ProviderRefused",
            r#"{"errorType":"ProviderRefused","errorMessage":"SageMaker endpoint \"x\" does not exist."}"#,
        );
        assert_eq!(refused.sentence(), "SageMaker endpoint \"x\" does not exist.");
        let stuck = caught("BatchStuck", r#"{"errorType":"BatchStuck","errorMessage":"The model is too slow."}"#);
        assert_eq!(stuck.sentence(), "The model is too slow.");

        let internal = caught("InternalError", r#"{"errorType":"InternalError","errorMessage":"secret"}"#);
        assert!(internal.sentence().contains("(InternalError)") && !internal.sentence().contains("secret"));
    }
}
