//! Models behind an HTTPS address of the user's (contract, 10.1).

use std::time::Duration;

use super::words::{self, Masked};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::job::failure::{Failure, FailureCode};
use crate::domain::provider::connection::{Credentials, Http, Reading};
use crate::egress::{Answer, Egress, EgressError, Post};
use crate::ports::{InferenceError, InferenceRequest, Model};

/// An answer may have as many bytes as one of a SageMaker endpoint (AWS, "InvokeEndpoint"); the next one shows that it has more.
const ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// One endpoint, with its credentials: it is never printed, so the type has no `Debug` (I11).
#[derive(Clone)]
pub struct HttpsEndpoint {
    egress: Egress,
    url: String,
    headers: Vec<(String, String)>,
    masked: Masked,
    timeout: Duration,
    reading: Reading,
}

impl HttpsEndpoint {
    /// The endpoint, called through this guard.
    #[must_use]
    pub fn new(egress: Egress, endpoint: &Http, credentials: &Credentials) -> Self {
        let fixed = [("Content-Type", "application/json"), ("Accept", "application/json")];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
        let secret = credentials.request_headers();
        Self {
            egress,
            url: endpoint.endpoint_url.clone(),
            masked: Masked::headers(&secret),
            headers: fixed.chain(secret).collect(),
            timeout: endpoint.timeout(),
            reading: endpoint.reading.clone(),
        }
    }
}

