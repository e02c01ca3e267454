//! Webhooks as they go out: signed, on a schedule, through the guard.

mod deliver;
mod schedule;
mod sign;

pub use deliver::{ATTEMPT, WebhookClient};
pub use schedule::Schedule;
pub use sign::{new_secret, signature, standard_signature};
