//! The protocol of files, checked state by state (ARCHITECTURE.md, "The protocol, checked"): I1, I3, I12, and that no upload is
//! missed, however late, often and out of order events come; and each of the conditions in the table is needed for it.

use std::time::Instant;

use protocol::files::{Begin, Guards, Protocol, World};
use stateright::{Checker, HasDiscoveries, Model};

const THREADS: usize = 2;

/// Files change while a job of the API plans, asks and commits.
const JOB: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { jobs: 1, crashes: 1, overwrites: 1, repeats: 1, accepts: 1, skews: 1, ..World::NONE },
    begin: [Begin::Unheard, Begin::Waiting],
    labels_uploads: false,
    index_lags: true,
};
/// Files of drafts are written over by the same bytes, by other ones and by ones that cannot be read.
const DRAFTS: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { overwrites: 1, rewrites: 1, unreadable: 1, crashes: 1, repeats: 1, accepts: 1, ..World::NONE },
    begin: [Begin::Drafted, Begin::Absent],
    labels_uploads: false,
    index_lags: false,
};
/// They are deleted and written again.
const DELETIONS: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { jobs: 1, overwrites: 1, uploads: 1, deletions: 1, repeats: 1, ..World::NONE },
    begin: [Begin::Drafted, Begin::Absent],
    labels_uploads: false,
    index_lags: false,
};
/// They are deleted and come back as they were.
const RESTORED: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { jobs: 1, rewrites: 2, deletions: 1, repeats: 1, accepts: 1, ..World::NONE },
    begin: [Begin::Drafted, Begin::Waiting],
    labels_uploads: false,
    index_lags: false,
};
/// Jobs by uploads, and the watch over what waits for them.
const UPLOADS: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { uploads: 2, crashes: 1, repeats: 1, ..World::NONE },
    begin: [Begin::Absent, Begin::Absent],
    labels_uploads: true,
    index_lags: true,
};
/// The same, with a file that changes, events that come again, and a model that sees nothing.
const CHANGING_UPLOADS: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { uploads: 1, overwrites: 1, repeats: 1, blanks: 1, crashes: 1, ..World::NONE },
    begin: [Begin::Absent, Begin::Waiting],
    labels_uploads: true,
    index_lags: false,
};
/// Jobs by uploads and one of the API, over an upload and an item that a call has added.
const BOTH_KINDS: Protocol = Protocol {
    guards: Guards::ALL,
    world: World { jobs: 1, uploads: 1, crashes: 1, blanks: 1, ..World::NONE },
    begin: [Begin::Absent, Begin::Unheard],
    labels_uploads: true,
    index_lags: false,
};

fn assert_holds(name: &str, model: Protocol) {
    let begun = Instant::now();
    let checker = model.checker().threads(THREADS).spawn_bfs().join();

    println!(
        "{name}: {} states, {} of them different, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        begun.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

#[test]
fn no_work_is_lost_to_files_that_change() {
    assert_holds("files, drafts", DRAFTS);
    assert_holds("files, deletions", DELETIONS);
    assert_holds("files, deleted and restored", RESTORED);
    assert_holds("files, a job", JOB);
}

#[test]
fn no_upload_is_missed() {
    assert_holds("files, uploads", UPLOADS);
    assert_holds("files, uploads that change", CHANGING_UPLOADS);
    assert_holds("files, both kinds of jobs", BOTH_KINDS);
}

/// Each condition taken away alone: the checker finds what it is for.
#[test]
fn no_condition_can_be_left_out() {
    const TWICE: &str = "I1 an item is planned once";
    const MISSED: &str = "no upload is missed";
    const WITHDRAWN: &str = "I12 a draft goes only with its bytes";
    const STALE: &str = "a draft is of the bytes that are there";
    const PERSON: &str = "I3 never over a person's work";
    let cases = [
        (JOB, Guards { until: false, ..Guards::ALL }, TWICE),
        (JOB, Guards { held: false, ..Guards::ALL }, TWICE),
        (JOB, Guards { once: false, ..Guards::ALL }, TWICE),
        (JOB, Guards { changes: false, ..Guards::ALL }, STALE),
        (DRAFTS, Guards { withdraw: false, ..Guards::ALL }, STALE),
        (DRAFTS, Guards { newer: false, ..Guards::ALL }, "every change of a file is known"),
        (DRAFTS, Guards { as_read: false, ..Guards::ALL }, PERSON),
        (DRAFTS, Guards { drafts_only: false, ..Guards::ALL }, PERSON),
        (DRAFTS, Guards { same_bytes: false, ..Guards::ALL }, WITHDRAWN),
        (DRAFTS, Guards { unreadable: false, ..Guards::ALL }, WITHDRAWN),
        (CHANGING_UPLOADS, Guards { moves: false, ..Guards::ALL }, MISSED),
        (CHANGING_UPLOADS, Guards { taken: false, ..Guards::ALL }, "an upload is taken once"),
        (UPLOADS, Guards { count_again: false, ..Guards::ALL }, MISSED),
        (UPLOADS, Guards { as_counted: false, ..Guards::ALL }, MISSED),
        (UPLOADS, Guards { pause: false, ..Guards::ALL }, MISSED),
        (UPLOADS, Guards { settled: false, ..Guards::ALL }, MISSED),
        (UPLOADS, Guards { soon: false, ..Guards::ALL }, MISSED),
        (UPLOADS, Guards { taken_at_start: false, ..Guards::ALL }, MISSED),
    ];
    for (model, guards, broken) in cases {
        let found = HasDiscoveries::AllOf([broken].into());
        let checker = Protocol { guards, ..model }.checker().threads(THREADS).finish_when(found).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{broken} holds without {guards:?}");
    }
}
