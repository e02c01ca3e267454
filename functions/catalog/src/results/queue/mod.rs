//! The review queue: the next drafts for a person, which no other person gets meanwhile (contract, 11.4; docs/decisions/0039).

pub(crate) mod claim;
pub(crate) mod give_back;
pub(crate) mod list;
#[cfg(test)]
mod tests;
mod view;
mod window;
