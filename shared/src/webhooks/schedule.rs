use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::id::DeliveryUid;

/// The part of a delay by which it may be shorter or longer, so that deliveries that failed together are not retried together.
const JITTER: f64 = 0.1;

/// When a delivery that was not accepted is tried again (contract, D23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    delays: Vec<Duration>,
}

impl Schedule {
    /// One attempt at once, and one more after each of these.
    #[must_use]
    pub fn of_seconds(delays: Vec<u64>) -> Self {
        Self { delays: delays.into_iter().map(Duration::from_secs).collect() }
    }

    /// The delay after this many failed attempts; `None`: give up.
    ///
    /// The jitter comes from the delivery's uid: a repeated decision is the same.
    #[must_use]
    pub fn delay(&self, delivery: DeliveryUid, failed: u32) -> Option<Duration> {
        let delay = self.delays.get(usize::try_from(failed).ok()?.checked_sub(1)?)?;
        let dice = Sha256::digest(format!("{delivery}#{failed}"));
        let fraction = f64::from(u16::from_be_bytes([dice[0], dice[1]])) / f64::from(u16::MAX);
        Some(delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * fraction))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Timestamp;

    fn a_delivery(second: i64) -> DeliveryUid {
        DeliveryUid::at(Timestamp::from_second(second).unwrap())
    }

    /// Contract D23.
    #[test]
    fn six_attempts_and_no_more() {
        let schedule = Schedule::of_seconds(vec![60, 300, 900, 3_600, 10_800]);

        let tried: Vec<bool> = (0..8).map(|failed| schedule.delay(a_delivery(1), failed).is_some()).collect();
        assert_eq!(tried, [false, true, true, true, true, true, false, false]);
    }

    proptest! {
        /// Contract D23.
        #[test]
        fn a_delay_is_off_by_a_tenth_at_most(second in 1i64..1_000_000, seconds in 1u64..100_000) {
            let delay = Schedule::of_seconds(vec![seconds]).delay(a_delivery(second), 1).unwrap().as_secs_f64();

            prop_assert!((0.9 * seconds as f64 - 0.001..=1.1 * seconds as f64 + 0.001).contains(&delay), "{delay}");
        }
    }

    /// Contract D23.
    #[test]
    fn deliveries_do_not_come_back_together() {
        let schedule = Schedule::of_seconds(vec![3_600]);
        let delays: std::collections::BTreeSet<Duration> =
            (0..20).filter_map(|second| schedule.delay(a_delivery(second), 1)).collect();

        assert!(delays.len() > 15);
    }
}
