//! What the benches drive the functions' real binaries with: no AWS, no emulator, and nothing that is a bottleneck.

pub mod http1;
pub mod model;
pub mod runtime;
pub mod s3;
pub mod server;

pub use memory_dynamodb as dynamodb;
pub(crate) use memory_dynamodb::late;
