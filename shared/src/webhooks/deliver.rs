use std::time::Duration;

use super::signature;
use crate::domain::webhook::{Delivery, Response};
use crate::egress::{Egress, Post};
use crate::ports::Receivers;

/// One attempt, DNS to last byte (contract, D23).
pub const ATTEMPT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read: far more than its preview shows.
const ANSWER_BYTES: usize = 64 * 1024;

/// Carries events to their receivers (contract, 9.3).
#[derive(Clone, Debug)]
pub struct Courier {
    egress: Egress,
}

impl Courier {
    /// Through this guard.
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self { egress }
    }
}

impl Receivers for Courier {
    async fn tell(&self, target_url: &str, secret: &str, delivery: &Delivery) -> Response {
        let body = delivery.body.as_bytes();
        let headers: [(&str, &str); 4] = [
            ("Content-Type", "application/json"),
            ("X-Avala-Webhook-Event", &delivery.event_type),
            ("X-Avala-Webhook-Delivery", &delivery.uid.to_string()),
            ("X-Avala-Webhook-Signature", &signature(secret, body)),
        ];
        let request = Post { url: target_url, headers: &headers, body, timeout: ATTEMPT, answer_bytes: ANSWER_BYTES };
        match self.egress.post(request).await {
            Ok(answer) => Response::of(answer.status, &answer.body),
            Err(error) => Response::none(error.to_string()),
        }
    }
}
