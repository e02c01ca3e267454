//! The state machine names only errors that we or Lambda raise, and retries exactly those that are worth repeating.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use shared::domain::ErrorCode;

use crate::repository;

/// Errors of an invocation, not of our code, that pass by themselves (AWS, "Handle Lambda service exceptions" and
/// "Understanding retry behavior in Lambda"). `Lambda.Unknown` is a function that ran out of memory or time.
const LAMBDA: [&str; 8] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
];

/// The one of them that is not about the function: the account, or the function's reserve, has no concurrency left.
const THROTTLED: &str = "Lambda.TooManyRequestsException";

/// What is known of a task outside the state machine.
struct Task {
    name: &'static str,
    /// The repeatable errors that it can raise.
    repeatable: &'static [&'static str],
}

const TASKS: [Task; 5] = [
    Task { name: "Plan", repeatable: &["StoreUnavailable", "ObjectsUnavailable"] },
    Task { name: "Infer", repeatable: &["StoreUnavailable", "ObjectsUnavailable", "SecretsUnavailable"] },
    Task { name: "InferDistributed", repeatable: &["StoreUnavailable", "ObjectsUnavailable", "SecretsUnavailable"] },
    Task { name: "Finalize", repeatable: &["StoreUnavailable", "QueueUnavailable"] },
    Task { name: "FailJob", repeatable: &["StoreUnavailable", "QueueUnavailable"] },
];

fn text() -> String {
    std::fs::read_to_string(repository("statemachine.asl.json")).unwrap()
}

fn machine() -> Value {
    serde_json::from_str(&text()).unwrap()
}

/// Every state of the machine, those inside a Map included.
fn states() -> BTreeMap<String, Value> {
    fn collect(states: &Map<String, Value>, all: &mut BTreeMap<String, Value>) {
        for (name, state) in states {
            if let Some(inner) = state["ItemProcessor"]["States"].as_object() {
                collect(inner, all);
            }
            assert!(all.insert(name.clone(), state.clone()).is_none(), "two states are named {name}");
        }
    }
    let mut all = BTreeMap::new();
    collect(machine()["States"].as_object().unwrap(), &mut all);
    all
}

/// The names in `ErrorEquals` of a state's `Retry` or `Catch`, rule by rule.
fn error_names(state: &Value, handler: &str) -> Vec<String> {
    let rules = state[handler].as_array().into_iter().flatten();
    let names = rules.flat_map(|rule| rule["ErrorEquals"].as_array().expect("every rule names errors"));
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Every `(key, value)` of the definition, at any depth.
fn visit(value: &Value, seen: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            seen(key, value);
            visit(value, seen);
        }),
        Value::Array(entries) => entries.iter().for_each(|entry| visit(entry, seen)),
        _ => {}
    }
}

#[test]
fn no_two_errors_have_one_name_in_the_state_machine() {
    let names: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.facts().task_error).collect();

    assert_eq!(names.len(), ErrorCode::ALL.len());
    assert!(names.iter().all(|name| !name.contains('.')), "a name with a dot could be one of AWS's");
}

#[test]
fn every_retried_error_is_one_of_lambda_or_a_repeatable_one_of_ours() {
    let ours = |name: &str| ErrorCode::ALL.iter().map(|code| code.facts()).find(|facts| facts.task_error == name);
    for (state, definition) in states() {
        for name in error_names(&definition, "Retry") {
            let repeatable = ours(&name).is_some_and(|facts| facts.repeatable);
            assert!(repeatable || LAMBDA.contains(&name.as_str()), "{state} retries {name}");
        }
    }
}

#[test]
fn every_caught_error_is_one_that_can_be_raised() {
    for (state, definition) in states() {
        for name in error_names(&definition, "Catch") {
            let known = name == "States.ALL" || ErrorCode::ALL.iter().any(|code| code.facts().task_error == name);
            assert!(known, "{state} catches {name}");
        }
    }
}

