//! The one guard for addresses that users give: webhooks, HTTPS providers, files of items (contract, D18; design.md,
//! section 6).
//!
//! HTTPS only, no redirects, no proxy. A name is resolved here, and only public addresses of it reach the connector: the
//! address that was checked is the one that is connected to, so a name that changes between check and call gains
//! nothing. The whole exchange is bounded in time, the answer's body while it is read.

mod address;
mod url;

use std::error::Error as StdError;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::domain::source::Source;
use crate::ports::{Files, NoFile};

use self::address::is_public;
pub use self::url::{Refusal, check_url, same_origin, url_field};

/// A request to an address of a user's.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// As the user gave it.
    pub url: &'a str,
    /// Beside what HTTP itself needs.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes.
    pub body: &'a [u8],
    /// Of the whole exchange, DNS to last byte.
    pub timeout: Duration,
    /// Bytes of the answer's body that are read; the rest is left.
    pub answer_bytes: usize,
}

/// A part of a file at an address of a user's.
#[derive(Clone, Copy)]
struct Get<'a> {
    url: &'a str,
    offset: u64,
    length: u64,
}

/// The time for a part of a file, DNS to last byte, if it is small.
const GET: Duration = Duration::from_secs(4);
/// And a second more for each so many bytes: 14 seconds for a mask of 20 MB.
const BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;
/// A server that does not know ranges sends a file from its beginning: so much of it is read to get to a later part.
const WITHOUT_RANGES: u64 = 512 * 1024;

/// What came back, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, if it is a number of seconds. A date would need a clock that agrees with the server's.
    pub retry_after: Option<Duration>,
    /// At most as much as was asked for.
    pub body: Vec<u8>,
}

/// Why nothing came back. No text holds an address or anything of the request (I11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The guard.
    #[error("The address was refused. {0}")]
    Refused(#[from] Refusal),
    /// The name has no address.
    #[error("The host name could not be resolved.")]
    Dns,
    /// A certificate that does not hold, or no TLS at all.
    #[error("No secure connection could be made: the certificate or the TLS handshake was not accepted.")]
    Tls,
    /// Nobody listens.
    #[error("The host could not be connected to.")]
    Connect,
    /// The time is up.
    #[error("No complete answer came in time.")]
    Timeout,
    /// The connection was lost, or what came was no HTTP.
    #[error("The connection broke before the answer was complete.")]
    Broken,
}

/// The way out. One per process: it keeps connections.
#[derive(Clone, Debug)]
pub struct Egress {
    client: reqwest::Client,
    loopback_http: bool,
}

impl Egress {
    /// With `loopback_http`, the development switch, plain `http://127.0.0.1` and `http://localhost` are open as well.
    #[must_use]
    pub fn new(loopback_http: bool) -> Self {
        Self::resolving(Names { loopback_http }, loopback_http)
    }

