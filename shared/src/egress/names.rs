use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;
use super::url::Refusal;

/// A resolver of names.
#[trait_variant::make(Send)]
pub(super) trait Dns: Send + Sync + 'static {
    /// All addresses of a name, with any port.
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's own resolver.
pub(super) struct Resolver;

impl Dns for Resolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// DNS without addresses that are not public.
pub(super) struct PublicNames<D> {
    dns: Arc<D>,
    loopback: bool,
}

impl<D> PublicNames<D> {
    pub(super) fn new(dns: D, loopback: bool) -> Self {
        Self { dns: Arc::new(dns), loopback }
    }
}

impl<D: Dns> Resolve for PublicNames<D> {
    fn resolve(&self, name: Name) -> Resolving {
        let (dns, loopback) = (Arc::clone(&self.dns), self.loopback);
        Box::pin(async move {
            // With the switch on, this name means the machine itself, whatever its resolver says.
            if loopback && name.as_str() == "localhost" {
                return Ok(Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))) as Addrs);
            }
            let found = dns.addresses(name.as_str()).await?;
            Ok(Box::new(public(found)?.into_iter()) as Addrs)
        })
    }
}

fn public(mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
    addresses.retain(|address| is_public(address.ip()));
    if addresses.is_empty() { Err(Refusal::NotPublic) } else { Ok(addresses) }
}
