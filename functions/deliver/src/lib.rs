//! Delivers events to their receivers: each message of the queue asks for one attempt (contract, 9.4).
//!
//! The row of a delivery is the truth, and a message only says that it may be due. So nothing is lost if a message comes twice,
//! early or late. After a crash at any line the message was not deleted, and comes again.
//!
//! All receivers of one organization may hang, and it may have thousands of events. So an organization has a few slots of the
//! webhook queue's invocations at most. A message without a slot goes on to the overflow queue, and so does every later
//! attempt: there it delays only itself (docs/decisions/0027).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use shared::domain::Error;
use shared::domain::id::OrganizationUid;
use shared::domain::webhook::{Delivery, DeliveryStatus, Response, Webhook};
use shared::ports::{Clock, DeliveryRequest, Queue, Secrets, WebhookSender, Webhooks};
use shared::queue::{DeliveryMessage, SqsBatchResponse, SqsEvent, SqsMessage};
use shared::webhooks::{ATTEMPT, Schedule};
use tracing::{error, info, warn};

/// How long a worker has a delivery to itself: an attempt, and the record of it with the store's own retries.
const LEASE: Duration = ATTEMPT.saturating_add(Duration::from_secs(25));
/// How long an invocation that dies keeps its slot: longer than the function's timeout (infra, `CONSUMER_TIMEOUT_SECONDS`).
const SLOT: Duration = Duration::from_secs(65);
/// Messages in a row that may ask for one attempt. A day's delay, the longest of the setting, takes 106. Then the schedule goes
/// on: Lambda's own detection of loops is off for this function (infra, `isRecursive`).
const HOPS: u32 = 200;

/// The handler and its ports.
pub struct Deliverer<S, V, Q, R, C> {
    /// The table.
    pub store: S,
    /// Opens the subscriptions' secrets.
    pub secrets: V,
    /// Takes the messages of next attempts, and what is given up.
    pub queue: Q,
    /// The HTTPS client.
    pub sender: R,
    /// Decides what is due, and dates attempts.
    pub clock: C,
    /// The delays between attempts.
    pub schedule: Schedule,
    /// The name of the overflow queue, as the ARN of its messages ends.
    pub overflow_queue: String,
    /// Invocations by the webhook queue that one organization may have at once.
    pub slots: u32,
}

/// A message and the request that was read from it.
struct Received<'a> {
    message: &'a SqsMessage,
    request: DeliveryRequest,
}

/// Where an event goes, and what signs it.
struct Receiver {
    target_url: String,
    secret: Result<String, Error>,
}

type Outcomes<'a> = Vec<(&'a SqsMessage, Result<(), Error>)>;

impl<S: Webhooks, V: Secrets, Q: Queue, R: WebhookSender, C: Clock> Deliverer<S, V, Q, R, C> {
    /// Works through the messages at once, so that a slow receiver does not hold up the other events.
    pub async fn deliver(&self, event: SqsEvent) -> SqsBatchResponse {
        let messages = event.records;
        let mut outcomes = Outcomes::new();
        let mut groups: HashMap<Option<OrganizationUid>, Vec<Received<'_>>> = HashMap::new();
        for message in &messages {
            match serde_json::from_str::<DeliveryMessage>(&message.body).map(DeliveryRequest::from) {
                Ok(request) => groups.entry(request.organization).or_default().push(Received { message, request }),
                // It fails until the queue moves it to the dead letters: it never vanishes.
                Err(unreadable) => outcomes.push((message, Err(Error::internal(unreadable)))),
            }
        }
        let groups = groups.into_iter().map(|(organization, group)| self.group(organization, group));
        outcomes.extend(join_all(groups).await.into_iter().flatten());
        let mut failures = SqsBatchResponse::default();
        for (message, outcome) in outcomes {
            if let Err(error) = outcome {
                error!(message.id = message.message_id, causes = error.chain(), "record failed and comes again");
                failures.add(message);
            }
        }
        info!(records = messages.len(), failures = failures.len(), "records handled");
        failures
    }

