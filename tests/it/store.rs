//! The store against DynamoDB's interface: every test runs on two independent implementations of it.
//!
//! Neither is DynamoDB. What one of them gets wrong, the other one seldom gets wrong too; what both cannot show
//! (conflicts between transactions, throttling) is the business of the tests with faults.

mod dynamodb;
mod faulty;
mod golden;
mod making;

/// Runs tests, each a function of an empty store, on both implementations. A test that is not named here is dead
/// code, which clippy refuses.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod on_ministack {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::dynamodb::ministack().await).await;
            })+
        }
        mod on_moto {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::dynamodb::moto().await).await;
            })+
        }
    };
}

/// Runs tests of [`on_both`] on the fake that the functions' own tests use: it has the rules of the table once more, and this
/// holds it to them (docs/decisions/0029).
macro_rules! in_memory_too {
    ($($test:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(shared::testing::MemoryJobs::default()).await;
            })+
        }
    };
}

mod exports;
mod imports;
mod items;
mod jobs;
mod ledger;
mod recover;
mod requests;
mod review;
mod review_queue;
mod tenants;
mod upload_backlog;
mod uploads;
mod webhooks;
