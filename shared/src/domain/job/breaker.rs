//! The breaker: a job whose first items all fail alike is not worth the rest.

use crate::domain::job::failure::{Failure, FailureCode};
use crate::domain::job::outcome::Outcome;

/// Items that must have failed alike. A job with fewer is never ended by it.
pub const ITEMS: u32 = 20;

/// Counts the first failures of a worker's items that are all alike.
#[derive(Clone, Debug)]
pub struct Breaker {
    /// The first failure, and how many there were like it; `None`: there was something else.
    alike: Option<(Option<Failure>, u32)>,
}

impl Breaker {
    /// `in_vain`: no item of the job has succeeded or was skipped so far.
    #[must_use]
    pub const fn new(in_vain: bool) -> Self {
        Self { alike: if in_vain { Some((None, 0)) } else { None } }
    }

    /// Takes the outcome of an item. `Some` once [`ITEMS`] have failed alike and none had another outcome.
    pub fn record(&mut self, outcome: &Outcome) -> Option<&Failure> {
        // The model was not called: this is no sign of its state.
        if matches!(outcome, Outcome::Failed(failure) if failure.code == FailureCode::FileUnreadable) {
            return None;
        }
        self.alike = match (self.alike.take(), outcome) {
            (Some((None, _)), Outcome::Failed(failure)) => Some((Some(failure.clone()), 1)),
            (Some((Some(first), count)), Outcome::Failed(failure)) if first.is_like(failure) => {
                Some((Some(first), count + 1))
            }
            _ => None,
        };
        self.alike.as_ref().filter(|(_, count)| *count >= ITEMS).and_then(|(first, _)| first.as_ref())
    }

    /// Items of another worker have succeeded: from now on nothing is counted.
    pub fn rest(&mut self) {
        self.alike = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::outcome::SkipReason;
    use crate::domain::prediction::draft::Draft;

    fn failed(message: &str) -> Outcome {
        Outcome::Failed(Failure::new(FailureCode::ModelError, message))
    }

    /// After how many of these it breaks.
    fn breaks_after(in_vain: bool, outcomes: impl IntoIterator<Item = Outcome>) -> Option<usize> {
        let mut breaker = Breaker::new(in_vain);
        outcomes.into_iter().position(|outcome| breaker.record(&outcome).is_some()).map(|before| before + 1)
    }

    #[test]
    fn twenty_first_failures_alike_break_and_nothing_less() {
        let all = || std::iter::repeat_with(|| failed("no")).take(100);

        assert_eq!(breaks_after(true, all()), Some(20));
        assert_eq!(breaks_after(true, all().take(19)), None);
        assert_eq!(breaks_after(false, all()), None, "others have succeeded");
        for other in
            [failed("another"), Outcome::Skipped(SkipReason::BelowThreshold), Outcome::Successful(Draft::default())]
        {
            for position in [0, 10, 19] {
                let outcomes = all().take(position).chain([other.clone()]).chain(all());
                assert_eq!(breaks_after(true, outcomes), None, "{other:?} at {position}");
            }
        }
    }

    #[test]
    fn the_models_words_may_differ() {
        let failed = |n: u32| Failure {
            particulars: Some(format!("Request {n}.")),
            ..Failure::new(FailureCode::ModelError, "no")
        };
        assert_eq!(breaks_after(true, (0..100).map(|n| Outcome::Failed(failed(n)))), Some(20));
    }

    #[test]
    fn files_that_cannot_be_read_neither_count_nor_absolve_the_model() {
        let missing = || Outcome::Failed(Failure::new(FailureCode::FileUnreadable, "The file was not uploaded yet."));

        assert_eq!(breaks_after(true, std::iter::repeat_with(missing).take(100)), None);
        let outcomes = (0..100).map(|n| if n % 2 == 0 { missing() } else { failed("no") });
        assert_eq!(breaks_after(true, outcomes), Some(40));
    }
}
