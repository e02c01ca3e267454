//! What of its patience an item has used up, and which failures count against it (docs/decisions/0025).

use std::time::Duration;

use shared::domain::provider::pace::Sign;
use tokio::time::Instant;

use crate::ask::LONGEST;

/// Calls about an item that may fail for what may pass (contract, D26).
pub(crate) const TRIES: u32 = 3;
/// An item that has taken this long is not tried again: there is time for three timeouts of the usual 30 seconds, for two of
/// SageMaker's 60.
const RETRY_WITHIN: Duration = Duration::from_secs(75);
/// Refusals of an item that this worker's own calls may be the reason of: a crowd that fills an endpoint takes four or five to
/// sort itself out. After that it is the item.
const CROWDED: u32 = 8;
/// The last item of a batch, when the endpoint has answered others: with nothing else to ask, an item that the model breaks
/// down at looks like an endpoint that is away.
const LAST_ITEM: Duration = Duration::from_secs(120);

/// The calls about one item.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// Calls that count against the item.
    failed: u32,
    /// Calls without an answer that do not.
    forgiven: u32,
    /// Calls without an answer since the endpoint answered another item.
    in_vain: u32,
    /// Of the endpoint's time, by calls that count.
    spent: Duration,
    /// Answers that the endpoint had given to other items at the last failure, or when the first call began.
    seen: u64,
    /// The endpoint answered other items between two failures of this one.
    stands_out: bool,
    first_failure: Option<Instant>,
}

/// How a call without an answer looks from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Miss {
    pub(crate) sign: Sign,
    /// It says something about the endpoint.
    pub(crate) of_endpoint: bool,
    /// It was the only one in flight, from its begin to its end, and no other may begin beside it now.
    pub(crate) alone: bool,
    /// Answers that the endpoint has given by now.
    pub(crate) answers: u64,
    /// Every other item at hand stands out: there is none to tell the endpoint by.
    pub(crate) only_suspects: bool,
    /// There is no other item at hand, and the endpoint has served this job.
    pub(crate) last: bool,
    /// The batch is this item, and the endpoint has had the time that it may take to wake up.
    pub(crate) single: bool,
}

impl Tries {
    pub(crate) fn left(&self) -> Duration {
        LONGEST.saturating_sub(self.spent)
    }

    /// Whether that was the last one.
    pub(crate) const fn are_over(&self) -> bool {
        self.failed >= TRIES || self.spent.as_secs() >= RETRY_WITHIN.as_secs()
    }

    /// Failures for which the next call is to wait: a crowd's are one.
    pub(crate) const fn failures(&self) -> u32 {
        if self.forgiven > 0 { self.failed + 1 } else { self.failed }
    }

    pub(crate) const fn in_vain(&self) -> u32 {
        self.in_vain
    }

    pub(crate) const fn stands_out(&self) -> bool {
        self.stands_out
    }

    /// Whether the item has not been at the endpoint yet.
    pub(crate) const fn is_first(&self) -> bool {
        self.first_failure.is_none()
    }

    /// Whether it has been turned away so often among others that this says nothing about the endpoint any more.
    pub(crate) const fn is_beyond_the_crowd(&self) -> bool {
        self.forgiven >= CROWDED
    }

    /// A call begins, after so many answers of the endpoint.
    pub(crate) const fn begin(&mut self, answers: u64) {
        if self.is_first() {
            self.seen = answers;
        } else if answers > self.seen {
            self.stands_out = true;
            self.in_vain = 0;
        }
    }

    /// It failed before it was at the endpoint.
    pub(crate) const fn count(&mut self) {
        self.failed += 1;
    }

    /// A call that took so long got no answer. It counts against the item if the endpoint was there all the same: it has answered
    /// others since the last failure, or it is known that it did before.
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