    fn resolving(names: impl Resolve + 'static, loopback_http: bool) -> Self {
        // A proxy from the environment would resolve names itself, past the guard.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls())
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(names))
            .user_agent("autolabel");
        #[expect(
            clippy::expect_used,
            reason = "only a TLS configuration that reqwest does not know could fail: every test builds one"
        )]
        let client = client.build().expect("the client can be built");
        Self { client, loopback_http }
    }

    /// One request, never repeated here.
    ///
    /// # Errors
    /// If no complete answer came.
    pub async fn post(&self, request: Post<'_>) -> Result<Answer, EgressError> {
        let url = check_url(request.url, self.loopback_http)?;
        let exchange = async { self.exchange(url, request).await.map_err(|error| classify(&error)) };
        tokio::time::timeout(request.timeout, exchange).await.unwrap_or(Err(EgressError::Timeout))
    }

    async fn exchange(&self, url: ::url::Url, request: Post<'_>) -> reqwest::Result<Answer> {
        let mut call = self.client.post(url).body(request.body.to_vec());
        for (name, value) in request.headers {
            call = call.header(*name, *value);
        }
        let mut call = call.build()?;
        // Some are credentials: no library prints them, whatever the log level.
        call.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        let mut response = self.client.execute(call).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = beginning(&mut response, request.answer_bytes).await?;
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    /// A part of a file, never more of it than is asked for.
    async fn get(&self, request: Get<'_>) -> Result<Answer, EgressError> {
        let url = check_url(request.url, self.loopback_http)?;
        let Get { offset, length, .. } = request;
        let exchange = async {
            let range = format!("bytes={offset}-{}", offset + length.saturating_sub(1));
            let mut response = self.client.get(url).header("range", range).send().await?;
            let status = response.status().as_u16();
            // 200 is the whole file: up to the part's end, and then the connection is given up.
            let before = if status == 200 { offset } else { 0 };
            if status >= 300 || before + length > WITHOUT_RANGES.max(length) {
                return Ok(Answer { status, retry_after: None, body: Vec::new() });
            }
            let wanted = usize::try_from(before + length).unwrap_or(usize::MAX);
            let mut body = beginning(&mut response, wanted).await?;
            body.drain(..body.len().min(usize::try_from(before).unwrap_or(usize::MAX)));
            Ok(Answer { status, retry_after: None, body })
        };
        let exchange = async { exchange.await.map_err(|error: reqwest::Error| classify(&error)) };
        let time = GET + Duration::from_secs(length / BYTES_PER_SECOND);
        tokio::time::timeout(time, exchange).await.unwrap_or(Err(EgressError::Timeout))
    }
}

/// The first `most` bytes of a body. What follows is not waited for.
async fn beginning(response: &mut reqwest::Response, most: usize) -> reqwest::Result<Vec<u8>> {
    // What is announced is made room for at once: growing would take up to three times as much.
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(announced.min(most));
    while body.len() < most
        && let Some(piece) = response.chunk().await?
    {
        body.extend_from_slice(&piece[..piece.len().min(most - body.len())]);
    }
    Ok(body)
}

impl Files for Egress {
    async fn piece(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>, NoFile> {
        let Source::Url(url) = source else { return Err(NoFile::Unreadable("The file is not on the web.".into())) };
        match self.get(Get { url, offset, length }).await {
            Ok(Answer { status: 200 | 206, body, .. }) => Ok(body),
            Ok(Answer { status: 416, .. }) => Ok(Vec::new()), // behind the end
            Ok(Answer { status: 429 | 500.., .. }) => Err(NoFile::Busy),
            Ok(Answer { status, .. }) => Err(NoFile::Unreadable(format!("The server answered status {status}."))),
            Err(error) => Err(NoFile::Unreadable(error.to_string())),
        }
    }
}

/// Mozilla's roots, compiled in, and ring: no scan of the machine's roots, no entropy at start-up (design.md, section 9).
fn tls() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let builder =
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    #[expect(clippy::expect_used, reason = "ring speaks TLS 1.2 and 1.3: every test builds this")]
    let mut config =
        builder.expect("ring supports the default versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// DNS, less what is not public.
struct Names {
    loopback_http: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback_http = self.loopback_http;
        Box::pin(async move {
            // With the switch on, this name means the machine itself, whatever its resolver says.
            if loopback_http && name.as_str() == "localhost" {
                return Ok(Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))) as Addrs);
            }
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(public(found)?.into_iter()) as Addrs)
        })
    }
}

fn public(addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
    let public: Vec<SocketAddr> = addresses.filter(|address| is_public(address.ip())).collect();
    if public.is_empty() { Err(Refusal::NotPublic) } else { Ok(public) }
}

/// Keeps the kind and drops the error: its text has the URL.
fn classify(error: &reqwest::Error) -> EgressError {
    if let Some(refusal) = cause::<Refusal>(error) {
        return EgressError::Refused(*refusal);
    }
    match error {
        _ if error.is_dns() => EgressError::Dns,
        _ if cause::<rustls::Error>(error).is_some() => EgressError::Tls,
        _ if error.is_connect() => EgressError::Connect,
        _ => EgressError::Broken,
    }
}

