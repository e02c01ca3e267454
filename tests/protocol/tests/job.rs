//! The protocol of a job, checked state by state (ARCHITECTURE.md, "The protocol, checked"): I1 to I7 hold whatever dies, and
//! each of the conditions in the table is needed for it.

use std::time::Instant;

use protocol::job::{Guards, Protocol, World};
use stateright::{Checker, HasDiscoveries, Model};

const THREADS: usize = 2;

/// Two creates, one cancel, two deaths, one person.
const CREATES: World = World { creates: 2, crashes: 2, cancels: 1, labels: 1, ..World::NONE };
/// One batch invoked twice, one cancel, two deaths.
const DOUBLE: World = World { creates: 1, crashes: 2, cancels: 1, doubles: 1, ..World::NONE };
/// People review the results of an item while a job runs; one labels it by hand.
const REVIEWS: World = World { creates: 1, labels: 1, verdicts: 3, ..World::NONE };
/// They review one result over and over.
const SECOND_THOUGHTS: World = World { creates: 1, verdicts: 4, ..World::NONE };
/// Lambda has no room, time and again, and nothing else happens.
const NO_ROOM: World = World { creates: 1, throttles: 4, ..World::NONE };
/// The endpoint refuses for good, while another worker is at the same batch, and a process dies.
const REFUSING: World =
    World { creates: 1, crashes: 1, cancels: 1, doubles: 1, throttles: 1, refusals: 1, ..World::NONE };

fn assert_holds(name: &str, world: World) {
    let begun = Instant::now();
    let checker = Protocol { guards: Guards::ALL, world }.checker().threads(THREADS).spawn_bfs().join();

    println!(
        "{name}: {} states, {} of them different, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        begun.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

#[test]
fn the_invariants_hold_in_every_state() {
    assert_holds("job, two creates", CREATES);
    assert_holds("job, a batch invoked twice", DOUBLE);
}

#[test]
fn they_hold_while_people_review_and_reopen() {
    assert_holds("job, reviews", REVIEWS);
    assert_holds("job, second thoughts", SECOND_THOUGHTS);
}

#[test]
fn they_hold_when_lambda_and_the_endpoint_refuse() {
    assert_holds("job, Lambda refuses", NO_ROOM);
    assert_holds("job, the endpoint refuses", REFUSING);
}

/// Each condition taken away alone: the checker finds what it is for.
#[test]
fn no_condition_can_be_left_out() {
    let cases = [
        (DOUBLE, Guards { receipt: false, ..Guards::ALL }, "I2 counters are true"),
        (CREATES, Guards { unlabeled: false, ..Guards::ALL }, "I3 never over a person's work"),
        (CREATES, Guards { unlabeled_by_hand: false, ..Guards::ALL }, "I1 one outcome, one draft"),
        (REVIEWS, Guards { result_as_read: false, ..Guards::ALL }, "I3 never over a person's work"),
        (REVIEWS, Guards { last_result: false, ..Guards::ALL }, "a uid names one result"),
        (SECOND_THOUGHTS, Guards { history_as_read: false, ..Guards::ALL }, "an ETag names one version"),
        // The second line of defence: what has a result has had another one since.
        (
            REVIEWS,
            Guards { reopened_to_unlabeled: false, last_result: false, ..Guards::ALL },
            "I3 never over a person's work",
        ),
        (CREATES, Guards { lock: false, ..Guards::ALL }, "I4 one active job"),
        (CREATES, Guards { outbox: false, ..Guards::ALL }, "I6 every finished job has its event delivered"),
        (CREATES, Guards { status_as_read: false, ..Guards::ALL }, "I5 an end is final"),
        (CREATES, Guards { closed_to_commits: false, ..Guards::ALL }, "I5 nothing puts an end off"),
        (CREATES, Guards { closed_to_plans: false, ..Guards::ALL }, "I5 nothing puts an end off"),
        // The second line of defence: a job that is closed has no late commits.
        (
            DOUBLE,
            Guards { counters_as_read: false, closed_to_commits: false, ..Guards::ALL },
            "I6 the event has the true counters",
        ),
        (CREATES, Guards { cancel_check: false, ..Guards::ALL }, "I7 cancel means stop"),
        (CREATES, Guards { schedule: false, ..Guards::ALL }, "I6 every finished job has its event delivered"),
        (NO_ROOM, Guards { patience: false, ..Guards::ALL }, "I5 refused invocations fail no job"),
        (REFUSING, Guards { refusal_first: false, ..Guards::ALL }, "I1 a chunk is short only of a job that ends"),
    ];
    for (world, guards, broken) in cases {
        let found = HasDiscoveries::AllOf([broken].into());
        let checker = Protocol { guards, world }.checker().threads(THREADS).finish_when(found).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{broken} holds without {guards:?}");
    }
}
