//! Everything that more than one function needs.
//!
//! `domain` holds the rules and knows no AWS; `ports` are the traits that handlers are generic over; every
//! other module is an adapter behind a cargo feature of its own. Adapters never import one another.

pub mod domain;
pub mod ports;
pub mod services;

#[cfg(feature = "egress")]
pub mod egress;
#[cfg(feature = "executions")]
pub mod executions;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "inference")]
pub mod inference;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "objects")]
pub mod objects;
#[cfg(feature = "queue")]
pub mod queue;
#[cfg(feature = "sdk")]
pub mod sdk;
#[cfg(feature = "secrets")]
pub mod secrets;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "webhooks")]
pub mod webhooks;
