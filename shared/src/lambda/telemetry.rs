use tracing_subscriber::EnvFilter;

/// Starts the log: one JSON object a line, at the level of `RUST_LOG`. The runtime adds the request id.
pub fn start_log() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(true)
        .with_span_list(false)
        .without_time() // CloudWatch stamps every line
        .with_env_filter(EnvFilter::from_default_env())
        .init();
}
