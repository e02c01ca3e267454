use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::env::log_levels;

/// The runtime's span has the request id, at the level of information: without it, the lines of a quieter log would have none.
const REQUEST_IDS: &str = "lambda_runtime::layers::trace";

/// Starts the log: one JSON object a line, at the level of `RUST_LOG`, each with the id of its request.
pub fn start_log() {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(true)
        .with_span_list(false)
        .without_time(); // CloudWatch stamps every line
    tracing_subscriber::registry().with(filter(&log_levels())).with(lines).init();
}

/// Levels, for all or by module, as `warn,infer=debug`; errors alone if it cannot be read. `EnvFilter` would also filter by
/// the values of fields, for which every binary would carry an engine for regular expressions (decision 0019).
fn filter(levels: &str) -> Targets {
    let filter = levels.parse().unwrap_or_else(|_| Targets::new().with_default(Level::ERROR));
    filter.with_target(REQUEST_IDS, Level::INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_log_still_has_the_ids_of_its_requests() {
        let filter = filter("warn,infer=debug");
        for (target, level, logged) in [
            ("shared", Level::WARN, true),
            ("shared", Level::INFO, false),
            ("infer::ask", Level::DEBUG, true),
            (REQUEST_IDS, Level::INFO, true),
        ] {
            assert_eq!(filter.would_enable(target, &level), logged, "{target} {level}");
        }
    }

    #[test]
    fn levels_that_cannot_be_read_leave_the_errors() {
        let filter = filter("infer=loud");
        assert!(filter.would_enable("infer", &Level::ERROR) && !filter.would_enable("infer", &Level::WARN));
    }
}
