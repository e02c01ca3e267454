use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::domain::id::{DeliveryUid, OrganizationUid, WebhookUid};
use crate::domain::webhook::{Delivery, DeliveryStatus, Response, Webhook, check_room};
use crate::domain::{Error, Timestamp};
use crate::ports::{DeliveryFilter, DeliveryRequest, Page, Queue, Secrets, Slice, WebhookSender, Webhooks};
use crate::testing::{Fault, lock};

/// An active subscription to the events of jobs, the same one each time, with the secret "sesame", sealed by [`PlainSecrets`].
///
/// # Panics
/// Never.
#[must_use]
#[expect(clippy::unwrap_used, reason = "for tests")]
pub fn a_webhook() -> Webhook {
    let now = Timestamp::from_second(1_000).unwrap();
    let (uid, organization) =
        (WebhookUid::parse("0192b1c0-0000-7000-8000-000000000001").unwrap(), OrganizationUid::named("acme"));
    Webhook {
        uid,
        organization,
        target_url: "https://receiver.example/hook".into(),
        events: vec!["auto_label.completed".into(), "auto_label.failed".into()],
        is_active: true,
        sealed_secret: sealed(&Webhook::secret_context(organization, uid), "sesame"),
        created_at: now,
        updated_at: now,
    }
}

/// Subscriptions and deliveries in memory, with the conditions of the table. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryWebhooks {
    webhooks: Arc<Mutex<Vec<Webhook>>>,
    /// Subscriptions as other writers change them, each right before a write.
    others: Arc<Mutex<VecDeque<Webhook>>>,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    /// Due times, and how often each was put off.
    outbox: Arc<Mutex<Vec<(Timestamp, DeliveryUid, u32)>>>,
    /// Organization, number, and end.
    slots: Arc<Mutex<Vec<(OrganizationUid, u32, Timestamp)>>>,
    fault: Arc<Fault>,
}

impl MemoryWebhooks {
    /// With this subscription.
    #[must_use]
    pub fn with(webhook: Webhook) -> Self {
        Self { webhooks: Arc::new(Mutex::new(vec![webhook])), ..Self::default() }
    }

    /// One of whose calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// In which other writers change a subscription to these, each right before a change of it is written.
    #[must_use]
    pub fn contended(self, others: impl IntoIterator<Item = Webhook>) -> Self {
        Self { others: Arc::new(Mutex::new(others.into_iter().collect())), ..self }
    }

    /// Puts a delivery there.
    pub fn put(&self, delivery: Delivery) {
        if delivery.status == DeliveryStatus::Pending {
            lock(&self.outbox).push((delivery.due(), delivery.uid, 0));
        }
        lock(&self.deliveries).push(delivery);
    }

    /// Gives a delivery that is in the outbox another position there, or none.
    fn put_in_outbox(&self, uid: DeliveryUid, due: Option<Timestamp>, times: u32) {
        let mut outbox = lock(&self.outbox);
        let before = outbox.len();
        outbox.retain(|(_, waiting, _)| *waiting != uid);
        if let Some(due) = due
            && outbox.len() < before
        {
            outbox.push((due, uid, times));
        }
    }

    /// Slots that are taken.
    pub fn slots(&self) -> usize {
        lock(&self.slots).len()
    }

    fn find(
        &self,
        organization: OrganizationUid,
        uid: WebhookUid,
    ) -> Result<(usize, MutexGuard<'_, Vec<Webhook>>), Error> {
        let webhooks = lock(&self.webhooks);
        let position = webhooks
            .iter()
            .position(|w| (w.organization, w.uid) == (organization, uid))
            .ok_or_else(|| uid.missing())?;
        Ok((position, webhooks))
    }
}

fn page<T: Clone>(entries: &[T], keep: impl Fn(&T) -> bool) -> Page<T> {
    Page::whole(entries.iter().rev().filter(|entry| keep(entry)).cloned().collect())
}

impl Webhooks for MemoryWebhooks {
    async fn add_webhook(&self, webhook: &Webhook) -> Result<Option<Webhook>, Error> {
        self.fault.around(|| {
            let mut webhooks = lock(&self.webhooks);
            let there = webhooks.iter().find(|there| there.uid == webhook.uid).cloned();
            if there.is_none() {
                check_room(&webhooks, webhook)?;
                webhooks.push(webhook.clone());
            }
            Ok(there)
        })
    }

