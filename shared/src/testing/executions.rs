use std::sync::Mutex;

use crate::domain::Error;
use crate::domain::id::JobUid;
use crate::ports::Executions;
use crate::testing::lock;

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
        lock(&self.running).push(job);
        Ok(())
    }

    async fn stop(&self, job: JobUid) -> Result<(), Error> {
        lock(&self.running).retain(|running| *running != job);
        Ok(())
    }

    async fn is_running(&self, job: JobUid) -> Result<bool, Error> {
        Ok(lock(&self.running).contains(&job))
    }
}