#[test]
fn every_task_retries_exactly_the_repeatable_errors_that_it_can_raise() {
    let states = states();
    let tasks: BTreeSet<&str> =
        states.iter().filter(|(_, state)| state["Type"] == "Task").map(|(name, _)| name.as_str()).collect();
    assert_eq!(tasks, TASKS.iter().map(|task| task.name).collect(), "the table of this test knows every task");

    for task in &TASKS {
        let names = error_names(&states[task.name], "Retry");
        let retried: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(retried.len(), names.len(), "{}: the second rule of an error never matches", task.name);

        let own: BTreeSet<&str> = retried.iter().copied().filter(|name| !LAMBDA.contains(name)).collect();
        assert_eq!(own, task.repeatable.iter().copied().collect(), "{}", task.name);
        assert!(retried.contains(THROTTLED), "{} outlives a throttled Lambda", task.name);
    }
}

/// Hole 2 (decision 0027). A throttled function waits for another one to end, which may take a worker's whole time; and a retry with full jitter
/// waits half of its delay in the mean.
#[test]
fn a_task_that_finds_no_concurrency_waits_longer_than_a_worker_takes_and_spends_no_other_retry() {
    const WORKER_SECONDS: f64 = 900.0;
    let states = states();
    for task in &TASKS {
        let rules = states[task.name]["Retry"].as_array().unwrap();
        let names = |rule: &Value| rule["ErrorEquals"].as_array().unwrap().iter().any(|name| name == THROTTLED);
        let [rule] = rules.iter().filter(|rule| names(rule)).collect::<Vec<_>>()[..] else { panic!("{}", task.name) };
        assert_eq!(rule["ErrorEquals"].as_array().unwrap().len(), 1, "{}: its attempts are its own", task.name);
        assert_eq!(rule["JitterStrategy"], "FULL", "{}: all tasks find none at the same time", task.name);

        let number = |name: &str| rule[name].as_f64().expect(name);
        let (most, rate, mut delay) = (number("MaxDelaySeconds"), number("BackoffRate"), number("IntervalSeconds"));
        let (mut mean, mut variance) = (0.0, 0.0);
        for _ in 0..rule["MaxAttempts"].as_u64().unwrap() {
            mean += delay / 2.0;
            variance += delay * delay / 12.0;
            delay = (delay * rate).min(most);
        }
        assert!(most <= 60.0, "{}: a task notices within a minute that there is concurrency again", task.name);
        assert!(mean - 5.0 * variance.sqrt() > WORKER_SECONDS, "{}: {mean} s, give or take", task.name);
    }
}

#[test]
fn every_retry_ends() {
    for (state, definition) in states() {
        for rule in definition["Retry"].as_array().into_iter().flatten() {
            assert!(rule["MaxAttempts"].as_u64().is_some_and(|attempts| attempts > 0), "{state}: {rule}");
        }
    }
}

#[test]
fn every_state_says_what_it_is_for() {
    for (state, definition) in states() {
        assert!(definition["Comment"].as_str().is_some_and(|comment| !comment.is_empty()), "{state}");
    }
}

#[test]
fn the_definition_is_written_in_json_path() {
    visit(&machine(), &mut |key, value| {
        assert!(key != "QueryLanguage" || value == "JSONPath", "{key}: {value}");
        assert!(!value.as_str().is_some_and(|text| text.contains("{%")), "{key}: {value}");
    });
}

#[test]
fn the_plan_sets_how_many_workers_there_are() {
    for map in ["Label", "LabelDistributed"] {
        let map = &states()[map];

        assert_eq!(map["MaxConcurrencyPath"], "$.workers");
        assert!(map.get("MaxConcurrency").is_none());
    }
}