    /// The messages of an organization: in one of its slots, or else by the overflow queue. Messages of that queue take no
    /// slot, and neither do old ones that do not name their organization.
    async fn group<'a>(&self, organization: Option<OrganizationUid>, group: Vec<Received<'a>>) -> Outcomes<'a> {
        let overflowed =
            |received: &Received<'_>| received.message.queue_arn.rsplit(':').next() == Some(&self.overflow_queue);
        let Some(organization) = organization.filter(|_| !group.iter().any(overflowed)) else {
            return self.requests(group).await;
        };
        let now = self.clock.now();
        let until = now + SLOT;
        let slot = self.store.take_slot(organization, self.slots, now, until).await.unwrap_or_else(|error| {
            warn!(causes = error.chain(), "no slot could be taken");
            None
        });
        let Some(slot) = slot else { return self.overflow(group).await };
        let outcomes = self.requests(group).await;
        if let Err(error) = self.store.free_slot(organization, slot, until).await {
            warn!(causes = error.chain(), "a slot stays taken until its time is over");
        }
        outcomes
    }

    async fn overflow<'a>(&self, group: Vec<Received<'a>>) -> Outcomes<'a> {
        let requests: Vec<DeliveryRequest> = group.iter().map(|received| received.request.again()).collect();
        let sent = self.queue.send_to_overflow(&requests, Duration::ZERO).await;
        info!(records = requests.len(), "records sent on to the overflow queue");
        let cause = sent.err().map(|error| error.chain());
        let outcome = || cause.clone().map_or(Ok(()), |cause| Err(Error::QueueUnavailable(cause.into())));
        group.into_iter().map(|received| (received.message, outcome())).collect()
    }

    async fn requests<'a>(&self, group: Vec<Received<'a>>) -> Outcomes<'a> {
        join_all(group.into_iter().map(async |Received { message, request }| (message, self.request(request).await)))
            .await
    }

    async fn request(&self, request: DeliveryRequest) -> Result<(), Error> {
        let Some(delivery) = self.store.delivery(request.delivery).await? else {
            return Ok(()); // its 30 days are over
        };
        if delivery.status != DeliveryStatus::Pending {
            return Ok(());
        }
        let wait = delivery.due_in(self.clock.now());
        if !wait.is_zero() {
            // Early: the queue delays 15 minutes at most. Or another worker has it, and may have died.
            return self.ask_again(request, wait).await;
        }
        self.attempt(request, delivery).await
    }

    /// Asks for the attempt of `request` again, after a delay.
    async fn ask_again(&self, request: DeliveryRequest, delay: Duration) -> Result<(), Error> {
        if request.hops >= HOPS {
            error!(delivery.uid = %request.delivery, "too many messages about one attempt: the schedule goes on");
            return Ok(());
        }
        self.queue.send_to_overflow(&[request.again()], delay).await
    }

    /// One attempt under a lease. A worker that loses the delivery to another one asks again after that lease: both may hold
    /// copies of one message, and deleting either deletes it. Or there is no other worker, and the answer to a call that had its
    /// effect was lost.
    async fn attempt(&self, request: DeliveryRequest, mut delivery: Delivery) -> Result<(), Error> {
        let receiver = self.receiver(&delivery).await?;
        let lease = self.clock.now() + LEASE;
        if !self.store.claim_delivery(&delivery, lease).await? {
            return self.ask_again(request, LEASE).await;
        }
        match receiver {
            Some(receiver) => self.post(receiver, &mut delivery).await?,
            None => delivery.abandoned("The subscription was deleted or deactivated.", self.clock.now()),
        }
        if !self.store.record_delivery(&delivery, lease).await? {
            return self.ask_again(request, LEASE).await;
        }
        if delivery.status == DeliveryStatus::Pending {
            let next = DeliveryRequest::of(&delivery);
            self.queue.send_to_overflow(&[next], delivery.due_in(self.clock.now())).await?;
        }
        Ok(())
    }

    async fn post(&self, receiver: Receiver, delivery: &mut Delivery) -> Result<(), Error> {
        let response = match receiver.secret {
            Ok(secret) => self.sender.post(&receiver.target_url, &secret, delivery, self.clock.now()).await,
            // An attempt like any other: the schedule ends it, and the delivery shows why.
            Err(_) => Response::none("The signing secret could not be opened."),
        };
        let retry_in = self.schedule.delay(delivery.uid, delivery.attempts + 1);
        delivery.attempted(response, retry_in, self.clock.now());
        if delivery.status == DeliveryStatus::Failed {
            warn!(delivery.uid = %delivery.uid, attempts = delivery.attempts, "delivery given up");
            // Before the record: a second dead letter is harmless, and a failed delivery without one would not be noticed.
            self.queue.send_to_dead_letters(delivery.uid).await?;
        }
        Ok(())
    }

    /// The receiver of a delivery. `None`: its subscription is gone or inactive.
    async fn receiver(&self, delivery: &Delivery) -> Result<Option<Receiver>, Error> {
        let webhook = match self.store.webhook(delivery.organization, delivery.subscription).await {
            Ok(webhook) if webhook.is_active => webhook,
            Ok(_) | Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let context = Webhook::secret_context(webhook.organization, webhook.uid);
        let secret = self.secrets.open(&context, &webhook.sealed_secret).await;
        if let Err(error) = &secret {
            warn!(delivery.uid = %delivery.uid, causes = error.chain(), "signing secret not opened");
        }
        Ok(Some(Receiver { target_url: webhook.target_url, secret }))
    }
}

