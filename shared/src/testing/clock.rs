use std::sync::Mutex;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::ports::Clock;
use crate::testing::lock;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct StoppedClock(Mutex<Timestamp>);

impl StoppedClock {
    /// Stands at this second of the Unix epoch.
    ///
    /// # Panics
    /// Past the year 9999.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "for tests")]
    pub fn at(second: i64) -> Self {
        Self(Mutex::new(Timestamp::from_second(second).unwrap()))
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let mut now = lock(&self.0);
        *now += time;
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        *lock(&self.0)
    }
}
