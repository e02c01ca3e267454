//! The Runtime API, held against the client that every function has.

#![expect(clippy::unwrap_used, reason = "all of it is tests")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bench::runtime::{Function, bootstrap};

const TIME: Duration = Duration::from_secs(20);

/// The example that answers with its event: cargo builds it beside the tests.
fn empty() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().with_file_name("examples").join("empty")
}

#[tokio::test]
async fn a_process_answers_one_event_after_the_other() {
    let mut function = Function::start(bootstrap(empty())).await.unwrap();
    for event in ["{\"n\":1}", "{\"n\":2}"] {
        let answer = function.invoke(event, TIME).await.unwrap();
        assert_eq!(answer.result.unwrap(), event);
        assert!(answer.taken < answer.came);
    }
    assert!(function.peak_memory_bytes().unwrap() > 100_000);
    assert!(function.processor_time().unwrap() < TIME);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_answered_with_an_error() {
    let mut function = Function::start(bootstrap(empty())).await.unwrap();
    let error = function.invoke("{", TIME).await.unwrap().result.unwrap_err();
    assert!(String::from_utf8_lossy(&error).contains("errorType"), "{error:?}");
}

#[tokio::test]
async fn a_process_that_ends_is_noticed() {
    let mut function = Function::start(Command::new("/bin/false")).await.unwrap();
    let error = function.invoke("{}", TIME).await.unwrap_err();
    assert!(error.to_string().contains("the process ended"), "{error}");
}
