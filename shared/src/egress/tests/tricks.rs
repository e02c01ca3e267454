//! Ways to lead a server to its own network, and what becomes of each (issue 4; OWASP, "Server Side Request Forgery
//! Prevention").

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use super::*;
use crate::egress::names::Dns;

/// Addresses as they are written, and why each is refused.
const WRITTEN: &[(&str, Refusal)] = &[
    // Every part of the machine's own, private and special networks.
    ("https://127.0.0.1/", Refusal::NotPublic),
    ("https://127.255.255.254/", Refusal::NotPublic),
    ("https://0.0.0.0/", Refusal::NotPublic),
    ("https://0.1.2.3/", Refusal::NotPublic),
    ("https://10.0.0.1/", Refusal::NotPublic),
    ("https://10.255.255.255/", Refusal::NotPublic),
    ("https://172.16.0.1/", Refusal::NotPublic),
    ("https://172.31.255.255/", Refusal::NotPublic),
    ("https://192.168.0.1/", Refusal::NotPublic),
    ("https://169.254.0.1/", Refusal::NotPublic),
    ("https://100.64.0.1/", Refusal::NotPublic),
    ("https://100.127.255.255/", Refusal::NotPublic),
    ("https://192.0.0.8/", Refusal::NotPublic),
    ("https://192.0.2.1/", Refusal::NotPublic),
    ("https://192.88.99.1/", Refusal::NotPublic),
    ("https://198.18.0.1/", Refusal::NotPublic),
    ("https://198.19.255.255/", Refusal::NotPublic),
    ("https://198.51.100.1/", Refusal::NotPublic),
    ("https://203.0.113.1/", Refusal::NotPublic),
    ("https://224.0.0.1/", Refusal::NotPublic),
    ("https://239.255.255.250/", Refusal::NotPublic),
    ("https://240.0.0.1/", Refusal::NotPublic),
    ("https://255.255.255.255/", Refusal::NotPublic),
    // Metadata of the clouds.
    ("https://169.254.169.254/latest/meta-data/", Refusal::NotPublic),
    ("https://169.254.170.2/v2/credentials", Refusal::NotPublic),
    ("https://100.100.100.200/latest/meta-data/", Refusal::NotPublic),
    ("https://192.0.0.192/opc/v2/", Refusal::NotPublic),
    ("https://[fd00:ec2::254]/latest/", Refusal::NotPublic),
    ("https://metadata.google.internal/computeMetadata/v1/", Refusal::NotPublic),
    ("https://METADATA.GOOGLE.INTERNAL./", Refusal::NotPublic),
    ("https://instance-data.ec2.internal/", Refusal::NotPublic),
    // Other spellings of IPv4: decimal, octal, hexadecimal, short, mixed, padded, with a last dot.
    ("https://2130706433/", Refusal::NotPublic),
    ("https://2852039166/", Refusal::NotPublic),
    ("https://0177.0.0.1/", Refusal::NotPublic),
    ("https://017700000001/", Refusal::NotPublic),
    ("https://0251.0376.0251.0376/", Refusal::NotPublic),
    ("https://0x7f000001/", Refusal::NotPublic),
    ("https://0x7f.0x0.0x0.0x1/", Refusal::NotPublic),
    ("https://0xA9.254.0251.0xfe/", Refusal::NotPublic),
    ("https://127.1/", Refusal::NotPublic),
    ("https://127.0.1/", Refusal::NotPublic),
    ("https://10.1/", Refusal::NotPublic),
    ("https://169.254.43518/", Refusal::NotPublic),
    ("https://0/", Refusal::NotPublic),
    ("https://127.000.000.001/", Refusal::NotPublic),
    ("https://127.0.0.1./", Refusal::NotPublic),
    // In figures and dots of other scripts, and percent-encoded.
    ("https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", Refusal::NotPublic),
    ("https://\u{2460}\u{2461}\u{2466}.0.0.1/", Refusal::NotPublic),
    ("https://169\u{3002}254\u{3002}169\u{3002}254/", Refusal::NotPublic),
    ("https://127\u{ff0e}0\u{ff61}0.1/", Refusal::NotPublic),
    ("https://%31%32%37.0.0.1/", Refusal::NotPublic),
    ("https://127%2e0%2e0%2e1/", Refusal::NotPublic),
    ("https://%6c%6f%63%61%6c%68%6f%73%74/", Refusal::NotPublic),
    ("https://127.0.0.1\u{ad}/", Refusal::NotPublic),
    // IPv6, and IPv4 inside of it: mapped, compatible, translated, 6to4, Teredo.
    ("https://[::1]/", Refusal::NotPublic),
    ("https://[::]/", Refusal::NotPublic),
    ("https://[0:0:0:0:0:0:0:1]/", Refusal::NotPublic),
    ("https://[::ffff:127.0.0.1]/", Refusal::NotPublic),
    ("https://[::ffff:a9fe:a9fe]/", Refusal::NotPublic),
    ("https://[0:0:0:0:0:ffff:10.0.0.1]/", Refusal::NotPublic),
    ("https://[::127.0.0.1]/", Refusal::NotPublic),
    ("https://[::ffff:0:127.0.0.1]/", Refusal::NotPublic),
    ("https://[64:ff9b::169.254.169.254]/", Refusal::NotPublic),
    ("https://[64:ff9b:1::7f00:1]/", Refusal::NotPublic),
    ("https://[2002:7f00:1::]/", Refusal::NotPublic),
    ("https://[2002:a9fe:a9fe::1]/", Refusal::NotPublic),
    ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", Refusal::NotPublic),
    ("https://[2001:db8::1]/", Refusal::NotPublic),
    ("https://[3fff::1]/", Refusal::NotPublic),
    ("https://[fc00::1]/", Refusal::NotPublic),
    ("https://[fe80::1]/", Refusal::NotPublic),
    ("https://[fec0::1]/", Refusal::NotPublic),
    ("https://[ff02::1]/", Refusal::NotPublic),
    ("https://[100::1]/", Refusal::NotPublic),
    ("https://[fe80::1%25eth0]/", Refusal::NotAUrl),
    ("https://[fe80::1%eth0]/", Refusal::NotAUrl),
    ("https://[::1", Refusal::NotAUrl),
    // Names of this machine and its network.
    ("https://localhost/", Refusal::NotPublic),
    ("https://LocalHost/", Refusal::NotPublic),
    ("https://localhost./", Refusal::NotPublic),
    ("https://model.localhost/", Refusal::NotPublic),
    ("https://\u{24c1}ocalhost/", Refusal::NotPublic),
    ("https://printer.local/", Refusal::NotPublic),
    ("https://router.home.arpa/", Refusal::NotPublic),
    // Texts that resemble one host and lead to another.
    ("https://model.example@169.254.169.254/", Refusal::Credentials),
    ("https://model.example:443@10.0.0.1/", Refusal::Credentials),
    ("https://169.254.169.254@model.example/", Refusal::Credentials),
    ("https://%20@127.0.0.1/", Refusal::Credentials),
    ("https://model.example%40127.0.0.1/", Refusal::NotAUrl),
    ("https://127.0.0.1\\@model.example/", Refusal::NotAUrl),
    ("https://model.example\\@127.0.0.1/", Refusal::NotAUrl),
    ("https:\\\\127.0.0.1\\", Refusal::NotAUrl),
    ("https://127.0.0.1\t/", Refusal::NotAUrl),
    ("https://model.example\n@127.0.0.1/", Refusal::NotAUrl),
    ("https://model.example\r\nHost: 127.0.0.1/", Refusal::NotAUrl),
    ("\thttps://127.0.0.1/", Refusal::NotAUrl),
    ("https://model.example\0.evil.example/", Refusal::NotAUrl),
    ("https://model example/", Refusal::NotAUrl),
    ("https://model.example#@127.0.0.1/", Refusal::Fragment),
    ("https:///127.0.0.1/", Refusal::NotPublic),
    ("https:127.0.0.1", Refusal::NotPublic),
    ("//127.0.0.1/", Refusal::NotAUrl),
    // Other schemes and ports.
    ("http://169.254.169.254/latest/meta-data/", Refusal::NotHttps),
    ("http://model.example/", Refusal::NotHttps),
    ("file:///proc/self/environ", Refusal::NotHttps),
    ("gopher://127.0.0.1:6379/_FLUSHALL", Refusal::NotHttps),
    ("dict://127.0.0.1:11211/", Refusal::NotHttps),
    ("ftp://127.0.0.1/", Refusal::NotHttps),
    ("data:application/json,{}", Refusal::NotHttps),
    ("javascript:0", Refusal::NotHttps),
    ("https://127.0.0.1:65536/", Refusal::NotAUrl),
    ("https://", Refusal::NotAUrl),
];

