//! Two independent implementations of DynamoDB, each a process of its own, and tables on them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use shared::lambda::Aws;
use shared::store::Store;

use super::faulty::{Fate, way_to};
use crate::repository;

/// Generous: a cold disk reads a lot of Python.
const START: Duration = Duration::from_secs(60);
/// So is this, for one attempt of a call: a Lambda's timeouts are for a table that answers in milliseconds, and what
/// is tested here must not depend on what else the machine is doing.
const ATTEMPT: Duration = Duration::from_secs(60);

/// An empty table on the emulator that the local stack runs on.
pub(crate) async fn ministack() -> Store {
    a_store(&MINISTACK).await
}

/// An empty table on the second opinion.
pub(crate) async fn moto() -> Store {
    a_store(&MOTO).await
}

/// One table on the emulator, seen twice: as it is, and on a way on which the first calls meet these fates.
pub(crate) async fn faulty(fates: &[Fate]) -> (Store, Store) {
    let server = MINISTACK.as_ref().unwrap_or_else(|why| panic!("{why}"));
    let (client, table) = server.table().await;
    (Store::new(client, &table), Store::new(server.client(way_to(&server.url, fates)).await, table))
}

/// An empty table on each implementation, and the way to change it past the store.
pub(crate) async fn both_bare() -> Vec<(Store, Client, String)> {
    let mut tables = Vec::new();
    for server in [&MINISTACK, &MOTO] {
        let server = server.as_ref().unwrap_or_else(|why| panic!("{why}"));
        let (client, table) = server.table().await;
        tables.push((Store::new(client.clone(), &table), client, table));
    }
    tables
}

/// By the first test that needs it; if it cannot be, every test says why.
type Started = LazyLock<Result<Server, String>>;

static MOTO: Started = LazyLock::new(|| Server::start("moto"));
static MINISTACK: Started = LazyLock::new(|| Server::start("ministack"));

async fn a_store(server: &Started) -> Store {
    match &**server {
        Ok(server) => server.store().await,
        Err(why) => panic!("{why}"),
    }
}

/// A running server. It ends with this process, however that ends: see `serve.py`.
struct Server {
    url: String,
    tables: AtomicUsize,
    _process: Child,
}

impl Server {
    fn start(name: &str) -> Result<Self, String> {
        let python = repository(".venv/bin/python");
        if !python.exists() {
            return Err("the Python packages are not installed: run `make setup`".into());
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let log = folder.join("log");
        let mut process = Command::new(python)
            .arg(repository("tests/it/store/serve.py"))
            .args([name.as_ref(), folder.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        let begin = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let ended = process.try_wait().unwrap().is_some();
            if ended || begin.elapsed() > START {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{name} does not serve; if a package is missing, run `make setup`:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { url: format!("http://{address}"), tables: AtomicUsize::new(0), _process: process })
    }

    async fn store(&self) -> Store {
        let (client, table) = self.table().await;
        Store::new(client, table)
    }

    /// A new table.
    async fn table(&self) -> (Client, String) {
        let client = self.client(self.url.clone()).await;
        let table = format!("table-{}", self.tables.fetch_add(1, Ordering::Relaxed));
        create(&client, &table).await;
        (client, table)
    }

    /// With the HTTP client and the retries of a Lambda.
    async fn client(&self, url: String) -> Client {
        let config = Builder::from(Aws::in_lambda().await.config())
            .endpoint_url(url)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(credentials())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(ATTEMPT).build(),
            )
            .build();
        Client::from_conf(config)
    }
}

fn credentials() -> Credentials {
    Credentials::builder().access_key_id("test").secret_access_key("test").provider_name("test").build()
}

/// The table of `infra/lib/constructs/table.ts`.
async fn create(client: &Client, table: &str) {
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes(["pk", "sk"])))
        .set_key_schema(Some(key(["pk", "sk"])));
    for (index, packed) in [("listing", None), ("unlabeled", Some("item")), ("active", None)] {
        let names = [format!("{index}_pk"), format!("{index}_sk")];
        let kind = if packed.is_some() { ProjectionType::Include } else { ProjectionType::KeysOnly };
        let projection = Projection::builder()
            .projection_type(kind)
            .set_non_key_attributes(packed.map(|attribute: &str| vec![attribute.to_owned()]));
        let index = GlobalSecondaryIndex::builder()
            .index_name(index)
            .set_key_schema(Some(key(names.each_ref().map(String::as_str))))
            .projection(projection.build());
        for attribute in attributes(names.each_ref().map(String::as_str)) {
            request = request.attribute_definitions(attribute);
        }
        request = request.global_secondary_indexes(index.build().unwrap());
    }
    request.send().await.unwrap();
}

fn attributes(names: [&str; 2]) -> Vec<AttributeDefinition> {
    let attribute = |name| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    names.map(|name| attribute(name).build().unwrap()).into()
}

fn key([hash, range]: [&str; 2]) -> Vec<KeySchemaElement> {
    let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    vec![element(hash, KeyType::Hash), element(range, KeyType::Range)]
}
