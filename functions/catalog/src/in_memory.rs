//! The function over ports in memory, for its tests.

use std::time::Duration;

use shared::domain::Timestamp;
use shared::domain::item::Source;
use shared::domain::item::source::SourceBuckets;
use shared::ports::{Clock, Files, NoFile};
use shared::testing::{MemoryObjects, MemoryQueue, MemoryReviewQueue, MemoryTenants, MemoryWebhooks, StoppedClock};

use crate::results::tests::Contended;
use crate::{CatalogApi, CatalogPorts};

/// The ports of every test.
pub(crate) struct InMemory;

impl CatalogPorts for InMemory {
    type Store = MemoryTenants;
    type Results = Contended;
    type ReviewQueue = MemoryReviewQueue;
    type Webhooks = MemoryWebhooks;
    type Objects = MemoryObjects;
    type Web = Web;
    type Queue = MemoryQueue;
    type Clock = TickingClock;
}

/// The function without any data, at second 1,000. A test replaces what it is about.
pub(crate) fn in_memory() -> CatalogApi<InMemory> {
    CatalogApi {
        store: MemoryTenants::default(),
        results: Contended::default(),
        review_queue: MemoryReviewQueue::default(),
        webhooks: MemoryWebhooks::default(),
        objects: MemoryObjects::default(),
        web: Web(MemoryObjects::default()),
        queue: MemoryQueue::default(),
        clock: TickingClock::by(Duration::ZERO),
        buckets: SourceBuckets::default(),
        loopback_http: false,
    }
}

/// Files of the web. A URL with `slow` never answers, one with `busy` has no room.
pub(crate) struct Web(pub(crate) MemoryObjects);

impl Files for Web {
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>, NoFile> {
        match source {
            Source::Url(url) if url.contains("slow") => std::future::pending().await,
            Source::Url(url) if url.contains("busy") => Err(NoFile::Busy("The file cannot be read just now.".into())),
            _ => self.0.piece(source, offset, length).await,
        }
    }
}

/// A clock that each reading advances by the same time.
pub(crate) struct TickingClock(pub(crate) StoppedClock, Duration);

impl TickingClock {
    /// From second 1,000 on.
    pub(crate) fn by(tick: Duration) -> Self {
        Self(StoppedClock::at(1_000), tick)
    }
}

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        self.0.pass(self.1);
        self.0.now()
    }
}
