//! What the benches drive the functions' real binaries with: no AWS, no emulator, and nothing that is a bottleneck.

pub mod dynamodb;
pub mod http1;
pub mod model;
pub mod runtime;
pub mod s3;
pub mod server;

use std::thread;
use std::time::Duration;

/// Waits so long, to a tenth of a millisecond: tokio's own timer rounds up to whole ones, 2 % of what a quick model takes.
pub(crate) async fn late(time: Duration) {
    if !time.is_zero() {
        // Ends as it began: a sleep does not panic.
        let _ = tokio::task::spawn_blocking(move || thread::sleep(time)).await;
    }
}
