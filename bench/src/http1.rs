//! An HTTP/1.1 server as small as the stand-ins need: whole bodies, connections that stay open.
//!
//! Not hyper's: its feature `server` is one that no function has, and every AWS crate would be built a second time with it.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An empty answer.
#[must_use]
pub fn status(code: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = code;
    response
}

/// Serves on a port of loopback's own choice, until the runtime ends; each connection by a task of its own.
///
/// # Errors
/// There is no port left.
pub async fn listen<H, F>(handler: H) -> Result<SocketAddr>
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Bytes>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            // A connection that is closed in the middle of a call concerns its caller alone.
            tokio::spawn(async move { unhurried(stream, &*handler).await });
        }
    });
    Ok(address)
}

async fn unhurried<H, F>(stream: TcpStream, handler: &H) -> Result<()>
where
    H: Fn(Request<Bytes>) -> F + Sync,
    F: Future<Output = Response<Bytes>> + Send,
{
    stream.set_nodelay(true)?;
    serve(stream, handler).await
}

/// Serves one connection, call after call, until the client closes it.
///
/// # Errors
/// The connection broke, or what came is no HTTP/1.1.
pub async fn serve<S, H, F>(mut stream: S, handler: &H) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Fn(Request<Bytes>) -> F + Sync,
    F: Future<Output = Response<Bytes>> + Send,
{
    let mut received = BytesMut::with_capacity(16 * 1024);
    while let Some(mut request) = head(&mut stream, &mut received).await? {
        *request.body_mut() = body(&mut stream, &mut received, request.headers()).await?;
        let response = handler(request).await;
        stream.write_all(&written(&response)).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// The next request, still without its body; none if the client has closed the connection between two.
async fn head<S: AsyncRead + Unpin>(stream: &mut S, received: &mut BytesMut) -> Result<Option<Request<Bytes>>> {
    loop {
        if let Some((request, length)) = parsed(received)? {
            received.advance(length);
            return Ok(Some(request));
        }
        if stream.read_buf(received).await? == 0 {
            return if received.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// The head and its length, if all of it is there.
fn parsed(received: &[u8]) -> Result<Option<(Request<Bytes>, usize)>> {
    let mut headers = [EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let Status::Complete(length) = head.parse(received).map_err(invalid)? else { return Ok(None) };
    let mut request = Request::builder().method(head.method.unwrap_or_default()).uri(head.path.unwrap_or_default());
    for header in head.headers {
        let value = HeaderValue::from_bytes(header.value).map_err(invalid)?;
        request = request.header(HeaderName::from_bytes(header.name.as_bytes()).map_err(invalid)?, value);
    }
    Ok(Some((request.body(Bytes::new()).map_err(invalid)?, length)))
}

async fn body<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    received: &mut BytesMut,
    headers: &HeaderMap,
) -> Result<Bytes> {
    if headers.contains_key(EXPECT) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return chunks(stream, received).await;
    }
    let Some(length) = headers.get(CONTENT_LENGTH) else { return Ok(Bytes::new()) };
    let length = length.to_str().ok().and_then(|text| text.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    exactly(stream, received, length).await
}

/// A body whose length was not known at its start: pieces, each after its length in hexadecimal digits, the last of them empty.
async fn chunks<S: AsyncRead + Unpin>(stream: &mut S, received: &mut BytesMut) -> Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        match httparse::parse_chunk_size(received).map_err(|_| ErrorKind::InvalidData)? {
            Status::Complete((start, size)) => {
                received.advance(start);
                let size = usize::try_from(size).map_err(invalid)?;
                let piece = exactly(stream, received, size + 2).await?; // a line's end follows
                body.extend_from_slice(&piece[..size]);
                if size == 0 {
                    return Ok(body.freeze());
                }
            }
            Status::Partial => more(stream, received).await?,
        }
    }
}

async fn exactly<S: AsyncRead + Unpin>(stream: &mut S, received: &mut BytesMut, length: usize) -> Result<Bytes> {
    while received.len() < length {
        more(stream, received).await?;
    }
    Ok(received.split_to(length).freeze())
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, received: &mut BytesMut) -> Result<()> {
    if stream.read_buf(received).await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Head and body in one piece, so that a small answer is one packet.
fn written(response: &Response<Bytes>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + response.body().len());
    bytes.extend_from_slice(format!("HTTP/1.1 {}\r\n", response.status()).as_bytes());
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", response.body().len()).as_bytes());
    bytes.extend_from_slice(response.body());
    bytes
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends these bytes to a server that answers with the request's method, path and body, and gives what comes back.
    async fn echoed(sent: &[u8]) -> String {
        let address = listen(async |request: Request<Bytes>| {
            let body = String::from_utf8_lossy(request.body()).into_owned();
            Response::new(format!("{} {} {body}", request.method(), request.uri()).into())
        });
        let mut stream = TcpStream::connect(address.await.unwrap()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_connection_serves_one_call_after_another() {
        let answer = echoed(b"GET /a HTTP/1.1\r\n\r\nPUT /b HTTP/1.1\r\ncontent-length: 3\r\n\r\nxyz").await;
        let one = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nGET /a ";
        assert_eq!(answer, format!("{one}HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nPUT /b xyz"));
    }

    #[tokio::test]
    async fn a_body_in_chunks_is_put_together() {
        let sent = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert!(echoed(sent).await.ends_with("POST / abcde"));
    }

    #[tokio::test]
    async fn a_client_that_asks_before_it_sends_a_body_may_send_it() {
        let answer = echoed(b"PUT / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx").await;
        assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
    }
}
