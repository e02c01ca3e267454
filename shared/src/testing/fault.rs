use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::Error;

/// Makes one call of several fail. A handler must survive it at every one of its calls.
#[derive(Debug, Default)]
pub struct Fault {
    /// Which call, counted from 1 over all ports that share the fault; 0: none.
    at: usize,
    /// The call has its effect, and its answer is lost.
    answer_lost: bool,
    calls: AtomicUsize,
}

impl Fault {
    /// The call of this number fails.
    #[must_use]
    pub fn at(call: usize, answer_lost: bool) -> Self {
        Self { at: call, answer_lost, calls: AtomicUsize::new(0) }
    }

    /// Whether the call was made.
    pub fn struck(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.at
    }

    /// Makes a call, or fails it.
    ///
    /// # Errors
    /// What `effect` answers, or the fault.
    pub fn around<T>(&self, effect: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let strikes = self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.at;
        if strikes && !self.answer_lost {
            return Err(Error::StoreUnavailable("a fault of the test".into()));
        }
        let answer = effect()?;
        if strikes { Err(Error::StoreUnavailable("an answer lost by the test".into())) } else { Ok(answer) }
    }
}