/// I5: if a state of the top level fails, Finalize settles the job. Inside the inline Map only an unfinished batch is caught: any
/// other error fails the Map.
#[test]
fn finalize_settles_the_job_after_a_failure_of_any_other_state() {
    let machine = machine();
    for (name, state) in machine["States"].as_object().unwrap() {
        if state["Type"] == "Choice" {
            assert!(state["Default"].is_string(), "{name} has a next state for every input");
        } else if name != "Finalize" {
            let last = state["Catch"].as_array().and_then(|rules| rules.last()).expect(name);
            assert_eq!(last["ErrorEquals"], Value::from(vec!["States.ALL"]), "{name}");
        }
        for rule in state["Catch"].as_array().into_iter().flatten() {
            assert_eq!((&rule["Next"], &rule["ResultPath"]), (&"Finalize".into(), &"$.error".into()), "{name}");
        }
    }
    let ends = |name: &str| machine["States"][name]["End"] == true;
    assert!(ends("Finalize") && !ends("Plan") && !ends("Label") && !ends("LabelDistributed"));
}

/// Both states run the same worker with the same retries. They differ in the state that follows a failure.
#[test]
fn a_batch_of_a_distributed_map_is_worked_as_one_of_an_inline_map() {
    let states = states();
    let (inline, distributed) = (&states["Infer"], &states["InferDistributed"]);

    for part in ["Resource", "Parameters", "TimeoutSeconds", "Retry", "End"] {
        assert_eq!(inline[part], distributed[part], "{part}");
    }
    assert_eq!(states["FailJob"]["Parameters"], states["Finalize"]["Parameters"]);
    assert_eq!(states["FailJob"]["Retry"], states["Finalize"]["Retry"]);
}

/// I5: a Distributed Map fails with an error name of its own, so the batch reports its error to Finalize first.
#[test]
fn a_failed_batch_of_a_distributed_map_ends_the_job_and_then_the_map() {
    let states = states();

    assert_eq!(error_names(&states["InferDistributed"], "Catch"), ["BatchUnfinished", "States.ALL"]);
    let caught = &states["InferDistributed"]["Catch"];
    assert_eq!((&caught[0]["Next"], &caught[0]["ResultPath"]), (&"ContinueBatchDistributed".into(), &Value::Null));
    assert_eq!((&caught[1]["Next"], &caught[1]["ResultPath"]), (&"FailJob".into(), &"$.error".into()));
    assert_eq!(
        (&states["ContinueBatchDistributed"]["Type"], &states["ContinueBatchDistributed"]["Next"]),
        (&"Pass".into(), &"InferDistributed".into())
    );
    assert_eq!((&states["FailJob"]["Next"], &states["JobFailed"]["Type"]), (&"JobFailed".into(), &"Fail".into()));
}

/// Step Functions keeps the results of all iterations until the last one has ended, so each result is empty.
#[test]
fn a_batch_of_a_distributed_map_returns_nothing() {
    let batch = &states()["InferDistributed"];

    assert_eq!((batch.get("ResultPath"), batch.get("OutputPath")), (Some(&Value::Null), Some(&Value::Null)));
}

/// A retrier counts its attempts from the time a state is entered: a batch of many rounds gets all of them in each.
#[test]
fn an_unfinished_batch_enters_its_state_again_with_the_same_input() {
    let states = states();

    assert_eq!(error_names(&states["Infer"], "Catch"), ["BatchUnfinished"]);
    let caught = &states["Infer"]["Catch"][0];
    assert_eq!((&caught["Next"], caught.get("ResultPath")), (&"ContinueBatch".into(), Some(&Value::Null)));
    assert_eq!((&states["ContinueBatch"]["Type"], &states["ContinueBatch"]["Next"]), (&"Pass".into(), &"Infer".into()));
}

#[test]
fn the_file_is_indented_by_two_spaces() {
    let text = text();
    assert!(!text.contains('\t') && !text.contains('\r') && text.ends_with("}\n"));

    let mut before = 0;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        assert!(indent % 2 == 0 && indent <= before + 2, "line {}: {line}", number + 1);
        assert_eq!(line, line.trim_end(), "line {} ends in spaces", number + 1);
        before = indent;
    }
}
