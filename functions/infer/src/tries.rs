//! How often an item may still be tried, and which failures count against it (docs/decisions/0025).

use std::time::Duration;

use shared::domain::provider::pace::Sign;
use tokio::time::Instant;

use crate::ask::LONGEST;

/// An item fails with this many calls that count (contract, D26).
pub(crate) const TRIES: u32 = 3;
/// An item whose calls have taken this long is not tried again: three timeouts of the usual 30 seconds, two of SageMaker's 60.
const RETRY_WITHIN: Duration = Duration::from_secs(75);
/// Refusals of an item that may be caused by this worker's other calls: a crowd that fills an endpoint takes four or five to
/// sort itself out. After that the item is the cause.
const CROWDED: u32 = 8;
/// Time for the last item of a batch, when the endpoint has answered others: with no other item left, an item that the model
/// breaks down at cannot be distinguished from an endpoint that is away.
const LAST_ITEM: Duration = Duration::from_secs(120);

/// The calls about one item.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// Calls that count against the item.
    failed: u32,
    /// Calls without an answer that do not.
    forgiven: u32,
    /// Calls without an answer since the endpoint answered another item.
    pub(crate) in_vain: u32,
    /// Time of the calls that count.
    spent: Duration,
    /// Answers that the endpoint had given to other items at the last failure, or when the first call began.
    seen: u64,
    /// The endpoint answered other items between two failures of this one.
    pub(crate) stands_out: bool,
    first_failure: Option<Instant>,
}

/// What is known of a call without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Miss {
    pub(crate) sign: Sign,
    /// It counts for the endpoint's pace.
    pub(crate) of_endpoint: bool,
    /// It was the only one in flight, from its begin to its end, and no other may begin beside it now.
    pub(crate) alone: bool,
    /// Answers that the endpoint has given by now.
    pub(crate) answers: u64,
    /// Every other item at hand stands out: none shows whether the endpoint answers.
    pub(crate) only_suspects: bool,
    /// There is no other item at hand, and the endpoint has served this job.
    pub(crate) last: bool,
    /// The batch is this item alone, and the endpoint has had the time that it may take to start.
    pub(crate) single: bool,
}

impl Tries {
    /// Time that calls may still take.
    pub(crate) fn left(&self) -> Duration {
        LONGEST.saturating_sub(self.spent)
    }

    /// Whether there is no further try.
    pub(crate) const fn are_over(&self) -> bool {
        self.failed >= TRIES || self.spent.as_secs() >= RETRY_WITHIN.as_secs()
    }

    /// All calls about the item that got no answer, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self.failed + self.forgiven {
            1 => "Tried once.".into(),
            calls => format!("Tried {calls} times."),
        }
    }

    /// Failures by which the next call waits. All that do not count are one.
    pub(crate) const fn failures(&self) -> u32 {
        if self.forgiven > 0 { self.failed + 1 } else { self.failed }
    }

    /// Whether no call about the item has failed.
    pub(crate) const fn is_first(&self) -> bool {
        self.first_failure.is_none()
    }

    /// Whether it was refused among others [`CROWDED`] times: further refusals are the item's, not the endpoint's.
    pub(crate) const fn is_beyond_the_crowd(&self) -> bool {
        self.forgiven >= CROWDED
    }

    /// A call begins, when the endpoint has given `answers` answers.
    pub(crate) const fn begin(&mut self, answers: u64) {
        if self.is_first() {
            self.seen = answers;
        } else if answers > self.seen {
            self.stands_out = true;
            self.in_vain = 0;
        }
    }

    /// A try failed before the call.
    pub(crate) const fn count(&mut self) {
        self.failed += 1;
    }

    /// A call got no answer. It counts against the item if the endpoint was there: it has answered others since the item's last
    /// failure, or the item stands out already.
    pub(crate) fn miss(&mut self, miss: Miss, took: Duration) {
        let others_answered = miss.answers > self.seen;
        let again = self.first_failure.is_some();
        self.seen = miss.answers;
        if others_answered {
            self.stands_out |= again;
            self.in_vain = 0;
        }
        self.in_vain += 1;
        let first_failure = *self.first_failure.get_or_insert_with(Instant::now);
        self.stands_out |= !miss.of_endpoint;
        let known_for_it = miss.only_suspects || self.is_beyond_the_crowd();
        let counts = if !miss.of_endpoint || miss.single || (self.stands_out && known_for_it) {
            true
        } else if miss.alone {
            again && others_answered
        } else {
            miss.sign != Sign::TimedOut && self.is_beyond_the_crowd()
        };
        if counts {
            self.failed += 1;
            self.spent += took;
        } else {
            self.forgiven += 1;
        }
        if miss.last && self.failed + self.forgiven >= TRIES && first_failure.elapsed() >= LAST_ITEM {
            self.failed = TRIES;
        }
    }
}
