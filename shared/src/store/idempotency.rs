//! Requests that clients named by an idempotency key: who has it, and what is left of the request.
//!
//! A row without a fingerprint is free: it never was, or its request came to nothing.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::Store;
use super::calls::{Row, classify, number, text};
use super::keys::Key;
use crate::domain::Error;
use crate::domain::idempotency::{Claim, Claimed, KEPT, LEASE, Outcome};
use crate::ports::Idempotency;

const FINGERPRINT: &str = "fingerprint";
/// The answer, sealed; or `true` for a request that may be made again, and `false` for an answer that did not fit.
const OUTCOME: &str = "outcome";
const HOLDER: &str = "holder";

impl Idempotency for Store {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, Error> {
        // DynamoDB takes its time to remove what has expired; a lease is over for the same request alone.
        let free = "attribute_not_exists(fingerprint) OR expires_at <= :now OR \
                    (fingerprint = :fingerprint AND attribute_not_exists(outcome) AND claimed_at <= :dead)";
        let mut row = Row::from(Key::idempotency(&claim.caller, &claim.key));
        row.insert(FINGERPRINT.into(), text(&claim.fingerprint));
        row.insert(HOLDER.into(), text(claim.holder.to_string()));
        row.insert("claimed_at".into(), number(claim.at.as_second()));
        row.insert("expires_at".into(), number((claim.at + KEPT).as_second()));
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression(free)
            .expression_attribute_values(":now", number(claim.at.as_second()))
            .expression_attribute_values(":dead", number((claim.at - LEASE).as_second()))
            .expression_attribute_values(":fingerprint", text(&claim.fingerprint))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match request.send().await {
            Ok(_) => return Ok(Claimed::Now),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => before(claim, lost.item()),
            _ => Err(classify(error)),
        }
    }

    async fn keep(&self, claim: &Claim, outcome: Outcome) -> Result<(), Error> {
        let kept = match outcome {
            Outcome::Kept(answer) => AttributeValue::B(answer.into()),
            Outcome::Repeatable => AttributeValue::Bool(true),
            Outcome::TooLarge => AttributeValue::Bool(false),
        };
        self.end_claim(claim, "SET outcome = :outcome", Some(kept)).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), Error> {
        self.end_claim(claim, "REMOVE fingerprint", None).await
    }
}

/// The request that has the key.
fn before(claim: &Claim, row: Option<&Row>) -> Result<Claimed, Error> {
    let attribute = |name| row.and_then(|row| row.get(name));
    // Our own claim, whose first answer got lost on the way: the client of the table repeats its calls.
    if attribute(HOLDER) == Some(&text(claim.holder.to_string())) {
        return Ok(Claimed::Now);
    }
    let outcome = match attribute(OUTCOME) {
        None => None,
        Some(AttributeValue::B(answer)) => Some(Outcome::Kept(answer.clone().into_inner())),
        Some(AttributeValue::Bool(true)) => Some(Outcome::Repeatable),
        Some(_) => Some(Outcome::TooLarge),
    };
    let fingerprint = attribute(FINGERPRINT).and_then(|value| value.as_s().ok());
    let fingerprint = fingerprint.ok_or_else(|| Error::internal("a claim without a fingerprint"))?.clone();
    Ok(Claimed::Before { fingerprint, outcome })
}

impl Store {
    /// Changes the row if it is still this claim's.
    async fn end_claim(&self, claim: &Claim, change: &str, outcome: Option<AttributeValue>) -> Result<(), Error> {
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::idempotency(&claim.caller, &claim.key).into()))
            .update_expression(change)
            .condition_expression("holder = :holder")
            .expression_attribute_values(":holder", text(claim.holder.to_string()));
        if let Some(outcome) = outcome {
            request = request.expression_attribute_values(":outcome", outcome);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }
}
