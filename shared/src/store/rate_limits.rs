//! Requests, counted: one row for each requester and minute, one write for each request, and no read.

use aws_sdk_dynamodb::types::ReturnValue;

use super::Store;
use super::calls::{Row, classify, number};
use super::keys::Key;
use crate::domain::access::rate_limit::{Requester, Usage};
use crate::domain::{Error, Timestamp};
use crate::ports::RateLimits;

const MINUTE: i64 = 60;
/// Seconds that a row is kept past its minute: enough for clocks that differ.
const KEPT: i64 = 10 * MINUTE;

impl RateLimits for Store {
    async fn count(&self, requester: &Requester, now: Timestamp) -> Result<Usage, Error> {
        let (minute, second) = (now.as_second().div_euclid(MINUTE), now.as_second().rem_euclid(MINUTE));
        // The minute and each of its seconds are attributes of one row, so that one write counts in both. Sixty of them stay
        // below a kilobyte.
        let second = format!("s{second:02}");
        let request = self
            .update_row(Key::requests(requester, minute))
            .update_expression(format!("ADD requests :one, {second} :one SET expires_at = :end"))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":end", number((minute + 1) * MINUTE + KEPT))
            .return_values(ReturnValue::UpdatedNew);
        let counted = request.send().await.map_err(classify)?.attributes.unwrap_or_default();
        Ok(Usage { minute: counter(&counted, "requests")?, second: counter(&counted, &second)? })
    }
}

fn counter(row: &Row, name: &str) -> Result<u32, Error> {
    let counted = row.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
    counted.ok_or_else(|| Error::internal(format!("no counter {name}")))
}
