//! Review: a person accepts, corrects or rejects what a job suggests (contract, 11.4). Webhooks get each verdict.

pub(crate) mod by_hand;
pub(crate) mod handlers;
pub(crate) mod queue;
pub(crate) mod sweep;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod view;

use shared::domain::access::api_key::Scope;

/// A key that may write projects may review as well: keys of before there was a scope for it go on.
const WRITE: &[Scope] = &[Scope::ResultsWrite, Scope::ProjectsWrite];
