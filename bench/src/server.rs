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
    let (sender, address) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        runtime.block_on(async move {
            // The receiver is gone if there is no thread to serve the address.
            let _ = sender.send(listen(handler).await);
            std::future::pending::<()>().await;
        });
    })?;
    address.recv().map_err(Error::other)?
}
