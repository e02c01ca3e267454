//! What the benches drive the functions' real binaries with: no AWS, no emulator, and nothing that is a bottleneck.

pub mod http1;
pub mod runtime;
