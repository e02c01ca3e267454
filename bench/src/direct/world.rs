//! A table, a bucket and an endpoint with a planned job in them.

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::{Builder, Credentials, Region};
use bench::dynamodb::Table;
use bench::model::Endpoint;
use bench::s3::Objects;
use bench::server;
use plan::Planner;
use serde_json::json;
use shared::domain::Timestamp;
use shared::domain::id::{ItemUid, OrganizationUid, ProjectUid};
use shared::domain::item::{Asset, AssetType, Item, SizeOrigin, Source};
use shared::domain::job::plan::{Plan, Workers};
use shared::domain::job::{Job, JobOptions, JobSpec, JobState};
use shared::domain::prediction::model_type::ModelType;
use shared::domain::prediction::size::Size;
use shared::lambda::{Aws, SystemClock};
use shared::objects::Bucket;
use shared::ports::{Clock, Items, Jobs};
use shared::store::Store;

/// The names of things, for functions and scripts alike.
pub(crate) const TABLE: &str = "autolabel";
pub(crate) const BUCKET: &str = "autolabel-bucket";
pub(crate) const ENDPOINT: &str = "bench";
const REGION: &str = "us-east-1";
/// As deployed (`infra/lib/settings.ts`).
const USUAL: Workers = Workers { most: 4, slots_each: 64 };

/// A job and what it meets.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) items: usize,
    /// Of the model.
    pub(crate) latency_ms: u64,
    /// Calls that the endpoint works on at once, and that the job may have in flight.
    pub(crate) slots: usize,
    /// See [`Endpoint::new`].
    pub(crate) capacity: Vec<(Duration, usize)>,
    /// What a call of DynamoDB takes.
    pub(crate) table: Duration,
    /// What a call of S3 takes.
    pub(crate) bucket: Duration,
}

impl Case {
    /// No system can be faster.
    pub(crate) fn ideal(&self) -> Duration {
        Duration::from_millis(self.latency_ms * self.items as u64) / u32::try_from(self.slots).unwrap_or(u32::MAX)
    }
}

pub(crate) struct World {
    pub(crate) table: Arc<Table>,
    pub(crate) objects: Arc<Objects>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) plan: Plan,
    store: Store,
    url: String,
    endpoint_url: String,
}

impl World {
    /// With the case's items and a job over them, stored and planned by the product's own code; from here on calls take
    /// their time and are counted.
    pub(crate) async fn of(case: &Case) -> Result<Self, Box<dyn Error>> {
        let (table, objects) = (Arc::new(Table::default()), Arc::new(Objects::default()));
        let endpoint =
            Arc::new(Endpoint::new(Duration::from_millis(case.latency_ms), case.slots, case.capacity.clone()));
        let (called, of_table, of_bucket) = (Arc::clone(&endpoint), Arc::clone(&table), Arc::clone(&objects));
        // Each on a thread of its own, so that neither waits for the other.
        let endpoint_url = server::start(move |request| {
            let endpoint = Arc::clone(&called);
            async move { endpoint.answer(request).await }
        })?;
        let url = server::start(move |request| {
            let (table, objects) = (Arc::clone(&of_table), Arc::clone(&of_bucket));
            async move {
                if request.headers().contains_key("x-amz-target") {
                    table.answer(request).await
                } else {
                    objects.answer(request).await
                }
            }
        })?;
        let (url, endpoint_url) = (format!("http://{url}"), format!("http://{endpoint_url}"));
        let store = store(&url).await;
        let plan = planned(case, &store, bucket(&url).await).await?;
        table.begin(case.table);
        objects.begin(case.bucket);
        Ok(Self { table, objects, endpoint, plan, store, url, endpoint_url })
    }

    /// Gives a process the addresses and names of everything.
    pub(crate) fn show(&self, command: &mut Command) {
        command.env("AWS_ENDPOINT_URL", &self.url).env("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", &self.endpoint_url);
        command.env("TABLE_NAME", TABLE).env("BUCKET_NAME", BUCKET);
    }

    pub(crate) async fn job(&self) -> Result<Job, Box<dyn Error>> {
        Ok(self.store.job(self.plan.job).await?)
    }
}

async fn store(url: &str) -> Store {
    let config = Builder::from(Aws::in_lambda().await.config())
        .endpoint_url(url)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials());
    Store::new(aws_sdk_dynamodb::Client::from_conf(config.build()), TABLE)
}

async fn bucket(url: &str) -> Bucket {
    let config = aws_sdk_s3::config::Builder::from(Aws::in_lambda().await.config())
        .endpoint_url(url)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials());
    Bucket::new(aws_sdk_s3::Client::from_conf(config.build()), BUCKET)
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "bench")
}

async fn planned(case: &Case, store: &Store, objects: Bucket) -> Result<Plan, Box<dyn Error>> {
    let now = SystemClock.now();
    let (organization, project) = (OrganizationUid::named("bench"), ProjectUid::at(now));
    let items: Result<Vec<Item>, Box<dyn Error>> =
        (0..case.items).map(|n| item(n, organization, project, now)).collect();
    for added in store.add_items(&items?).await {
        added?;
    }
    let spec = JobSpec {
        uid: shared::domain::id::JobUid::at(now),
        organization,
        project,
        provider: None,
        served_by: None,
        options: JobOptions { model_type: Some(ModelType::Yolo), ..JobOptions::default() },
        wanted: vec!["car".into(), "person".into()],
        prompts: Default::default(),
        dry_run: false,
        created_at: now,
        retry_of: None,
        uploads: None,
    };
    store.create_job(&spec, &JobState::new(now)).await?;
    let planner = Planner {
        store: store.clone(),
        tenants: store.clone(),
        objects,
        clock: SystemClock,
        item_cap: case.items,
        inline_batches: 100,
        workers: USUAL,
        max_concurrency: u32::try_from(case.slots)?,
    };
    planner.plan(serde_json::from_value(json!({"job": spec.uid}))?, "1").await?;
    Ok(store.plan(spec.uid).await?.ok_or("the job has no plan")?)
}

fn item(n: usize, organization: OrganizationUid, project: ProjectUid, now: Timestamp) -> Result<Item, Box<dyn Error>> {
    let key = format!("{n:05}.jpg");
    let asset = Asset {
        uid: ItemUid::of(project, &key),
        kind: AssetType::Image,
        size: Some(Size { width: 640, height: 480 }),
        origin: SizeOrigin::default(),
        source: Source::Bucket(Item::object_key(project, &key)),
        changes: 0,
    };
    let created_at = Timestamp::from_microsecond(now.as_microsecond() + i64::try_from(n)?)?;
    Ok(Item { organization, project, key, asset, created_at, file: None, generation: 0, result: None })
}