/// Names that seem innocent, and what DNS says of each: all of it must be refused.
const NAMED: &[(&str, &[&str])] = &[
    ("loopback.example", &["127.0.0.1"]),
    ("127.0.0.1.nip.example", &["127.0.0.1"]),
    ("metadata.example", &["169.254.169.254"]),
    ("private.example", &["10.0.0.7", "192.168.1.1", "172.16.0.1"]),
    ("shared.example", &["100.64.0.1"]),
    ("broadcast.example", &["255.255.255.255"]),
    ("multicast.example", &["224.0.0.1", "ff02::1"]),
    ("six.example", &["::1"]),
    ("unique.example", &["fd00:ec2::254"]),
    ("link.example", &["fe80::1"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("translated.example", &["64:ff9b::7f00:1"]),
    ("tunnelled.example", &["2002:7f00:1::"]),
    ("nowhere.example", &["0.0.0.0", "::"]),
    ("intranet", &["10.1.1.1"]),
    ("nothing.example", &[]),
];

/// DNS that answers each name by a script, in turn and then always the last.
#[derive(Default)]
struct Book {
    pages: HashMap<&'static str, Mutex<Vec<Vec<SocketAddr>>>>,
    lookups: Arc<AtomicUsize>,
}

impl Book {
    fn with(mut self, name: &'static str, says: &[&[&str]]) -> Self {
        let address = |text: &&str| SocketAddr::from((text.parse::<IpAddr>().unwrap(), 0));
        let says = says.iter().rev().map(|addresses| addresses.iter().map(address).collect()).collect();
        self.pages.insert(name, Mutex::new(says));
        self
    }
}

impl Dns for Book {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let mut says = self.pages[name].lock().unwrap();
        Ok(if says.len() > 1 { says.pop().unwrap() } else { says[0].clone() })
    }
}

fn egress(dns: impl Dns) -> Egress {
    Egress::with(PublicNames::new(dns, false), false, crate::egress::tls::roots("").unwrap())
}

/// Contract D18.
#[tokio::test]
async fn no_spelling_of_an_address_that_is_not_public_is_called() {
    assert!(WRITTEN.len() >= 100);
    let egress = egress(Book::default());
    for (url, refusal) in WRITTEN {
        assert_eq!(check_url(url, false).err(), Some(*refusal), "{url:?}");
        assert_eq!(egress.post(to(url)).await, Err(EgressError::Refused(*refusal)), "{url:?}");
    }
}

/// Contract D18.
#[test]
fn the_neighbours_of_what_is_refused_pass() {
    for url in [
        "https://1.0.0.0/",
        "https://9.255.255.255/",
        "https://11.0.0.0/",
        "https://100.63.255.255/",
        "https://100.128.0.0/",
        "https://126.255.255.255/",
        "https://128.0.0.0/",
        "https://169.253.255.255/",
        "https://169.255.0.0/",
        "https://172.15.255.255/",
        "https://172.32.0.0/",
        "https://192.0.1.0/",
        "https://192.0.3.0/",
        "https://192.88.98.255/",
        "https://192.167.255.255/",
        "https://192.169.0.0/",
        "https://198.17.255.255/",
        "https://198.20.0.0/",
        "https://223.255.255.255/",
        "https://134744072/",
        "https://0x08.8.010.8/",
        "https://[2001:200::1]/",
        "https://[2001:db9::1]/",
        "https://[2003::1]/",
        "https://[2606:4700::1111]/",
        "https://mylocalhost.example/",
        "https://localhost.example/",
        "https://international/",
        "https://model.example/?next=//127.0.0.1",
    ] {
        assert!(check_url(url, false).is_ok(), "{url}");
    }
}

/// Contract D18.
#[tokio::test]
async fn no_name_leads_where_its_address_would_not() {
    let book = NAMED.iter().fold(Book::default(), |book, (name, says)| book.with(name, &[says]));
    let lookups = Arc::clone(&book.lookups);
    let egress = egress(book);
    for (name, _) in NAMED {
        let url = format!("https://{name}/");
        assert!(check_url(&url, false).is_ok(), "{name}: nothing about the name itself is wrong");

        assert_eq!(egress.post(to(&url)).await, Err(EgressError::Refused(Refusal::NotPublic)), "{name}");
    }
    assert_eq!(lookups.load(Ordering::Relaxed), NAMED.len());
}

/// Contract D18.
#[tokio::test]
async fn a_name_is_resolved_once_for_a_call_and_what_it_meant_before_counts_for_nothing() {
    let (port, visits) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let book = Book::default().with("rebinding.example", &[&["93.184.215.14"], &["127.0.0.1"]]);
    let lookups = Arc::clone(&book.lookups);
    let names = PublicNames::new(book, false);

    // A client that checks first and connects later gets a public address now, and this machine's own afterwards.
    let checked = names.resolve("rebinding.example".parse().unwrap()).await.unwrap().next();
    let egress = Egress::with(names, false, crate::egress::tls::roots("").unwrap());
    let called = egress.post(to(&format!("https://rebinding.example:{port}/"))).await;

    assert_eq!(checked, Some("93.184.215.14:0".parse().unwrap()));
    assert_eq!(called, Err(EgressError::Refused(Refusal::NotPublic)));
    assert_eq!((lookups.load(Ordering::Relaxed), visits.load(Ordering::Relaxed)), (2, 0));
}

#[tokio::test]
async fn of_several_addresses_only_the_public_ones_are_handed_on() {
    let names = PublicNames::new(
        Book::default().with("both.example", &[&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]]),
        false,
    );

    let found: Vec<SocketAddr> = names.resolve("both.example".parse().unwrap()).await.unwrap().collect();

    assert_eq!(found, ["1.1.1.1:0".parse().unwrap(), "[2606:4700::1111]:0".parse().unwrap()]);
}

/// Contract D18.
#[tokio::test]
async fn the_machines_own_resolver_cannot_make_its_own_names_public() {
    let found = PublicNames::new(Resolver, false).resolve("localhost".parse().unwrap()).await;

    assert_eq!(found.err().and_then(|error| error.downcast_ref::<Refusal>().copied()), Some(Refusal::NotPublic));
}

/// A resolver that never answers.
struct Silent;

impl Dns for Silent {
    async fn addresses(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_name_that_hangs_runs_out_of_time() {
    let request = Post { timeout: Duration::from_millis(100), ..to("https://hanging.example/") };

    assert_eq!(egress(Silent).post(request).await, Err(EgressError::Timeout(request.timeout)));
}
