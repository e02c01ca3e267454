//! Servers with certificates: which are trusted, what HTTP is spoken, and how answers are packed.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use h2::server::SendResponse;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn an_authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "An enterprise's own");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Of a host, valid until this year.
fn certificate(host: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
    params
}

/// What a server shows, signed by this authority or else by itself.
fn shown(params: &CertificateParams, by: Option<&Authority>, protocol: &[u8]) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let signed = match by {
        Some(authority) => params.signed_by(&key, authority),
        None => params.self_signed(&key),
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = key.serialize_der().try_into().unwrap();
    let mut config = builder.with_single_cert(vec![signed.unwrap().der().clone()], key).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Takes connections on loopback; whose handshakes succeed, `serve` serves. Counts those.
async fn a_tls_server<F: Future<Output = ()> + Send + 'static>(
    acceptor: TlsAcceptor,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream));
            }
        }
    });
    (port, served)
}

async fn over_http1(mut stream: TlsStream<TcpStream>, answer: Vec<u8>) {
    let _ = stream.read(&mut [0; 4_096]).await;
    let _ = stream.write_all(&answer).await;
}

/// Answers every request of a connection, whatever their order, after all of them have come.
async fn over_http2(stream: TlsStream<TcpStream>, at_once: usize) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut waiting: Vec<SendResponse<Bytes>> = Vec::new();
    while let Some(request) = connection.accept().await {
        waiting.push(request.unwrap().1);
        if waiting.len() == at_once {
            for mut request in waiting.drain(..) {
                let mut body = request.send_response(http::Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"{}"), true).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_server_of_the_deployments_own_authority_is_asked_by_many_calls_over_one_http2_connection() {
    let authority = an_authority();
    let acceptor = shown(&certificate("localhost", 2100), Some(&authority), b"h2");
    let (port, connections) = a_tls_server(acceptor, |stream| over_http2(stream, 3)).await;
    let egress = Egress::trusting(true, &authority.pem()).unwrap();
    let url = format!("https://localhost:{port}/detect");

    for _ in 0..2 {
        let three = tokio::join!(egress.post(to(&url)), egress.post(to(&url)), egress.post(to(&url)));
        for answer in [three.0, three.1, three.2] {
            assert_eq!(answer.unwrap().body, b"{}");
        }
    }

    // The first three may each begin before it is known that the server speaks HTTP/2.
    assert!(connections.load(Ordering::Relaxed) <= 3, "{connections:?}");
    assert!(egress.post(Post { timeout: Duration::from_millis(300), ..to(&url) }).await.is_err(), "it waits for three");
}

/// Answers every request of a connection with so many bytes.
async fn at_length_over_http2(stream: TlsStream<TcpStream>, bytes: usize) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut request))) = connection.accept().await {
        let mut body = request.send_response(http::Response::new(()), false).unwrap();
        body.send_data(Bytes::from(vec![b' '; bytes]), true).unwrap();
    }
}

#[tokio::test]
async fn long_answers_of_one_http2_connection_do_not_starve_each_other() {
    let length = 1 << 20;
    let authority = an_authority();
    let acceptor = shown(&certificate("localhost", 2100), Some(&authority), b"h2");
    let (port, connections) = a_tls_server(acceptor, move |stream| at_length_over_http2(stream, length)).await;
    let egress = Egress::trusting(true, &authority.pem()).unwrap();
    let call = || {
        let (egress, url) = (egress.clone(), format!("https://localhost:{port}/detect"));
        tokio::spawn(async move {
            let request = Post { timeout: Duration::from_secs(10), answer_bytes: 6 << 20, ..to(&url) };
            egress.post(request).await.map(|answer| answer.body.len())
        })
    };
    call().await.unwrap().unwrap(); // from here on it is known that the server speaks HTTP/2

    let calls: Vec<_> = (0..64).map(|_| call()).collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(length));
    }

    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_own_name_and_nothing_is_sent() {
    let (ours, strangers) = (an_authority(), an_authority());
    let egress = Egress::trusting(true, &ours.pem()).unwrap();
    let good = certificate("localhost", 2100);
    let mut early = good.clone();
    early.not_before = date_time_ymd(2099, 1, 1);
    let mut own_authority = good.clone();
    own_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (params, by, expected) in [
        (&certificate("localhost", 2001), Some(&ours), TlsError::Expired),
        (&early, Some(&ours), TlsError::Expired),
        (&certificate("model.example", 2100), Some(&ours), TlsError::WrongName),
        (&certificate("127.0.0.1", 2100), Some(&ours), TlsError::WrongName),
        (&good, Some(&strangers), TlsError::UnknownAuthority),
        (&good, None, TlsError::UnknownAuthority),
        (&own_authority, None, TlsError::UnknownAuthority),
    ] {
        let acceptor = shown(params, by, b"http/1.1");
        let (port, served) = a_tls_server(acceptor, |stream| over_http1(stream, Vec::new())).await;

        let refused = egress.post(to(&format!("https://localhost:{port}/"))).await;

        assert_eq!(refused, Err(EgressError::Tls(expected)));
        assert_eq!(served.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn without_the_setting_an_authority_of_ones_own_is_a_strangers() {
    let authority = an_authority();
    let acceptor = shown(&certificate("localhost", 2100), Some(&authority), b"http/1.1");
    let (port, _) = a_tls_server(acceptor, |stream| over_http1(stream, Vec::new())).await;

    let refused = Egress::new(true).post(to(&format!("https://localhost:{port}/"))).await;

    assert_eq!(refused, Err(EgressError::Tls(TlsError::UnknownAuthority)));
}

#[test]
fn what_is_no_certificate_is_no_further_authority() {
    let pem = an_authority().pem();
    for good in ["", " \n", &pem, &format!("# ours\n{pem}\n{pem}")] {
        assert!(Egress::trusting(false, good).is_ok(), "{good}");
    }
    let broken = pem.replacen("MII", "MIX", 1);
    let key = KeyPair::generate().unwrap().serialize_pem();
    for bad in ["nonsense", &pem[..pem.len() / 2], &broken, &key] {
        assert_eq!(Egress::trusting(false, bad).unwrap_err(), BadRoots, "{bad}");
    }
}

fn packed(length: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let zeros = vec![b' '; 1 << 20];
    let mut left = length;
    while left > 0 {
        let part = left.min(zeros.len());
        gzip.write_all(&zeros[..part]).unwrap();
        left -= part;
    }
    gzip.finish().unwrap()
}

/// Answers these bytes, as packed by gzip.
async fn packing(body: Vec<u8>) -> u16 {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let answer = [head.into_bytes(), body].concat();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let length = stream.read(&mut request).await.unwrap();
        assert!(String::from_utf8_lossy(&request[..length]).contains("\r\naccept-encoding: gzip\r\n"));
        let _ = stream.write_all(&answer).await;
    });
    port
}

#[tokio::test]
async fn a_packed_answer_is_unpacked_up_to_the_limit() {
    for (length, read) in [(10, 10), (1_000, 1_000), (1_001, 1_000), (4 << 20, 1_000)] {
        let port = packing(packed(length)).await;

        let answer = Egress::new(true).post(to(&format!("http://127.0.0.1:{port}/"))).await.unwrap();

        assert_eq!(answer.body.len(), read, "of {length}");
    }
}

#[tokio::test]
async fn an_answer_that_is_badly_packed_is_a_broken_one() {
    let port = packing(b"not gzip at all".to_vec()).await;

    let broken = Egress::new(true).post(to(&format!("http://127.0.0.1:{port}/"))).await;

    assert_eq!(broken, Err(EgressError::Broken));
}