impl Model for HttpsEndpoint {
    fn reading(&self) -> &Reading {
        &self.reading
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn infer(&self, request: &InferenceRequest<'_>) -> Result<Vec<u8>, InferenceError> {
        let body = request
            .body(self.reading.request_format())
            .map_err(|_| failed(FailureCode::ModelError, "The request could not be written."))?;
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let post = Post {
            url: &self.url,
            headers: &headers,
            body: &body,
            timeout: self.timeout,
            answer_bytes: ANSWER_BYTES + 1,
        };
        let answer = self.egress.post(post).await.map_err(not_answered)?;
        let words = quotable(&answer).and_then(|body| words::of(body, &self.masked.and_query(&request.asset_url)));
        answered(answer).map_err(|error| error.in_words(words))
    }
}

/// The body of an error, if it may be a sentence for people (docs/decisions/0034). Of a redirect it is the address that the guard
/// does not follow.
fn quotable(answer: &Answer) -> Option<&[u8]> {
    let is_text = answer.content_type.as_deref().is_none_or(|kind| may_be_json(kind) && !is_html(kind));
    (answer.status >= 400 && answer.packing.is_none() && is_text).then_some(&answer.body)
}

/// What a status means (contract, D26).
fn answered(answer: Answer) -> Result<Vec<u8>, InferenceError> {
    let Answer { status, content_type, packing, retry_after, body } = answer;
    if let (200..=299, Some(packing)) = (status, packing) {
        let name = packing.name();
        return Err(failed(
            FailureCode::BadAnswer,
            format!("The model's answer is packed as {name}: its Content-Encoding must be gzip or deflate, or none."),
        ));
    }
    let message = format!("The model answered status {status}.");
    match status {
        200..=299 if body.len() > ANSWER_BYTES => {
            Err(failed(FailureCode::BadAnswer, "The model's answer is longer than 6 MiB."))
        }
        200..=299 if content_type.as_deref().is_some_and(is_html) => {
            Err(failed(FailureCode::BadAnswer, "The model answered with a web page (text/html) instead of JSON."))
        }
        200..=299 if !content_type.as_deref().is_none_or(may_be_json) => Err(failed(
            FailureCode::BadAnswer,
            "The model's answer is said to be no JSON: its Content-Type must be application/json.",
        )),
        200..=299 => Ok(body),
        300..=399 => Err(failed(
            FailureCode::ModelError,
            format!("The model answered status {status}: it sends to another address, and redirects are not followed."),
        )),
        401 | 403 => Err(InferenceError::job(
            Diagnosis::CredentialsRefused,
            format!(
                "The inference provider's endpoint refuses its credentials (status {status}). Correct auth_type, auth_header or headers."
            ),
        )),
        429 | 503 => Err(InferenceError::busy(message, retry_after)),
        _ => Err(match unanswered(status) {
            Some(diagnosis) => InferenceError::Transient { diagnosis, message, words: None, retry_after },
            None => failed(FailureCode::ModelError, message),
        }),
    }
}

/// The statuses of a proxy whose server did not answer in time, or not at all. 520 to 529 are Cloudflare's
/// and its imitators'.
pub(super) const fn unanswered(status: u16) -> Option<Diagnosis> {
    match status {
        408 | 504 | 522 | 524 => Some(Diagnosis::Timeout),
        502 | 520..=529 => Some(Diagnosis::Busy),
        _ => None,
    }
}

fn is_html(content_type: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case("text/html")
}

/// Declared as JSON, or as nothing in particular: many a small server says no more of its JSON.
fn may_be_json(content_type: &str) -> bool {
    let essence = essence(content_type).to_ascii_lowercase();
    essence.ends_with("/json")
        || essence.ends_with("+json")
        || ["text/plain", "application/octet-stream"].contains(&&*essence)
}

/// Without parameters (RFC 9110, 8.3.1).
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// What lasts is no better for the next item.
fn not_answered(error: EgressError) -> InferenceError {
    if error.lasts() {
        let message = format!("The inference provider's endpoint cannot be called. {error}");
        return InferenceError::job(error.diagnosis(), message);
    }
    InferenceError::transient(error.diagnosis(), error.to_string())
}

fn failed(code: FailureCode, message: impl Into<String>) -> InferenceError {
    InferenceError::Item(Failure::new(code, message))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::domain::id::ItemUid;
    use crate::domain::item::AssetType;
    use crate::domain::prediction::size::Size;
    use crate::domain::prediction::turn::Frame;
    use crate::domain::provider::connection::{Connection, ProviderType};
    use crate::egress::TlsError;

    /// A server for one request: its port, and what it was sent.
    async fn answering(answer: Vec<u8>) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8_192];
            let length = stream.read(&mut request).await.unwrap();
            let _ = stream.write_all(&answer).await;
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        (port, server)
    }

    fn endpoint(config: Value, loopback_http: bool) -> HttpsEndpoint {
        let Value::Object(config) = config else { panic!("an object") };
        let url = |value: Value| Ok(value.as_str().unwrap().to_owned());
        match Connection::read(ProviderType::Http, config, url).unwrap() {
            (Connection::Http(http), credentials) => {
                HttpsEndpoint::new(Egress::new(loopback_http), &http, &credentials)
            }
            (Connection::SageMaker(_), _) => panic!("of the kind that was asked for"),
        }
    }

    async fn ask(endpoint: &HttpsEndpoint) -> Result<Vec<u8>, InferenceError> {
        let labels = ["car".to_owned()];
        let request = InferenceRequest {
            asset_id: ItemUid::of_probe(),
            asset_url: "https://bucket.example/x?signed".into(),
            asset_type: AssetType::Image,
            size: Some(Size { width: 4, height: 3 }),
            frame: Some(Frame::Upright),
            labels: &labels,
            prompts: Vec::new(),
            model_type: None,
            threshold: 0.25,
        };
        endpoint.infer(&request).await
    }

    async fn asked(answer: impl Into<Vec<u8>>) -> Result<Vec<u8>, InferenceError> {
        let (port, _) = answering(answer.into()).await;
        ask(&endpoint(json!({"endpoint_url": format!("http://127.0.0.1:{port}/")}), true)).await
    }

    #[tokio::test]
    async fn the_request_is_the_contracts_with_the_credentials_in_its_head() {
        let (port, server) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()).await;
        let endpoint = endpoint(
            json!({"endpoint_url": format!("http://localhost:{port}/detect?v=2"), "auth_type": "bearer",
                "auth_header": "hunter2", "headers": {"X-Tenant": "acme"}, "response_key": "found"}),
            true,
        );

        assert_eq!(ask(&endpoint).await.unwrap(), b"{}");

        assert_eq!(endpoint.reading().response_key, "found");
        let request = server.await.unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /detect?v=2 HTTP/1.1\r\n"), "{head}");
        for header in [
            "content-type: application/json",
            "accept: application/json",
            "authorization: Bearer hunter2",
            "x-tenant: acme",
        ] {
            assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header} in {head}");
        }
        assert_eq!(
            serde_json::from_str::<Value>(body).unwrap(),
            json!({"asset_id": ItemUid::of_probe(), "asset_url": "https://bucket.example/x?signed", "asset_type": "image",
                "width": 4, "height": 3, "frame": "upright", "labels": ["car"]})
        );
    }

    /// Contract D26.
    #[tokio::test]
    async fn a_status_says_whether_it_is_the_items_fault_a_passing_one_or_the_jobs() {
        for status in [408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 528, 529] {
            let answer = format!("HTTP/1.1 {status} X\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n");
            let error = asked(answer).await.unwrap_err();
            let (InferenceError::Transient { message, retry_after, .. }
            | InferenceError::Busy { message, retry_after, .. }) = error
            else {
                panic!("{status}: {error}")
            };
            assert_eq!(
                (message, retry_after),
                (format!("The model answered status {status}."), Some(Duration::from_secs(9)))
            );
        }
        for status in [301, 307, 400, 404, 413, 422, 500, 501, 505, 519, 530] {
            let answer = format!("HTTP/1.1 {status} X\r\nlocation: /\r\ncontent-length: 7\r\n\r\nhunter2");
            let error = asked(answer).await.unwrap_err();
            assert!(
                matches!(&error, InferenceError::Item(failure) if failure.code == FailureCode::ModelError),
                "{error}"
            );
            assert!(error.to_string().starts_with(&format!("The model answered status {status}")), "{error}");
            assert_eq!(error.to_string().contains("redirects are not followed"), status < 400);
            assert_eq!(error.to_string().contains("hunter2"), status >= 400, "{error}");
        }
        for status in [401, 403] {
            let error = asked(format!("HTTP/1.1 {status} X\r\ncontent-length: 7\r\n\r\nhunter2")).await.unwrap_err();
            assert!(matches!(error, InferenceError::Job { diagnosis: Diagnosis::CredentialsRefused, .. }), "{error}");
            assert!(error.to_string().contains("auth_header") && error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_models_words_are_quoted_without_its_credentials_and_the_files_url() {
        let secret = json!({"auth_type": "bearer", "auth_header": "hunter2-secret", "headers": {"X-Tenant": "acme-1"}});
        let asked = async |kind: &str, body: &str| {
            let head = format!("HTTP/1.1 500 X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
            let (port, _) = answering((head + body).into_bytes()).await;
            let mut config = secret.clone();
            config["endpoint_url"] = format!("http://127.0.0.1:{port}/").into();
            ask(&endpoint(config, true)).await.unwrap_err().to_string()
        };
        let status = "The model answered status 500.";
        for (kind, body, words) in [
            ("application/json", r#"{"detail": "CUDA out of memory."}"#, Some("CUDA out of memory")),
            ("text/plain", "no access: Bearer hunter2-secret of acme-1", Some("no access: *** of ***")),
            ("text/plain", "cannot fetch https://bucket.example/x?signed", Some("cannot fetch [address]")),
            ("text/html", "<h1>500</h1>", None),
            ("image/png", "no", None),
        ] {
            let quoted = words.map(|words| format!("{status} The model's words: \"{words}\"."));
            assert_eq!(asked(kind, body).await, quoted.unwrap_or_else(|| status.into()), "{body}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_limit() {
        for (length, good) in [(ANSWER_BYTES, true), (ANSWER_BYTES + 1, false), (50 * 1024 * 1024, false)] {
            let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
            answer.resize(answer.len() + length, b' ');
            match asked(answer).await {
                Ok(body) => assert!(good && body.len() == length),
                Err(error) => {
                    assert!(!good);
                    assert_eq!(error.to_string(), "The model's answer is longer than 6 MiB.");
                }
            }
        }
    }

    #[tokio::test]
    async fn an_endless_answer_fails_its_item_when_it_gets_too_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 8_192]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            let mut sent = 0;
            while stream.write_all(format!("10000\r\n{}\r\n", " ".repeat(65_536)).as_bytes()).await.is_ok() {
                sent += 65_536;
            }
            sent
        });

        let error = ask(&endpoint(json!({"endpoint_url": url}), true)).await.unwrap_err();

        assert_eq!(
            (error.diagnosis(), error.to_string().as_str()),
            (Diagnosis::BadAnswer, "The model's answer is longer than 6 MiB.")
        );
        assert!(server.await.unwrap() < 4 * ANSWER_BYTES, "the connection is given up");
    }

    #[tokio::test]
    async fn packed_answers_are_unpacked_and_other_packings_named() {
        let text = "[1]".repeat(1_000).into_bytes();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        for encoder in [&mut zlib as &mut dyn Write, &mut raw, &mut gzip] {
            encoder.write_all(&text).unwrap();
        }
        let (zlib, raw, gzip) = (zlib.finish().unwrap(), raw.finish().unwrap(), gzip.finish().unwrap());
        let answer = |encoding: &str, body: &[u8]| {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        };
        for (encoding, body) in
            [("deflate", &zlib), ("deflate", &raw), ("Deflate", &raw), ("gzip", &gzip), ("identity", &text)]
        {
            assert_eq!(asked(answer(encoding, body)).await.unwrap(), text, "{encoding}");
        }
        for (encoding, name) in
            [("br", "br"), ("zstd", "zstd"), ("hunter2", "something else"), ("deflate, gzip", "something else")]
        {
            let error = asked(answer(encoding, &raw)).await.unwrap_err();
            assert_eq!(
                (error.diagnosis(), error.to_string()),
                (
                    Diagnosis::BadAnswer,
                    format!(
                        "The model's answer is packed as {name}: its Content-Encoding must be gzip or deflate, or none."
                    )
                )
            );
        }
        let cut = asked(answer("deflate", &zlib[..zlib.len() / 2])).await.unwrap_err();
        assert!(matches!(cut, InferenceError::Transient { diagnosis: Diagnosis::ConnectionBroken, .. }), "{cut}");
        let mut bomb = ZlibEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![b' '; 50 * 1024 * 1024]).unwrap();
        let error = asked(answer("deflate", &bomb.finish().unwrap())).await.unwrap_err();
        assert_eq!(error.to_string(), "The model's answer is longer than 6 MiB.");
    }

    #[tokio::test]
    async fn an_answer_whose_content_type_is_not_json_fails_its_item_with_a_sentence() {
        for (content_type, complaint) in [
            ("application/json", None),
            ("Application/JSON; charset=utf-8", None),
            ("application/vnd.model+json", None),
            ("text/plain", None),
            ("application/octet-stream", None),
            ("text/html; charset=utf-8", Some("with a web page (text/html) instead of JSON")),
            ("TEXT/HTML", Some("with a web page (text/html) instead of JSON")),
            ("image/png", Some("Content-Type must be application/json")),
            ("application/jsonp-hunter2", Some("Content-Type must be application/json")),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: 2\r\n\r\n{{}}");
            match (asked(answer).await, complaint) {
                (Ok(body), None) => assert_eq!(body, b"{}"),
                (Err(error), Some(complaint)) => {
                    assert_eq!(error.diagnosis(), Diagnosis::BadAnswer);
                    assert!(error.to_string().contains(complaint) && !error.to_string().contains("hunter2"), "{error}");
                }
                (result, _) => panic!("{content_type}: {result:?}"),
            }
        }
    }

    #[tokio::test]
    async fn no_answer_passes_but_a_refused_address_does_not() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (broken, _) = answering(Vec::new()).await;
        for port in [closed, silent.local_addr().unwrap().port(), broken] {
            let config = json!({"endpoint_url": format!("http://127.0.0.1:{port}"), "timeout": 1});
            let error = ask(&endpoint(config, true)).await.unwrap_err();
            assert!(matches!(error, InferenceError::Transient { retry_after: None, .. }), "{error}");
            let named = [Diagnosis::Unreachable, Diagnosis::Timeout, Diagnosis::ConnectionBroken];
            assert!(named.contains(&error.diagnosis()), "{error}");
        }
        for url in ["http://127.0.0.1:1/", "https://10.0.0.1/", "https://169.254.169.254/latest"] {
            let error = ask(&endpoint(json!({"endpoint_url": url}), false)).await.unwrap_err();
            assert!(matches!(error, InferenceError::Job { diagnosis: Diagnosis::AddressRefused, .. }), "{error}");
            assert!(!error.to_string().contains("://"), "{error}");
        }
        for certificate in [TlsError::Expired, TlsError::WrongName, TlsError::UnknownAuthority] {
            assert!(matches!(not_answered(EgressError::Tls(certificate)), InferenceError::Job { .. }), "{certificate}");
        }
    }

    #[tokio::test]
    async fn a_handshake_that_breaks_off_may_be_better_for_the_next_item() {
        let unavailable = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
        let alert = vec![21, 3, 3, 0, 2, 2, 80]; // fatal, internal_error
        for instead_of_a_handshake in [unavailable, alert] {
            let (port, _) = answering(instead_of_a_handshake).await;
            let error = ask(&endpoint(json!({"endpoint_url": format!("https://localhost:{port}/")}), true)).await;
            let error = error.unwrap_err();
            assert!(matches!(error, InferenceError::Transient { diagnosis: Diagnosis::Tls, .. }), "{error}");
        }
    }
}
