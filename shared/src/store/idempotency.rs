//! Idempotency keys: the claim that holds each, and the stored response of its request.
//!
//! A row without a fingerprint is free: its request did not succeed. If that request may have had its effect all the same, the
//! row still names the first claim, and what the next one creates has the same uids.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use uuid::Uuid;

use super::Store;
use super::calls::{Row, classify, is_done, number, text};
use super::keys::Key;
use crate::domain::Error;
use crate::domain::access::idempotency::{Claim, Claimed, KEPT, LEASE, StoredResponse};
use crate::ports::Idempotency;

const FINGERPRINT: &str = "fingerprint";
/// The response, sealed; or `true` for a request that may be made again, and `false` for a response that did not fit.
const OUTCOME: &str = "outcome";
const HOLDER: &str = "holder";

/// The holder of the first claim under the key that may have had an effect; absent after a claim that was undone.
const FIRST: &str = "first";

impl Idempotency for Store {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, Error> {
        // DynamoDB removes expired rows late. A lease that is over frees the key for the same request alone.
        let free = "(attribute_not_exists(pk) OR expires_at > :now) AND (attribute_not_exists(fingerprint) OR \
                    (fingerprint = :fingerprint AND attribute_not_exists(outcome) AND claimed_at <= :dead))";
        let lost = match self.take(claim, free, "if_not_exists(#first, :holder)").await? {
            Taken::Now(first) => return Ok(Claimed::Now { first }),
            Taken::Lost(row) => row,
        };
        let is_over = |row: &Row| {
            let end: Option<i64> = row.get("expires_at").and_then(|end| end.as_n().ok()?.parse().ok());
            end.is_some_and(|end| end <= claim.at.as_second())
        };
        if !lost.as_ref().is_some_and(is_over) {
            return before(claim, lost.as_ref());
        }
        // The row has expired.
        match self.take(claim, "attribute_not_exists(pk) OR expires_at <= :now", ":holder").await? {
            Taken::Now(first) => Ok(Claimed::Now { first }),
            Taken::Lost(row) => before(claim, row.as_ref()),
        }
    }

    async fn keep(&self, claim: &Claim, outcome: StoredResponse) -> Result<(), Error> {
        let kept = match outcome {
            StoredResponse::Kept(answer) => AttributeValue::B(answer.into()),
            StoredResponse::Repeatable => AttributeValue::Bool(true),
            StoredResponse::TooLarge => AttributeValue::Bool(false),
        };
        self.end_claim(claim, "SET outcome = :outcome", Some(kept)).await
    }

    async fn release(&self, claim: &Claim, undone: bool) -> Result<(), Error> {
        let change = if undone { "REMOVE fingerprint, #first" } else { "REMOVE fingerprint" };
        self.end_claim(claim, change, None).await
    }
}

/// The outcome of a conditional claim.
enum Taken {
    /// It is made; with the value of [`FIRST`].
    Now(Uuid),
    /// It is not, because of this row.
    Lost(Option<Row>),
}

/// The claim that holds the key, as a row that refused another one says.
fn before(claim: &Claim, row: Option<&Row>) -> Result<Claimed, Error> {
    let attribute = |name| row.and_then(|row| row.get(name));
    // The claim itself: the SDK repeated a call whose answer was lost.
    if attribute(HOLDER) == Some(&text(claim.holder.to_string())) {
        return Ok(Claimed::Now { first: first(row)? });
    }
    let outcome = match attribute(OUTCOME) {
        None => None,
        Some(AttributeValue::B(answer)) => Some(StoredResponse::Kept(answer.clone().into_inner())),
        Some(AttributeValue::Bool(true)) => Some(StoredResponse::Repeatable),
        Some(_) => Some(StoredResponse::TooLarge),
    };
    let fingerprint = attribute(FINGERPRINT).and_then(|value| value.as_s().ok());
    let fingerprint = fingerprint.ok_or_else(|| Error::internal("a claim without a fingerprint"))?.clone();
    Ok(Claimed::Before { fingerprint, outcome })
}

fn first(row: Option<&Row>) -> Result<Uuid, Error> {
    let first = row
        .and_then(|row| row.get(FIRST)?.as_s().ok())
        .ok_or_else(|| Error::internal("a claim without a first one"))?;
    Uuid::try_parse(first).map_err(Error::internal)
}

impl Store {
    /// Writes the claim on this condition.
    async fn take(&self, claim: &Claim, condition: &str, first_one: &str) -> Result<Taken, Error> {
        let conditional =
            |name: &str, value: AttributeValue| condition.contains(name).then_some((name.to_owned(), value));
        let conditional = [
            conditional(":now", number(claim.at.as_second())),
            conditional(":dead", number((claim.at - LEASE).as_second())),
        ];
        let mut request = self
            .update_row(Key::idempotency(&claim.caller, &claim.key))
            .update_expression(format!(
                "SET fingerprint = :fingerprint, holder = :holder, claimed_at = :at, expires_at = :end, #first = {first_one} \
                 REMOVE outcome"
            ))
            .condition_expression(condition)
            .expression_attribute_names("#first", FIRST)
            .expression_attribute_values(":fingerprint", text(&claim.fingerprint))
            .expression_attribute_values(":holder", text(claim.holder.to_string()))
            .expression_attribute_values(":at", number(claim.at.as_second()))
            .expression_attribute_values(":end", number((claim.at + KEPT).as_second()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in conditional.into_iter().flatten() {
            request = request.expression_attribute_values(name, value);
        }
        let error = match request.send().await {
            Ok(answer) => return first(answer.attributes.as_ref()).map(Taken::Now),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(lost)) => Ok(Taken::Lost(lost.item().cloned())),
            _ => Err(classify(error)),
        }
    }

    /// Changes the row if this claim still holds it.
    async fn end_claim(&self, claim: &Claim, change: &str, outcome: Option<AttributeValue>) -> Result<(), Error> {
        let mut request = self
            .update_row(Key::idempotency(&claim.caller, &claim.key))
            .update_expression(change)
            .condition_expression("holder = :holder")
            .expression_attribute_values(":holder", text(claim.holder.to_string()));
        if change.contains("#first") {
            request = request.expression_attribute_names("#first", FIRST);
        }
        if let Some(outcome) = outcome {
            request = request.expression_attribute_values(":outcome", outcome);
        }
        is_done(request.send().await).map(|_ended| ())
    }
}
