use std::fmt;

use lambda_runtime::Diagnostic;
use tracing::error;

use crate::domain::{Error, ErrorCode};

/// An error as a state machine sees it: by the name that its rules match. Without this a boxed error reaches ASL
/// under the name of a Rust type, which no rule can match.
pub struct TaskError(Error);

/// The runtime logs a failed task with `Debug`, and a cause may hold a whole answer: the name is all it gets (I11).
impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code().facts().task_error)
    }
}

impl From<Error> for TaskError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<TaskError> for Diagnostic {
    fn from(TaskError(error): TaskError) -> Self {
        let facts = error.code().facts();
        // This line alone has the causes.
        error!(code = facts.task_error, causes = causes(&error), "task failed");
        Self { error_type: facts.task_error.into(), error_message: error.to_string() }
    }
}

/// What the log may have of an error. The sentence of a refusal may quote the model, whose words are the organization's alone
/// (docs/decisions/0034).
fn causes(error: &Error) -> Option<String> {
    (error.code() != ErrorCode::ProviderRefused).then(|| error.chain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_words_are_for_the_job_and_not_for_the_log() {
        let refused = || Error::ProviderRefused("The model's words: \"CUDA out of memory\".".into());
        assert_eq!(causes(&refused()), None);
        let Diagnostic { error_type, error_message } = TaskError::from(refused()).into();
        assert_eq!((&*error_type, error_message), ("ProviderRefused", refused().to_string()));
        assert_eq!(format!("{:?}", TaskError::from(refused())), "ProviderRefused");
    }

    #[test]
    fn the_causes_of_other_errors_are_for_the_log_alone() {
        let broken = || Error::StoreUnavailable("connection reset".into());
        assert_eq!(causes(&broken()).as_deref(), Some("The service is busy. Try again.: connection reset"));
        let Diagnostic { error_message, .. } = TaskError::from(broken()).into();
        assert_eq!(error_message, "The service is busy. Try again.");
    }
}
