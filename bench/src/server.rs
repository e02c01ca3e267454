//! A stand-in on a thread of its own.

use std::future::Future;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http::{Request, Response};

use crate::http1::listen;

/// Serves on a port of loopback until the process ends.
///
/// # Errors
/// There is no thread or no port left.
pub fn start<H, F>(handler: H) -> Result<SocketAddr>
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Bytes>> + Send,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (tell, told) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        runtime.block_on(async move {
            // Nobody waits for the address any more if there is no thread to serve it.
            let _ = tell.send(listen(handler).await);
            std::future::pending::<()>().await;
        });
    })?;
    told.recv().map_err(Error::other)?
}
