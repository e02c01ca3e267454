//! finalize
fn main() {}
