mod tls;
mod tricks;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::dns::{Addrs, Name, Resolving};

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
        stream.write_all(b"HTTP/1.1 201 Created\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    });

    let answer = Egress::new(true).post(to(&format!("http://localhost:{port}/hook"))).await.unwrap();

    assert_eq!(
        answer,
        Answer {
            status: 201,
            content_type: None,
            packing: None,
            retry_after: Some(Duration::from_secs(7)),
            body: b"hello".to_vec()
        }
    );
    let request = server.await.unwrap();
    assert!(
        request.starts_with("POST /hook HTTP/1.1\r\n")
            && request.contains("\r\nx-one: 1\r\n")
            && request.ends_with("\r\n\r\n{}"),
        "{request}"
    );
}

/// Serves one file: from the range's beginning, or all of it without ranges.
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
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (other, visits) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for to_where in [
        format!("http://127.0.0.1:{other}/"),
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/".into(),
        "//169.254.169.254/".into(),
        "file:///etc/passwd".into(),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let (port, _) = a_server({
                let answer =
                    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {to_where}\r\ncontent-length: 0\r\n\r\n");
                move |mut stream| {
                    let answer = answer.clone();
                    async move { drop(stream.write_all(answer.as_bytes()).await) }
                }
            })
            .await;

            let answer = Egress::new(true).post(to(&format!("http://127.0.0.1:{port}"))).await.unwrap();

            assert_eq!((answer.status, visits.load(Ordering::Relaxed)), (status, 0));
        }
    }
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

        assert_eq!(Egress::new(true).post(request).await, Err(EgressError::Timeout(request.timeout)));
    }
}

#[tokio::test]
async fn every_way_to_fail_has_its_own_name() {
    let (speechless, _) = answering("").await;
    let (plain, _) = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let egress = Egress::with(Misled, true, super::tls::roots("").unwrap());
    for (url, expected) in [
        (format!("http://127.0.0.1:{speechless}"), EgressError::Broken),
        (format!("http://127.0.0.1:{closed}"), EgressError::Connect),
        (format!("https://receiver.test:{plain}"), EgressError::Tls(TlsError::Other)),
        ("https://unknown.test".to_owned(), EgressError::Dns),
        ("https://private.test".to_owned(), EgressError::Refused(Refusal::NotPublic)),
        ("http://receiver.test".to_owned(), EgressError::Refused(Refusal::NotHttps)),
    ] {
        assert_eq!(egress.post(to(&url)).await, Err(expected), "{url}");
    }
}

/// Contract D29.
#[tokio::test]
async fn a_file_is_worth_another_try_where_the_connection_may_be_better_next_time() {
    let (speechless, _) = answering("").await;
    let (busy, _) = answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let (gone, _) = answering("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let egress = Egress::with(Misled, true, super::tls::roots("").unwrap());
    let again = |sentence: &str| NoFile::Busy(sentence.into());
    let lost = |sentence: &str| NoFile::Unreadable(sentence.into());
    for (url, expected) in [
        (format!("http://127.0.0.1:{busy}"), again("The server answered status 503.")),
        (format!("http://127.0.0.1:{speechless}"), again("The connection broke before the answer was complete.")),
        (format!("http://127.0.0.1:{closed}"), again("The host could not be connected to.")),
        ("https://unknown.test".to_owned(), again("The host name could not be resolved.")),
        (format!("http://127.0.0.1:{gone}"), lost("The server answered status 410.")),
        ("https://private.test".to_owned(), lost(&EgressError::Refused(Refusal::NotPublic).to_string())),
    ] {
        assert_eq!(egress.piece(&Source::Url(url.clone()), 0, 10).await, Err(expected), "{url}");
    }
}

#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
        tokio::time::timeout(Duration::from_millis(100), listener.accept()).await.is_err()
    });
    let egress = Egress::new(true);

    for _ in 0..3 {
        assert_eq!(egress.post(to(&url)).await.unwrap().body, b"ok");
    }

    assert!(server.await.unwrap(), "there is no second connection");
}

#[tokio::test]
async fn long_bodies_wait_for_room_and_short_ones_are_read_beside_them() {
    let long = LONG_BYTES as usize;
    let egress = Egress::new(true);
    for (length, waits) in [(long, false), (long + 1, true)] {
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(length));
        let (port, _) = answering(Box::leak(answer.into_boxed_str())).await;
        let url = format!("http://127.0.0.1:{port}");
        let request = Post { answer_bytes: 2 * long, ..to(&url) };

        let full = egress.room.acquire_many(ROOM_BYTES).await.unwrap();
        let beside = timeout(Duration::from_millis(500), egress.post(request)).await;
        drop(full);
        let alone = egress.post(request).await.unwrap();

        assert_eq!(beside.is_err(), waits, "{length}");
        assert_eq!(alone.body.len(), length);
    }
}

#[tokio::test]
async fn what_a_long_body_waits_for_room_is_not_the_servers_time() {
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(1 << 20));
    let (port, _) = answering(Box::leak(answer.into_boxed_str())).await;
    let url = format!("http://127.0.0.1:{port}");
    let egress = Egress::new(true);
    let full = egress.room.acquire_many(ROOM_BYTES).await.unwrap();
    let later = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        drop(full);
    };
    let request = Post { timeout: Duration::from_millis(500), answer_bytes: 1 << 20, ..to(&url) };

    let (answer, ()) = tokio::join!(egress.post(request), later);

    assert_eq!(answer.unwrap().body.len(), 1 << 20);
}

#[tokio::test]
async fn a_long_body_takes_as_much_room_as_it_announces_or_else_as_it_may_have() {
    for (announced, room) in [("content-length: 1048576\r\n", 1 << 20), ("", 6 << 20)] {
        let body = "x".repeat(1 << 19);
        let head = format!("HTTP/1.1 200 OK\r\n{announced}\r\n");
        let (port, _) = a_server(move |mut stream| {
            let half = format!("{head}{body}");
            async move {
                let _ = stream.write_all(half.as_bytes()).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        })
        .await;
        let url = format!("http://127.0.0.1:{port}");
        let egress = Egress::new(true);
        let request = Post { answer_bytes: 6 << 20, ..to(&url) };

        let reading = timeout(Duration::from_millis(500), async {
            let _ = egress.post(request).await;
        });
        let taken = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            ROOM_BYTES as usize - egress.room.available_permits()
        };

        let (unfinished, taken) = tokio::join!(reading, taken);
        assert!(unfinished.is_err());
        assert_eq!(taken, room);
        assert_eq!(egress.room.available_permits(), ROOM_BYTES as usize, "a reader that gives up frees its room");
    }
}
