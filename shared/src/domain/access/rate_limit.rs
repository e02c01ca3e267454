//! Rate limits: how many requests a caller may make, and the headers of each response about it (contract, 3.3).
//!
//! Windows are fixed: the minutes and the seconds of the clock. A request counts in both, and is refused if it is one too
//! many in either. A refused request counts too, except where `http::throttle` refuses it without a call of the table.

use std::net::{IpAddr, Ipv6Addr};

use serde::Deserialize;

use crate::domain::access::api_key::KeyHash;
use crate::domain::{Error, Timestamp};

const MINUTE: i64 = 60;

/// The caller whose requests are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Requester {
    /// By its key, if that is valid.
    Key(KeyHash),
    /// By its address, without one.
    Address(IpAddr),
}

impl Requester {
    /// An address. Of IPv6 the /64 network: its holder has all of its addresses.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => v6
                .to_ipv4_mapped()
                .map_or_else(|| IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))), IpAddr::V4),
        })
    }
}

/// How many requests a caller may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RateLimit {
    /// In a minute of the clock.
    pub per_minute: u32,
    /// In a second of the clock: the burst.
    pub per_second: u32,
}

/// Requests that were counted in the minute and the second of a moment, the last one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In the minute.
    pub minute: u32,
    /// In the second.
    pub second: u32,
}

/// The state of a caller's limit, for the headers of each response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests in a minute.
    pub limit: u32,
    /// Of these, how many are left.
    pub remaining: u32,
    /// When the minute ends, Unix seconds.
    pub resets_at: i64,
    refused_until: Option<i64>,
}

impl RateLimit {
    /// The state after this usage.
    #[must_use]
    pub fn status(self, usage: Usage, now: Timestamp) -> RateLimitStatus {
        let second = now.as_second();
        let resets_at = (second.div_euclid(MINUTE) + 1) * MINUTE;
        let refused_until = if usage.minute > self.per_minute {
            Some(resets_at)
        } else {
            (usage.second > self.per_second).then_some(second + 1)
        };
        RateLimitStatus {
            limit: self.per_minute,
            remaining: self.per_minute.saturating_sub(usage.minute),
            resets_at,
            refused_until,
        }
    }
}

impl RateLimitStatus {
    /// # Errors
    /// `Throttled` if the request is one too many.
    pub fn check(&self, now: Timestamp) -> Result<(), Error> {
        let wait = self.refused_until.map_or(0, |end| end - now.as_second());
        u32::try_from(wait).ok().filter(|wait| *wait > 0).map_or(Ok(()), |seconds| Err(Error::Throttled { seconds }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { per_minute: 100, per_second: 20 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn status(minute: u32, second: u32) -> RateLimitStatus {
        LIMIT.status(Usage { minute, second }, at(90))
    }

    #[test]
    fn what_is_left_is_counted_down_to_the_end_of_the_minute() {
        for (used, left) in [(0, 100), (1, 99), (100, 0), (101, 0)] {
            let RateLimitStatus { limit, remaining, resets_at, .. } = status(used, 1);
            assert_eq!((limit, remaining, resets_at), (100, left, 120));
        }
    }

    #[test]
    fn the_last_request_of_a_minute_is_served_and_the_next_one_waits_for_its_end() {
        assert!(status(100, 20).check(at(90)).is_ok());
        assert!(matches!(status(101, 1).check(at(90)), Err(Error::Throttled { seconds: 30 })));
        assert!(matches!(status(101, 1).check(at(119)), Err(Error::Throttled { seconds: 1 })));
        assert!(status(101, 1).check(at(120)).is_ok());
    }

    #[test]
    fn a_burst_waits_for_the_next_second() {
        assert!(matches!(status(21, 21).check(at(90)), Err(Error::Throttled { seconds: 1 })));
        assert!(status(21, 21).check(at(91)).is_ok());
        assert!(matches!(status(101, 21).check(at(90)), Err(Error::Throttled { seconds: 30 })));
    }

    #[test]
    fn addresses_of_one_network_are_one_requester() {
        let of = |text: &str| Requester::at(text.parse().unwrap());

        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
