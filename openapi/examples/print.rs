//! Prints the API's description: `cargo run -p openapi --example print > docs/openapi.json`, or `make openapi`.

use std::io::{Write, stdout};

fn main() -> std::io::Result<()> {
    stdout().write_all(openapi::print()?.as_bytes())
}
