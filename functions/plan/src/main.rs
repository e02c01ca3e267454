//! plan
fn main() {}
