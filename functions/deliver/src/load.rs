//! Hole 3 (decision 0027), in simulated time: the handler behind two queues as the construct makes them (infra, `webhookConcurrency`), with every
//! consumer at hand from the first moment on. That is the worst case: all of them may begin to wait for a receiver together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use shared::domain::Timestamp;
use shared::domain::id::{DeliveryUid, WebhookUid};
use shared::testing::{MemoryWebhooks, PlainSecrets, a_webhook};
use tokio::time::{Instant, sleep};

use super::*;

const FIRST: usize = 20;
const OVERFLOW: usize = 10;
const SLOTS: u32 = 5;
const BATCH: usize = 10;
const POLL: Duration = Duration::from_millis(20);
const RECEIVERS: usize = 50;
const EVENTS: usize = 5_000;
const OVERFLOW_QUEUE: &str = "Overflow";

struct Waiting {
    from: Instant,
    request: DeliveryRequest,
}

/// A standard queue: of what waits it hands out first what belongs to a group with little in flight.
#[derive(Default)]
struct FairQueue {
    waiting: Vec<Waiting>,
    in_flight: HashMap<Option<OrganizationUid>, usize>,
}

impl FairQueue {
    fn receive(&mut self) -> Vec<DeliveryRequest> {
        let now = Instant::now();
        let flying = |request: &DeliveryRequest| self.in_flight.get(&request.organization).copied().unwrap_or(0);
        let mut positions: Vec<usize> = (0..self.waiting.len()).filter(|n| self.waiting[*n].from <= now).collect();
        positions.sort_by_key(|n| flying(&self.waiting[*n].request));
        positions.truncate(BATCH);
        positions.sort_unstable_by(|a, b| b.cmp(a));
        let taken: Vec<DeliveryRequest> = positions.into_iter().map(|n| self.waiting.remove(n).request).collect();
        taken.iter().for_each(|request| *self.in_flight.entry(request.organization).or_default() += 1);
        taken
    }

    fn settle(&mut self, done: &[DeliveryRequest]) {
        done.iter().for_each(|request| *self.in_flight.entry(request.organization).or_default() -= 1);
    }
}

/// Both queues. A clone is the same ones.
#[derive(Clone, Default)]
struct Queues(Arc<[Mutex<FairQueue>; 2]>);

impl Queues {
    fn put(&self, queue: usize, requests: &[DeliveryRequest], delay: Duration) {
        let from = Instant::now() + delay;
        let waiting = requests.iter().map(|request| Waiting { from, request: *request });
        self.0[queue].lock().unwrap().waiting.extend(waiting);
    }
}

impl Queue for Queues {
    async fn send(&self, requests: &[DeliveryRequest]) -> Result<(), Error> {
        self.put(0, requests, Duration::ZERO);
        Ok(())
    }

    async fn send_to_overflow(&self, requests: &[DeliveryRequest], delay: Duration) -> Result<(), Error> {
        self.put(1, requests, delay);
        Ok(())
    }

    async fn send_to_dead_letters(&self, _: DeliveryUid) -> Result<(), Error> {
        Ok(())
    }
}

/// One hangs for as long as it may, the other one answers and notes when.
#[derive(Default)]
struct TwoKinds(Mutex<HashMap<DeliveryUid, Instant>>);

impl WebhookSender for TwoKinds {
    async fn post(&self, target_url: &str, _: &str, delivery: &Delivery, _: Timestamp) -> Response {
        if target_url.contains("hanging") {
            sleep(ATTEMPT).await;
            return Response::none("No complete answer came in time.");
        }
        self.0.lock().unwrap().insert(delivery.uid, Instant::now());
        Response::of(200, b"ok")
    }
}

struct SimulatedClock(Instant);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(2_000).unwrap() + self.0.elapsed()
    }
}

type Load = Deliverer<MemoryWebhooks, PlainSecrets, Queues, TwoKinds, SimulatedClock>;

fn a_load(slots: u32) -> Load {
    Deliverer {
        store: MemoryWebhooks::default(),
        secrets: PlainSecrets,
        queue: Queues::default(),
        sender: TwoKinds::default(),
        clock: SimulatedClock(Instant::now()),
        schedule: Schedule::of_seconds(vec![60, 300, 900, 3_600, 10_800]),
        overflow_queue: OVERFLOW_QUEUE.into(),
        slots,
    }
}

impl Load {
    async fn subscription(&self, organization: &str, target_url: String) -> Webhook {
        let (uid, organization) = (WebhookUid::at(self.clock.now()), OrganizationUid::named(organization));
        let context = Webhook::secret_context(organization, uid);
        let sealed_secret = self.secrets.seal(&context, "sesame").await.unwrap();
        let webhook = Webhook { uid, organization, target_url, sealed_secret, ..a_webhook() };
        self.store.add_webhook(&webhook).await.unwrap();
        webhook
    }

    fn event(&self, webhook: &Webhook) -> DeliveryRequest {
        let delivery = Delivery::of_test(webhook, self.clock.now());
        self.store.put(delivery.clone());
        DeliveryRequest::of(&delivery)
    }

    /// One of the queue's consumers.
    async fn consume(&self, queue: usize) {
        let name = ["Webhooks", OVERFLOW_QUEUE][queue];
        loop {
            let taken = self.queue.0[queue].lock().unwrap().receive();
            if taken.is_empty() {
                sleep(POLL).await;
                continue;
            }
            sleep(POLL).await; // what the calls of an invocation take
            let records = taken.iter().enumerate().map(|(n, request)| tests::record(n, *request, name)).collect();
            assert!(self.deliver(SqsEvent { records }).await.is_empty());
            self.queue.0[queue].lock().unwrap().settle(&taken);
        }
    }

    /// 5,000 events for receivers that hang, at once; and then one of another tenant every half a second. How long the
    /// slowest of those was under way.
    async fn longest_wait(&self) -> Duration {
        let mut hanging = Vec::new();
        for n in 0..RECEIVERS {
            hanging.push(self.subscription("noisy", format!("https://hanging.example/{n}")).await);
        }
        let quiet = self.subscription("quiet", "https://quick.example/".into()).await;
        let noise: Vec<DeliveryRequest> = (0..EVENTS).map(|n| self.event(&hanging[n % RECEIVERS])).collect();
        self.queue.send(&noise).await.unwrap();
        let mut sent = HashMap::new();
        let scenario = async {
            for _ in 0..60 {
                sleep(Duration::from_millis(500)).await;
                let request = self.event(&quiet);
                sent.insert(request.delivery, Instant::now());
                self.queue.send(&[request]).await.unwrap();
            }
            sleep(3 * ATTEMPT).await;
        };
        let consumers = (0..FIRST + OVERFLOW).map(|n| self.consume(usize::from(n >= FIRST)));
        tokio::select! {
            () = scenario => {}
            _ = join_all(consumers) => unreachable!("consumers do not end"),
        }
        let arrived = self.sender.0.lock().unwrap();
        sent.into_iter().map(|(uid, at)| arrived[&uid] - at).max().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_hanging_receivers_of_a_tenant_hold_up_no_event_of_another_one() {
    let longest = a_load(SLOTS).longest_wait().await;
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

/// What the test would see without slots: a fair queue alone does not free a consumer that waits.
#[tokio::test(start_paused = true)]
async fn a_fair_queue_alone_lets_others_wait_for_a_whole_attempt() {
    let longest = a_load(u32::try_from(FIRST).unwrap()).longest_wait().await;
    assert!(longest > ATTEMPT - Duration::from_secs(1), "{longest:?}");
}
