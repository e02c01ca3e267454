//! DynamoDB with a certificate, as far as the first call of a function goes: one API key, and otherwise an empty table.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench::http1::serve;
use bytes::Bytes;
use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const HOST: &str = "localhost";

pub(crate) struct Endpoint {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

/// What came: a run with the same calls but one more connection was slow, and took a handshake more.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    calls: AtomicUsize,
}

impl Endpoint {
    /// The certificate of its authority is in the file `bundle`.
    pub(crate) async fn start(bundle: &Path) -> Result<Self, Box<dyn Error>> {
        let acceptor = TlsAcceptor::from(Arc::new(certified(bundle)?));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{HOST}:{}", listener.local_addr()?.port());
        let seen = Arc::new(Seen::default());
        let count = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.connections.fetch_add(1, Ordering::Relaxed);
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    stream.set_nodelay(true)?; // an answer in two pieces would wait 40 ms for the first one to be acknowledged
                    let handler = async |call| {
                        count.calls.fetch_add(1, Ordering::Relaxed);
                        answer(&call)
                    };
                    serve(acceptor.accept(stream).await?, &handler).await
                });
            }
        });
        Ok(Self { url, seen })
    }

    /// Connections and calls since the last read.
    pub(crate) fn seen(&self) -> (usize, usize) {
        (self.seen.connections.swap(0, Ordering::Relaxed), self.seen.calls.swap(0, Ordering::Relaxed))
    }
}

/// Elliptic curves, as AWS's own endpoints have certificates of Amazon's RSA authorities and the handshake costs a client
/// much the same: a signature checked, a key agreed on.
fn certified(bundle: &Path) -> Result<ServerConfig, Box<dyn Error>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    fs::write(bundle, authority.pem())?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![HOST.to_owned()])?.signed_by(&key, &authority)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(config.with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into()?)?)
}

fn answer(call: &Request<Bytes>) -> Response<Bytes> {
    let operation = call.headers().get("x-amz-target").and_then(|name| name.to_str().ok()?.split('.').nth(1));
    let sent: Value = serde_json::from_slice(call.body()).unwrap_or_default();
    let answer = match operation {
        Some("GetItem") if sent["Key"]["sk"]["S"] == "KEY" => json!({"Item": key()}),
        Some("Query") => json!({"Items": [], "Count": 0, "ScannedCount": 0}),
        // The request's count is the only update that a first call makes: of the minute, and of one of its seconds.
        Some("UpdateItem") => {
            let expression = sent["UpdateExpression"].as_str().unwrap_or_default();
            let counters = expression.split([' ', ',']).filter(|word| word.starts_with('s') || *word == "requests");
            let counted: serde_json::Map<String, Value> =
                counters.map(|name| (name.to_owned(), json!({"N": "1"}))).collect();
            json!({"Attributes": counted})
        }
        _ => json!({}),
    };
    Response::new(answer.to_string().into())
}

fn key() -> Value {
    json!({
        "organization": {"S": "018f7a3e-5b6c-7d8e-9f01-23456789abcd"}, "name": {"S": "bench"}, "scopes": {"L": []},
        "created_at": {"S": "2026-01-01T00:00:00Z"}, "valid_until": {"NULL": true}, "revoked_at": {"NULL": true},
    })
}
