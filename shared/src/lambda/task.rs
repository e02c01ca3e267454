use std::fmt;

use lambda_runtime::Diagnostic;
use tracing::error;

use crate::domain::Error;

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
        error!(code = facts.task_error, causes = error.chain(), "task failed");
        Self { error_type: facts.task_error.into(), error_message: error.to_string() }
    }
}
