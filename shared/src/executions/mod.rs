//! Step Functions: the executions that carry jobs.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::ExecutionStatus;

use crate::domain::Error;
use crate::domain::id::JobUid;
use crate::ports::Executions;
use crate::sdk::{self, LazyClient};

/// A client of the state machine.
#[derive(Clone, Debug)]
pub struct StateMachine {
    client: LazyClient<Client>,
    arn: String,
}

impl StateMachine {
    /// The state machine of this ARN.
    #[must_use]
    pub fn new(client: impl Into<LazyClient<Client>>, arn: impl Into<String>) -> Self {
        Self { client: client.into(), arn: arn.into() }
    }

    /// An execution's ARN is the machine's, another word, and the execution's name (AWS, "ARNs for Step Functions").
    fn execution_arn(&self, job: JobUid) -> String {
        format!("{}:{job}", self.arn.replacen(":stateMachine:", ":execution:", 1))
    }
}

impl Executions for StateMachine {
    async fn start(&self, job: JobUid) -> Result<(), Error> {
        let input = format!("{{\"job\":\"{job}\"}}");
        let request = self.client.start_execution().state_machine_arn(&self.arn).name(job.to_string()).input(input);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_already_exists()) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }

    async fn stop(&self, job: JobUid) -> Result<(), Error> {
        match self.client.stop_execution().execution_arn(self.execution_arn(job)).send().await {
            Ok(_) => Ok(()),
            // The ARN is well-formed: the only thing that is not valid is to stop an execution that is over.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_execution_does_not_exist() || e.is_validation_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(classify(error)),
        }
    }

    async fn is_running(&self, job: JobUid) -> Result<bool, Error> {
        match self.client.describe_execution().execution_arn(self.execution_arn(job)).send().await {
            Ok(execution) => {
                Ok(matches!(execution.status(), ExecutionStatus::Running | ExecutionStatus::PendingRedrive))
            }
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => Ok(false),
            Err(error) => Err(classify(error)),
        }
    }
}

fn classify<E>(error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    sdk::classify(error, Error::ExecutionsUnavailable)
}