    async fn webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<Webhook, Error> {
        self.fault.around(|| self.find(organization, uid).map(|(position, webhooks)| webhooks[position].clone()))
    }

    async fn webhooks(&self, organization: OrganizationUid, _: &Slice) -> Result<Page<Webhook>, Error> {
        self.fault.around(|| Ok(page(&lock(&self.webhooks), |webhook| webhook.organization == organization)))
    }

    async fn update_webhook(&self, before: &Webhook, after: &Webhook) -> Result<bool, Error> {
        let Ok((position, mut webhooks)) = self.find(after.organization, after.uid) else { return Ok(false) };
        if let Some(other) = lock(&self.others).pop_front() {
            webhooks[position] = other;
        }
        check_room(&webhooks, after)?;
        let unchanged = webhooks[position].updated_at == before.updated_at;
        if unchanged {
            webhooks[position] = after.clone();
        }
        Ok(unchanged)
    }

    async fn remove_webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<(), Error> {
        self.find(organization, uid).map(|(position, mut webhooks)| drop(webhooks.remove(position)))
    }

    async fn delivery(&self, uid: DeliveryUid) -> Result<Option<Delivery>, Error> {
        self.fault.around(|| Ok(lock(&self.deliveries).iter().find(|delivery| delivery.uid == uid).cloned()))
    }

    async fn deliveries(
        &self,
        organization: OrganizationUid,
        filter: &DeliveryFilter,
        _: &Slice,
    ) -> Result<Page<Delivery>, Error> {
        Ok(page(&lock(&self.deliveries), |delivery| delivery.organization == organization && filter.keeps(delivery)))
    }

    async fn add_delivery(&self, delivery: &Delivery) -> Result<(), Error> {
        self.put(delivery.clone());
        Ok(())
    }

    async fn waiting_deliveries(&self, before: Timestamp, limit: usize) -> Result<Vec<(DeliveryUid, u32)>, Error> {
        self.fault.around(|| {
            let mut waiting = lock(&self.outbox).clone();
            waiting.sort_unstable();
            let due = waiting.into_iter().filter(|(since, ..)| *since < before);
            Ok(due.map(|(_, uid, times)| (uid, times)).take(limit).collect())
        })
    }

    async fn put_off_delivery(&self, uid: DeliveryUid, until: Timestamp, times: u32) -> Result<(), Error> {
        self.fault.around(|| {
            self.put_in_outbox(uid, Some(until), times);
            Ok(())
        })
    }

    async fn restart_delivery(&self, before: &Delivery, after: &Delivery) -> Result<bool, Error> {
        let unchanged = |d: &&mut Delivery| {
            d.uid == before.uid && d.status == before.status && d.next_retry_at == before.next_retry_at
        };
        self.fault.around(|| {
            let restarted =
                lock(&self.deliveries).iter_mut().find(unchanged).map(|delivery| *delivery = after.clone()).is_some();
            if restarted {
                lock(&self.outbox).push((after.due(), after.uid, 0));
            }
            Ok(restarted)
        })
    }

    async fn claim_delivery(&self, seen: &Delivery, lease: Timestamp) -> Result<bool, Error> {
        let pending = |d: &&mut Delivery| {
            d.uid == seen.uid && d.status == DeliveryStatus::Pending && d.next_retry_at == seen.next_retry_at
        };
        self.fault.around(|| {
            let claimed = lock(&self.deliveries)
                .iter_mut()
                .find(pending)
                .map(|delivery| delivery.next_retry_at = Some(lease))
                .is_some();
            if claimed {
                self.put_in_outbox(seen.uid, Some(lease), 0);
            }
            Ok(claimed)
        })
    }

    async fn record_delivery(&self, new: &Delivery, lease: Timestamp) -> Result<bool, Error> {
        let ours = |d: &&mut Delivery| {
            d.uid == new.uid && d.status == DeliveryStatus::Pending && d.next_retry_at == Some(lease)
        };
        self.fault.around(|| {
            let recorded =
                lock(&self.deliveries).iter_mut().find(ours).map(|delivery| *delivery = new.clone()).is_some();
            if recorded {
                self.put_in_outbox(new.uid, (new.status == DeliveryStatus::Pending).then(|| new.due()), 0);
            }
            Ok(recorded)
        })
    }

