//! The protocol of a job, checked state by state (design.md, sections 3 and 4): I1–I7 hold whoever dies, and each of the
//! conditions in the table is needed for it.

use std::time::Instant;

use protocol::{Guards, Protocol, World};
use stateright::{Checker, HasDiscoveries, Model};

const THREADS: usize = 2;

/// Two creates, one cancel, two deaths, one person, one batch invoked twice.
const WORLD: World = World { creates: 2, crashes: 2, cancels: 1, labels: 1, doubles: 1 };

#[test]
fn the_invariants_hold_in_every_state() {
    let begun = Instant::now();
    let checker = Protocol { guards: Guards::ALL, world: WORLD }.checker().threads(THREADS).spawn_bfs().join();

    println!(
        "{} states, {} of them different, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        begun.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

/// Each condition taken away alone: the checker finds what it is for.
#[test]
fn no_condition_can_be_left_out() {
    let cases = [
        (Guards { receipt: false, ..Guards::ALL }, "I2 counters tell the truth"),
        (Guards { unlabeled: false, ..Guards::ALL }, "I3 never over a person's work"),
        (Guards { lock: false, ..Guards::ALL }, "I4 one active job"),
        (Guards { outbox: false, ..Guards::ALL }, "I6 every finished job tells"),
        // Either of these would do here; without `closing`, late commits would put the end off.
        (Guards { as_judged: false, closing: false, ..Guards::ALL }, "I6 the event tells the truth"),
        (Guards { cancel_check: false, ..Guards::ALL }, "I7 cancel means stop"),
        (Guards { schedule: false, ..Guards::ALL }, "I6 every finished job tells"),
    ];
    for (guards, broken) in cases {
        let found = HasDiscoveries::AllOf([broken].into());
        let checker =
            Protocol { guards, world: WORLD }.checker().threads(THREADS).finish_when(found).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{broken} holds without {guards:?}");
    }
}
