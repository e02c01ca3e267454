//! providers
fn main() {}
