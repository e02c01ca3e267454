use std::time::Duration;

use super::{signature, standard_signature};
use crate::domain::Timestamp;
use crate::domain::webhook::{Delivery, Response};
use crate::egress::{Egress, Post};
use crate::ports::WebhookSender;

/// One attempt, DNS to last byte (contract, D23).
pub const ATTEMPT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read: far more than its preview shows.
const ANSWER_BYTES: usize = 64 * 1024;

/// Posts events to their receivers (contract, 9.3).
#[derive(Clone, Debug)]
pub struct WebhookClient {
    egress: Egress,
}

impl WebhookClient {
    /// Sends through this guard.
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self { egress }
    }
}

impl WebhookSender for WebhookClient {
    async fn post(&self, target_url: &str, secret: &str, delivery: &Delivery, now: Timestamp) -> Response {
        let body = delivery.body.as_bytes();
        let (uid, timestamp) = (delivery.uid.to_string(), now.as_second());
        let headers: [(&str, &str); 7] = [
            ("Content-Type", "application/json"),
            ("X-Avala-Webhook-Event", &delivery.event_type),
            ("X-Avala-Webhook-Delivery", &uid),
            ("X-Avala-Webhook-Signature", &signature(secret, body)),
            // The same for the libraries of Standard Webhooks: they check the time, too, and refuse replays.
            ("webhook-id", &uid),
            ("webhook-timestamp", &timestamp.to_string()),
            ("webhook-signature", &standard_signature(secret, &uid, timestamp, body)),
        ];
        let request = Post { url: target_url, headers: &headers, body, timeout: ATTEMPT, answer_bytes: ANSWER_BYTES };
        // A status is an answer: a 2xx is a delivery, however its body ends (contract, D23).
        match self.egress.post_for_status(request).await {
            Ok(answer) => Response::of(answer.status, &answer.body),
            Err(error) => Response::none(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::id::{OrganizationUid, WebhookUid};
    use crate::domain::webhook::Webhook;

    fn a_delivery() -> Delivery {
        let now = Timestamp::UNIX_EPOCH;
        let webhook = Webhook {
            uid: WebhookUid::at(now),
            organization: OrganizationUid::named("acme"),
            target_url: String::new(),
            events: vec![],
            is_active: true,
            sealed_secret: String::new(),
            created_at: now,
            updated_at: now,
        };
        Delivery::of_test(&webhook, now)
    }

    /// Contract D20.
    #[tokio::test]
    async fn a_receiver_gets_the_kept_bytes_and_a_signature_over_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/hook", listener.local_addr().unwrap().port());
        let receiver = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        let (delivery, at) = (a_delivery(), Timestamp::from_second(1_700_000_000).unwrap());

        let response = WebhookClient::new(Egress::new(true)).post(&url, "sesame", &delivery, at).await;

        assert_eq!(response, Response::of(202, b"ok"));
        let request = receiver.await.unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, delivery.body);
        for header in [
            "content-type: application/json".to_owned(),
            "x-avala-webhook-event: webhook.test".to_owned(),
            format!("x-avala-webhook-delivery: {}", delivery.uid),
            format!("x-avala-webhook-signature: {}", signature("sesame", body.as_bytes())),
            format!("webhook-id: {}", delivery.uid),
            "webhook-timestamp: 1700000000".to_owned(),
            format!(
                "webhook-signature: {}",
                standard_signature("sesame", &delivery.uid.to_string(), 1_700_000_000, body.as_bytes())
            ),
        ] {
            assert!(head.lines().any(|line| line == header), "{header} in {head}");
        }
    }

    /// Contract D23.
    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_never_answers_has_ten_seconds() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/hook", silent.local_addr().unwrap().port());
        let begun = tokio::time::Instant::now();

        let response =
            WebhookClient::new(Egress::new(true)).post(&url, "sesame", &a_delivery(), Timestamp::UNIX_EPOCH).await;

        assert_eq!(response, Response::none("No complete answer came within 10 seconds."));
        assert!((10.0..10.1).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    }

    /// Case 18.
    #[tokio::test]
    async fn an_answer_counts_by_its_status_however_its_body_ends() {
        for (head, hangs, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok", true, Response::of(200, b"ok")),
            ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok", false, Response::of(200, b"ok")),
            ("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", true, Response::of(201, b"ok")),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", false, Response::of(200, b"")),
            ("HTTP/1.1 410 Gone\r\ncontent-length: 9\r\n\r\n", true, Response::of(410, b"")),
            ("HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nsorry", true, Response::of(500, b"sorry")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://127.0.0.1:{}/hook", listener.local_addr().unwrap().port());
            let receiver = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4_096];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
                if hangs {
                    tokio::time::sleep(Duration::from_millis(100)).await; // until it is read
                    tokio::time::pause();
                    tokio::time::sleep(ATTEMPT * 3).await;
                }
            });
            let begun = tokio::time::Instant::now();

            let response =
                WebhookClient::new(Egress::new(true)).post(&url, "sesame", &a_delivery(), Timestamp::UNIX_EPOCH).await;

            if hangs {
                tokio::time::resume();
            }
            assert_eq!(response, expected, "{head}");
            assert!(begun.elapsed() < ATTEMPT + Duration::from_millis(100), "{head}: {:?}", begun.elapsed());
            receiver.abort();
        }
    }

    #[tokio::test]
    async fn no_answer_is_a_response_that_says_why_and_not_where() {
        let client = WebhookClient::new(Egress::new(false));
        let response = client.post("https://10.0.0.1/hook", "sesame", &a_delivery(), Timestamp::UNIX_EPOCH).await;

        assert_eq!(response, Response::none("The address was refused. Must lead to a public address."));
    }
}