/// The cause of this type, if there is one. An `io::Error` hides what it wraps from `source`.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Takes connections on loopback and lets `serve` answer each. Counts them.
    async fn a_server<F: Future<Output = ()> + Send>(
        serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4_096]).await;
                serve(stream).await;
            }
        });
        (port, served)
    }

    async fn answering(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
        a_server(move |mut stream| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await
    }

    fn to(url: &str) -> Post<'_> {
        Post { url, headers: &[("x-one", "1")], body: b"{}", timeout: Duration::from_secs(5), answer_bytes: 1_000 }
    }

    /// Finds a public name on this machine, which the real resolver never does.
    struct Misled;

    impl Resolve for Misled {
        fn resolve(&self, name: Name) -> Resolving {
            let found = match name.as_str() {
                "receiver.test" => Ok(Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))) as Addrs),
                "private.test" => Err(Refusal::NotPublic.into()),
                _ => Err(io::Error::other("no such name").into()),
            };
            Box::pin(std::future::ready(found))
        }
    }

    #[tokio::test]
    async fn the_exact_bytes_go_out_and_the_answer_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 201 Created\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nhello")
                .await
                .unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });

        let answer = Egress::new(true).post(to(&format!("http://localhost:{port}/hook"))).await.unwrap();

        assert_eq!(answer, Answer { status: 201, retry_after: Some(Duration::from_secs(7)), body: b"hello".to_vec() });
        let request = server.await.unwrap();
        assert!(
            request.starts_with("POST /hook HTTP/1.1\r\n")
                && request.contains("\r\nx-one: 1\r\n")
                && request.ends_with("\r\n\r\n{}"),
            "{request}"
        );
    }

    /// Serves one file: from the range's beginning, or all of it to whoever does not care.
    async fn a_file(bytes: Vec<u8>, knows_ranges: bool) -> Source {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4_096];
                let length = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8(request[..length].to_vec()).unwrap();
                let range = request.split_once("range: bytes=").unwrap().1.split_once('\r').unwrap().0.to_owned();
                let (first, last) = range.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                let (status, part) = match knows_ranges {
                    false => ("200 OK", &bytes[..]),
                    true if first >= bytes.len() => ("416 Beyond", &[][..]),
                    true => ("206 Partial Content", &bytes[first..bytes.len().min(last + 1)]),
                };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", part.len());
                let _ = stream.write_all(&[head.as_bytes(), part].concat()).await;
            }
        });
        Source::Url(format!("http://localhost:{port}/a.png"))
    }

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|n| (n % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_read_whether_or_not_its_server_knows_ranges() {
        let file = bytes(3_000);
        for knows_ranges in [true, false] {
            let source = a_file(file.clone(), knows_ranges).await;
            let egress = Egress::new(true);

            assert_eq!(egress.piece(&source, 0, 1_000).await.unwrap(), file[..1_000]);
            assert_eq!(egress.piece(&source, 2_500, 1_000).await.unwrap(), file[2_500..]);
            assert!(egress.piece(&source, 5_000, 10).await.unwrap().is_empty());
        }
    }

    /// Contract D29.
    #[tokio::test]
    async fn a_whole_file_is_read_up_to_the_length_that_is_asked_for() {
        let file = bytes(3_000_000);
        for knows_ranges in [true, false] {
            let source = a_file(file.clone(), knows_ranges).await;
            let egress = Egress::new(true);

            assert!(egress.piece(&source, 0, 20_000_000).await.unwrap() == file);
            assert!(egress.piece(&source, 0, 2_000_001).await.unwrap() == file[..2_000_001]);
        }
    }

    #[tokio::test]
    async fn a_server_without_ranges_is_not_made_to_send_all_of_a_large_file() {
        let source = a_file(bytes(2_000_000), false).await;
        let egress = Egress::new(true);

        assert_eq!(egress.piece(&source, 0, 1_000).await.unwrap().len(), 1_000);
        assert!(egress.piece(&source, 1_500_000, 1_000).await.unwrap().is_empty());
    }

    /// Contract D18.
    #[tokio::test]
    async fn files_are_read_from_public_addresses_alone_and_no_redirect_leads_elsewhere() {
        let Source::Url(private) = a_file(bytes(10), true).await else { unreachable!() };
        let (port, _) = a_server(move |mut stream| {
            let answer = format!("HTTP/1.1 302 Found\r\nlocation: {private}\r\ncontent-length: 0\r\n\r\n");
            async move {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let read = async |loopback, url: String| Egress::new(loopback).piece(&Source::Url(url), 0, 10).await;

        let redirected = read(true, format!("http://localhost:{port}/")).await.unwrap_err();
        assert_eq!(redirected.to_string(), "The server answered status 302.");
        for url in
            [format!("http://localhost:{port}/"), "https://169.254.169.254/latest/".into(), "https://10.0.0.1/".into()]
        {
            let refused = read(false, url).await.unwrap_err();
            assert!(refused.to_string().starts_with("The address was refused."), "{refused}");
        }
    }

    /// Contract D18.
    #[tokio::test]
    async fn a_redirect_is_an_answer_and_nobody_follows_it() {
        let (other, visits) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let (port, _) = a_server(move |mut stream| async move {
            let _ = stream
                .write_all(
                    format!(
                        "HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:{other}/\r\ncontent-length: 0\r\n\r\n"
                    )
                    .as_bytes(),
                )
                .await;
        })
        .await;

        let answer = Egress::new(true).post(to(&format!("http://127.0.0.1:{port}"))).await.unwrap();

        assert_eq!((answer.status, visits.load(Ordering::Relaxed)), (307, 0));
    }

    #[tokio::test]
    async fn an_endless_body_is_read_to_the_limit_and_left() {
        let (port, _) = a_server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            while stream.write_all(&[b'x'; 700]).await.is_ok() {}
        })
        .await;

        let answer = Egress::new(true).post(to(&format!("http://127.0.0.1:{port}"))).await.unwrap();

        assert_eq!((answer.status, answer.body.len()), (200, 1_000));
    }

    #[tokio::test]
    async fn silence_and_dripping_both_run_out_of_time() {
        let (silent, _) = a_server(|stream| async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        })
        .await;
        let (dripping, _) = a_server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        for port in [silent, dripping] {
            let url = format!("http://127.0.0.1:{port}");
            let request = Post { timeout: Duration::from_millis(300), ..to(&url) };

            assert_eq!(Egress::new(true).post(request).await, Err(EgressError::Timeout));
        }
    }

    #[tokio::test]
    async fn every_way_to_fail_has_its_own_name() {
        let (speechless, _) = answering("").await;
        let (plain, _) = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let egress = Egress::resolving(Misled, true);
        for (url, expected) in [
            (format!("http://127.0.0.1:{speechless}"), EgressError::Broken),
            (format!("http://127.0.0.1:{nobody}"), EgressError::Connect),
            (format!("https://receiver.test:{plain}"), EgressError::Tls),
            ("https://unknown.test".to_owned(), EgressError::Dns),
            ("https://private.test".to_owned(), EgressError::Refused(Refusal::NotPublic)),
            ("http://receiver.test".to_owned(), EgressError::Refused(Refusal::NotHttps)),
        ] {
            assert_eq!(egress.post(to(&url)).await, Err(expected), "{url}");
        }
    }

    /// Contract D18.
    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused() {
        let found = Names { loopback_http: false }.resolve("localhost".parse().unwrap()).await;

        assert_eq!(found.err().and_then(|error| error.downcast_ref::<Refusal>().copied()), Some(Refusal::NotPublic));
    }

    #[test]
    fn of_several_addresses_only_the_public_ones_are_handed_on() {
        let public_one: SocketAddr = "1.1.1.1:0".parse().unwrap();
        let private: SocketAddr = "10.0.0.1:0".parse().unwrap();

        assert_eq!(public([private, public_one].into_iter()), Ok(vec![public_one]));
        assert_eq!(public([private].into_iter()), Err(Refusal::NotPublic));
    }
}
