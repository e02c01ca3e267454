use std::sync::{Mutex, PoisonError};

use crate::domain::Error;
use crate::domain::id::JobUid;
use crate::ports::Executions;

/// Executions in memory.
#[derive(Debug, Default)]
pub struct MemoryExecutions {
    running: Mutex<Vec<JobUid>>,
}

impl MemoryExecutions {
    /// With this one running.
    #[must_use]
    pub fn running(job: JobUid) -> Self {
        Self { running: Mutex::new(vec![job]) }
    }
}

impl Executions for MemoryExecutions {
    async fn start(&self, job: JobUid) -> Result<(), Error> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(job);
        Ok(())
    }

    async fn stop(&self, job: JobUid) -> Result<(), Error> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).retain(|running| *running != job);
        Ok(())
    }

    async fn is_running(&self, job: JobUid) -> Result<bool, Error> {
        Ok(self.running.lock().unwrap_or_else(PoisonError::into_inner).contains(&job))
    }
}
