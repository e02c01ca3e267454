//! Review: a person accepts, corrects or rejects what a job suggests (contract, 11.4). Webhooks get each verdict.

pub(crate) mod by_hand;
pub(crate) mod handlers;
pub(crate) mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod view;
