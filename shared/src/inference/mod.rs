//! Models: the one seam, its adapters, and how many calls are in flight.

mod sagemaker;

pub use sagemaker::Endpoint;