    async fn take_slot(
        &self,
        organization: OrganizationUid,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u32>, Error> {
        self.fault.around(|| {
            let mut taken = lock(&self.slots);
            taken.retain(|(_, _, end)| *end >= now);
            let is_taken = |slot: &u32| taken.iter().any(|(owner, number, _)| (*owner, number) == (organization, slot));
            let free = (0..slots).find(|slot| !is_taken(slot));
            taken.extend(free.map(|slot| (organization, slot, until)));
            Ok(free)
        })
    }

    async fn free_slot(&self, organization: OrganizationUid, slot: u32, until: Timestamp) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.slots).retain(|taken| *taken != (organization, slot, until));
            Ok(())
        })
    }
}

/// Seals a secret so that a test can read it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainSecrets;

fn sealed(context: &str, secret: &str) -> String {
    format!("{context}:{secret}")
}

impl Secrets for PlainSecrets {
    async fn seal(&self, context: &str, secret: &str) -> Result<String, Error> {
        Ok(sealed(context, secret))
    }

    async fn open(&self, context: &str, sealed: &str) -> Result<String, Error> {
        let secret = sealed.strip_prefix(context).and_then(|rest| rest.strip_prefix(':'));
        secret.map(str::to_owned).ok_or_else(|| Error::internal("sealed in another context"))
    }
}

/// Remembers its messages.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    sent: Mutex<Vec<(DeliveryUid, Duration)>>,
    overflow: Mutex<Vec<DeliveryRequest>>,
    dead_letters: Mutex<Vec<DeliveryUid>>,
    fault: Arc<Fault>,
}

impl MemoryQueue {
    /// One of whose calls fails.
    #[must_use]
    pub fn failing(self, fault: &Arc<Fault>) -> Self {
        Self { fault: Arc::clone(fault), ..self }
    }

    /// What was sent, each with its delay.
    pub fn sent(&self) -> Vec<(DeliveryUid, Duration)> {
        lock(&self.sent).clone()
    }

    /// Takes what was sent since the last time, each with its delay.
    pub fn take_sent(&self) -> Vec<(DeliveryUid, Duration)> {
        std::mem::take(&mut lock(&self.sent))
    }

    /// Takes what was sent to the overflow queue; it is among [`MemoryQueue::take_sent`] as well.
    pub fn take_overflow(&self) -> Vec<DeliveryRequest> {
        std::mem::take(&mut lock(&self.overflow))
    }

    /// The deliveries that were given up.
    pub fn dead_letters(&self) -> Vec<DeliveryUid> {
        lock(&self.dead_letters).clone()
    }
}

impl Queue for MemoryQueue {
    async fn send(&self, requests: &[DeliveryRequest]) -> Result<(), Error> {
        if requests.is_empty() {
            return Ok(());
        }
        self.fault.around(|| {
            lock(&self.sent).extend(requests.iter().map(|request| (request.delivery, Duration::ZERO)));
            Ok(())
        })
    }

    async fn send_to_overflow(&self, requests: &[DeliveryRequest], delay: Duration) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.sent).extend(requests.iter().map(|request| (request.delivery, delay)));
            lock(&self.overflow).extend(requests);
            Ok(())
        })
    }

    async fn send_to_dead_letters(&self, delivery: DeliveryUid) -> Result<(), Error> {
        self.fault.around(|| {
            lock(&self.dead_letters).push(delivery);
            Ok(())
        })
    }
}

/// Receivers that answer by a script, and with 200 after its end.
#[derive(Debug, Default)]
pub struct ScriptedReceivers {
    script: Mutex<VecDeque<Response>>,
    posted: Mutex<Vec<(String, String, DeliveryUid)>>,
}

impl ScriptedReceivers {
    /// These answers, in this order.
    #[must_use]
    pub fn answering(script: impl IntoIterator<Item = Response>) -> Self {
        Self { script: Mutex::new(script.into_iter().collect()), posted: Mutex::default() }
    }

    /// Target URL, secret and delivery of each request.
    pub fn posted(&self) -> Vec<(String, String, DeliveryUid)> {
        lock(&self.posted).clone()
    }
}

impl WebhookSender for ScriptedReceivers {
    async fn post(&self, target_url: &str, secret: &str, delivery: &Delivery, _: Timestamp) -> Response {
        lock(&self.posted).push((target_url.to_owned(), secret.to_owned(), delivery.uid));
        lock(&self.script).pop_front().unwrap_or_else(|| Response::of(200, b"ok"))
    }
}