#[cfg(test)]
mod load;
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shared::domain::Timestamp;
    use shared::testing::{
        Fault, MemoryQueue, MemoryWebhooks, PlainSecrets, ScriptedReceivers, StoppedClock, a_webhook,
    };

    use super::*;

    type TestApp = Deliverer<MemoryWebhooks, PlainSecrets, MemoryQueue, ScriptedReceivers, StoppedClock>;

    fn an_app(webhook: Webhook, script: impl IntoIterator<Item = Response>) -> TestApp {
        Deliverer {
            store: MemoryWebhooks::with(webhook),
            secrets: PlainSecrets,
            queue: MemoryQueue::default(),
            sender: ScriptedReceivers::answering(script),
            clock: StoppedClock::at(2_000),
            schedule: Schedule::of_seconds(vec![60, 3_600]),
            overflow_queue: OVERFLOW.into(),
            slots: 2,
        }
    }

    const OVERFLOW: &str = "AutoLabel-Overflow";

    /// A message on a queue.
    pub(super) fn record(n: usize, request: DeliveryRequest, queue: &str) -> SqsMessage {
        let body = serde_json::to_string(&DeliveryMessage::from(request)).unwrap();
        let queue_arn = format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
        SqsMessage { message_id: n.to_string(), body, queue_arn, ..SqsMessage::default() }
    }

    impl TestApp {
        fn pending(&self) -> Delivery {
            let delivery = Delivery::of_test(&a_webhook(), Timestamp::from_second(1_500).unwrap());
            self.store.put(delivery.clone());
            delivery
        }

        async fn message(&self, delivery: &Delivery) -> SqsBatchResponse {
            self.deliver(SqsEvent { records: vec![record(0, DeliveryRequest::of(delivery), "AutoLabel-Webhooks")] })
                .await
        }

        async fn stored(&self, delivery: &Delivery) -> Delivery {
            self.store.delivery(delivery.uid).await.unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn an_accepted_event_is_delivered_once_however_often_the_message_comes() {
        let app = an_app(a_webhook(), [Response::of(202, b"thanks")]);
        let delivery = app.pending();

        for _ in 0..3 {
            assert!(app.message(&delivery).await.is_empty());
        }

        let stored = app.stored(&delivery).await;
        assert_eq!((stored.status, stored.attempts, stored.next_retry_at), (DeliveryStatus::Delivered, 1, None));
        assert_eq!(stored.response, Some(Response::of(202, b"thanks")));
        assert_eq!(
            app.sender.posted(),
            [("https://receiver.example/hook".to_owned(), "sesame".to_owned(), delivery.uid)]
        );
        assert!(app.queue.take_sent().is_empty() && app.queue.dead_letters().is_empty());
    }

    /// Contract D23.
    #[tokio::test]
    async fn a_refused_event_is_tried_on_schedule_and_then_a_dead_letter() {
        let app = an_app(a_webhook(), [Response::of(500, b""), Response::of(302, b""), Response::none("No answer.")]);
        let delivery = app.pending();
        for attempt in 1..=2 {
            app.message(&delivery).await;

            let stored = app.stored(&delivery).await;
            let sent = app.queue.take_sent();
            assert_eq!((stored.status, stored.attempts), (DeliveryStatus::Pending, attempt));
            assert_eq!(stored.next_retry_at, Some(app.clock.now() + sent[0].1));
            app.clock.pass(sent[0].1);
        }
        app.message(&delivery).await;

        let stored = app.stored(&delivery).await;
        assert_eq!((stored.status, stored.attempts, stored.next_retry_at), (DeliveryStatus::Failed, 3, None));
        assert_eq!((app.queue.dead_letters(), app.queue.take_sent()), (vec![delivery.uid], vec![]));
    }

    /// Contract D23.
    #[tokio::test]
    async fn a_receiver_that_is_gone_gets_no_other_attempt() {
        let app = an_app(a_webhook(), [Response::of(410, b"")]);
        let delivery = app.pending();

        app.message(&delivery).await;

        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Failed);
        assert_eq!((app.queue.dead_letters(), app.queue.take_sent()), (vec![delivery.uid], vec![]));
    }

    #[tokio::test]
    async fn a_message_that_comes_early_is_sent_on_with_the_rest_of_the_delay() {
        let app = an_app(a_webhook(), [Response::of(500, b"")]);
        let delivery = app.pending();
        app.message(&delivery).await;
        let delay = app.queue.take_sent()[0].1;

        app.clock.pass(Duration::from_secs(20));
        app.message(&delivery).await;

        assert_eq!(app.queue.take_sent(), [(delivery.uid, delay - Duration::from_secs(20))]);
        assert_eq!(app.sender.posted().len(), 1);
    }

    #[tokio::test]
    async fn two_messages_about_one_delivery_make_one_attempt() {
        let app = an_app(a_webhook(), []);
        let delivery = app.pending();

        // The second worker read the delivery before the first one took it.
        assert!(app.store.claim_delivery(&delivery, app.clock.now() + LEASE).await.unwrap());
        app.attempt(DeliveryRequest::of(&delivery), delivery.clone()).await.unwrap();

        assert!(app.sender.posted().is_empty());
        assert_eq!(app.queue.take_sent(), [(delivery.uid, LEASE)]);
    }

    #[tokio::test]
    async fn after_a_crash_the_delivery_is_tried_again_once_the_lease_is_over() {
        let app = an_app(a_webhook(), []);
        let delivery = app.pending();
        app.store.claim_delivery(&delivery, app.clock.now() + LEASE).await.unwrap();

        app.message(&delivery).await;
        assert_eq!(app.queue.take_sent(), [(delivery.uid, LEASE)]);
        app.clock.pass(LEASE);
        app.message(&delivery).await;

        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Delivered);
    }

    #[tokio::test]
    async fn what_a_frozen_worker_records_does_not_count() {
        let app = an_app(a_webhook(), []);
        let delivery = app.pending();
        let old_lease = app.clock.now();
        app.store.claim_delivery(&delivery, old_lease).await.unwrap();
        app.message(&delivery).await;

        let mut late = delivery.clone();
        late.attempted(Response::of(500, b""), None, app.clock.now());

        assert!(!app.store.record_delivery(&late, old_lease).await.unwrap());
        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Delivered);
    }

    #[tokio::test]
    async fn a_subscription_that_is_gone_or_inactive_ends_its_deliveries() {
        let gone = an_app(a_webhook(), []);
        gone.store.remove_webhook(a_webhook().organization, gone.pending().subscription).await.unwrap();
        let inactive = an_app(Webhook { is_active: false, ..a_webhook() }, []);
        for app in [gone, inactive] {
            let delivery = app.pending();
            app.message(&delivery).await;

            let stored = app.stored(&delivery).await;
            assert_eq!((stored.status, stored.attempts), (DeliveryStatus::Failed, 0));
            assert!(stored.response.unwrap().preview.starts_with("The subscription was deleted"));
            assert!(app.sender.posted().is_empty() && app.queue.take_sent().is_empty());
        }
    }

    /// Plays the queue until it is empty: a record that failed comes again, a delayed message comes when its time is up.
    async fn play(app: &TestApp, delivery: &Delivery) {
        let mut messages = vec![Duration::ZERO];
        while let Some(delay) = messages.pop() {
            app.clock.pass(delay);
            if !app.message(delivery).await.is_empty() {
                messages.push(Duration::from_secs(120));
            }
            messages.extend(app.queue.take_sent().into_iter().map(|(_, delay)| delay));
        }
    }

    #[tokio::test]
    async fn whichever_call_fails_nothing_is_lost() {
        for (script, end) in [([500, 200, 200], DeliveryStatus::Delivered), ([500, 500, 500], DeliveryStatus::Failed)] {
            for answer_lost in [false, true] {
                for call in 1.. {
                    let fault = Arc::new(Fault::at(call, answer_lost));
                    let answers = script.into_iter().chain([script[2]; 3]).map(|status| Response::of(status, b""));
                    let app = an_app(a_webhook(), answers);
                    let app = Deliverer { store: app.store.failing(&fault), queue: app.queue.failing(&fault), ..app };
                    let delivery = app.pending();

                    play(&app, &delivery).await;

                    if !fault.struck() {
                        break; // there are no more calls
                    }
                    let case = format!("call {call}, answer lost: {answer_lost}");
                    let stored = app.stored(&delivery).await;
                    assert_eq!(stored.status, end, "{case}");
                    assert_eq!(app.queue.dead_letters().is_empty(), end == DeliveryStatus::Delivered, "{case}");
                    assert!(app.sender.posted().len() >= stored.attempts as usize, "{case}");
                }
            }
        }
    }

    /// Hole 3 (decision 0027): whatever an organization's receivers do, it has so many invocations of the first queue and no more.
    #[tokio::test]
    async fn an_organization_without_a_free_slot_goes_on_by_the_overflow_queue() {
        let app = an_app(a_webhook(), []);
        let (delivery, organization) = (app.pending(), a_webhook().organization);
        let now = app.clock.now();
        for _ in 0..app.slots {
            assert!(app.store.take_slot(organization, app.slots, now, now + SLOT).await.unwrap().is_some());
        }
        let foreign = OrganizationUid::named("other");
        assert!(
            app.store.take_slot(foreign, app.slots, now, now + SLOT).await.unwrap().is_some(),
            "others have theirs"
        );

        assert!(app.message(&delivery).await.is_empty());
        assert!(app.sender.posted().is_empty());
        let [request] = app.queue.take_overflow()[..] else { panic!("one message") };
        assert_eq!(request, DeliveryRequest::of(&delivery).again());

        assert!(app.deliver(SqsEvent { records: vec![record(0, request, OVERFLOW)] }).await.is_empty());
        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Delivered);
    }

    #[tokio::test]
    async fn a_slot_is_free_again_after_its_invocation_and_after_one_that_died() {
        let app = an_app(a_webhook(), []);
        let (delivery, organization) = (app.pending(), a_webhook().organization);

        app.message(&delivery).await;
        assert_eq!(app.store.slots(), 0);

        let dead = app.clock.now();
        for _ in 0..app.slots {
            app.store.take_slot(organization, app.slots, dead, dead + SLOT).await.unwrap();
        }
        app.clock.pass(SLOT + Duration::from_secs(1));
        let delivery = app.pending();
        app.message(&delivery).await;
        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Delivered);
    }

    #[tokio::test]
    async fn whatever_is_tried_again_takes_no_slot() {
        let app = an_app(a_webhook(), [Response::of(500, b"")]);
        let delivery = app.pending();

        app.message(&delivery).await;

        assert_eq!(app.queue.take_overflow(), [DeliveryRequest::of(&delivery)]);
    }

    /// Hole 32 (decision 0027): Lambda ends no chain of this function any more, so that it ends them itself. The schedule goes on.
    #[tokio::test]
    async fn a_chain_of_messages_about_one_attempt_ends() {
        let app = an_app(a_webhook(), [Response::of(500, b"")]);
        let delivery = app.pending();
        app.message(&delivery).await;
        let mut request = app.queue.take_overflow()[0];

        let mut rounds = 0;
        while let [next] = {
            assert!(app.deliver(SqsEvent { records: vec![record(0, request, OVERFLOW)] }).await.is_empty());
            app.queue.take_overflow()
        }[..]
        {
            rounds += 1;
            request = next; // early, each time
        }

        assert_eq!(rounds, HOPS);
        app.clock.pass(Duration::from_secs(200));
        let waiting = app.store.waiting_deliveries(app.clock.now(), 10).await.unwrap();
        assert_eq!(waiting, [(delivery.uid, 0)], "it stands in the outbox");
    }

    #[test]
    fn the_longest_delay_of_the_setting_takes_fewer_messages_than_may_ask() {
        let longest = Duration::from_secs(86_400).mul_f64(1.1); // infra, `webhookRetrySeconds`, and the jitter
        let hop = 900; // the longest delay of a message (AWS, "Amazon SQS delay queues")
        assert!(longest.as_secs().div_ceil(hop) < u64::from(HOPS));
    }

    #[tokio::test]
    async fn a_message_of_before_is_read() {
        let app = an_app(a_webhook(), []);
        let delivery = app.pending();
        let body = format!(r#"{{"V1":{{"delivery":"{}"}}}}"#, delivery.uid);

        assert!(app.deliver(SqsEvent { records: vec![SqsMessage { body, ..SqsMessage::default() }] }).await.is_empty());

        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Delivered);
    }

    #[tokio::test]
    async fn an_unreadable_record_fails_alone() {
        let app = an_app(a_webhook(), []);
        let delivery = app.pending();
        let good = record(1, DeliveryRequest::of(&delivery), "AutoLabel-Webhooks");
        let unreadable =
            |n: usize, body: &str| SqsMessage { body: body.into(), message_id: n.to_string(), ..SqsMessage::default() };

        let failures =
            app.deliver(SqsEvent { records: vec![unreadable(0, "{\"V2\":{}}"), good, unreadable(2, "")] }).await;

        assert_eq!(
            serde_json::to_value(failures).unwrap(),
            serde_json::json!({"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": "2"}]})
        );
        assert_eq!(app.stored(&delivery).await.status, DeliveryStatus::Delivered);
    }
}
