use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// Starts the log: one JSON object a line, at the level of `RUST_LOG`, each with the id of its request.
pub fn start_log() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(true)
        .with_span_list(false)
        .without_time() // CloudWatch stamps every line
        .with_env_filter(EnvFilter::from_default_env().add_directive(request_ids()))
        .init();
}

/// The runtime's span has the request id, at the level of information: without it, the lines of a quieter log would have none.
fn request_ids() -> Directive {
    #[expect(clippy::expect_used, reason = "a constant: a test reads it")]
    "lambda_runtime::layers::trace=info".parse().expect("the directive can be read")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_directive_can_be_read() {
        assert_eq!(super::request_ids().to_string(), "lambda_runtime::layers::trace=info");
    }
}
