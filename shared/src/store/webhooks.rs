//! Webhook subscriptions and deliveries.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::Store;
use super::calls::{Found, Row, attribute, classify, full_page, is_done, key_of, number, read, text};
use super::keys::{self, ACTIVE, Key, OUTBOX};
use super::rows::{DeliveryRow, Keyed, item};
use crate::domain::id::{DeliveryUid, OrganizationUid, WebhookUid};
use crate::domain::webhook::{Delivery, DeliveryStatus, Webhook, check_room};
use crate::domain::{Error, Timestamp, limits};
use crate::ports::{DeliveryFilter, Page, Slice, Webhooks};

impl Webhooks for Store {
    async fn add_webhook(&self, webhook: &Webhook) -> Result<Option<Webhook>, Error> {
        let all = Slice { limit: limits::WEBHOOKS, ..Slice::default() };
        // Calls at once may pass both checks together. A transaction has room for some deliveries beyond the limits, and `outbox`
        // bounds those of one.
        let there = self.webhooks(webhook.organization, &all).await?.entries;
        if let Some(before) = there.iter().find(|before| before.uid == webhook.uid) {
            return Ok(Some(before.clone())); // a repeated request, whose first attempt may have created the last one
        }
        if there.len() >= limits::WEBHOOKS {
            return Err(Error::TooMany(format!("An organization may have at most {} webhooks.", limits::WEBHOOKS)));
        }
        check_room(&there, webhook)?;
        self.add(Key::webhook(webhook.organization, webhook.uid), webhook).await
    }

    async fn webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<Webhook, Error> {
        self.get(Key::webhook(organization, uid)).await?.ok_or_else(|| uid.missing())
    }

    async fn webhooks(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<Webhook>, Error> {
        self.page_of_partition(keys::organization_pk(organization), keys::WEBHOOK, slice).await
    }

    async fn update_webhook(&self, before: &Webhook, after: &Webhook) -> Result<bool, Error> {
        let all = Slice { limit: limits::TRANSACTION_ACTIONS, ..Slice::default() };
        check_room(&self.webhooks(after.organization, &all).await?.entries, after)?;
        let as_read = [("updated_at", attribute(&before.updated_at)?)];
        self.put_over(item(&Keyed::new(Key::webhook(after.organization, after.uid), after))?, as_read).await
    }

    async fn remove_webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<(), Error> {
        if self.remove(Key::webhook(organization, uid)).await? { Ok(()) } else { Err(uid.missing()) }
    }

    async fn delivery(&self, uid: DeliveryUid) -> Result<Option<Delivery>, Error> {
        self.get(Key::delivery(uid)).await
    }

    async fn deliveries(
        &self,
        organization: OrganizationUid,
        filter: &DeliveryFilter,
        slice: &Slice,
    ) -> Result<Page<Delivery>, Error> {
        let position = |delivery: &Delivery| keys::in_time(delivery.created_at, delivery.uid);
        let wider = if *filter == DeliveryFilter::default() { slice.clone() } else { full_page(slice) };
        let Found { entries, further } = self.find_in_list(&keys::deliveries_of(organization), &wider).await?;
        let keys = entries.into_iter().map(|(_, key)| key).collect();
        let mut entries: Vec<Delivery> = self.get_many(keys).await?.into_iter().map(read).collect::<Result<_, _>>()?;
        entries.sort_by_key(position);
        if !slice.reads_upward() {
            entries.reverse();
        }
        Ok(Found { entries, further }
            .narrowed(slice.limit, |delivery| filter.keeps(delivery), position)
            .page(slice, position))
    }

    async fn add_delivery(&self, delivery: &Delivery) -> Result<(), Error> {
        // `false` can only be this very row: the retry of a call whose answer was lost.
        self.put_new(item(&DeliveryRow::new(delivery))?).await.map(|_added| ())
    }

    async fn waiting_deliveries(&self, before: Timestamp, limit: usize) -> Result<Vec<(DeliveryUid, u32)>, Error> {
        let mut entries = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ACTIVE.name)
            .key_condition_expression(format!("{} = :outbox AND {} < :before", ACTIVE.pk, ACTIVE.sk))
            .expression_attribute_values(":outbox", text(OUTBOX))
            .expression_attribute_values(":before", text(keys::in_time(before, "")))
            .into_paginator()
            .items()
            .send();
        let mut waiting = Vec::new();
        while waiting.len() < limit
            && let Some(entry) = entries.next().await
        {
            let entry = entry.map_err(classify)?;
            let times =
                entry.get(ACTIVE.sk).and_then(|position| keys::times_put_off(position.as_s().ok()?)).unwrap_or(0);
            waiting.extend(key_of(&entry).and_then(|key| Some((key.delivery_uid()?, times))));
        }
        Ok(waiting)
    }

    async fn put_off_delivery(&self, uid: DeliveryUid, until: Timestamp, times: u32) -> Result<(), Error> {
        let update = format!("SET {} = :position", ACTIVE.sk);
        let waits = format!("attribute_exists({})", ACTIVE.pk);
        // The count is part of the position: any other change of the delivery gives it another position, and ends the count.
        let values = [(":position", text(keys::put_off(until, uid, times)))];
        self.update_delivery(uid, update, &waits, &[], values).await.map(|_waits| ())
    }

    async fn restart_delivery(&self, before: &Delivery, after: &Delivery) -> Result<bool, Error> {
        let as_read = "#status = :before AND next_retry_at = :seen"; // a claim, or another restart, may be quicker
        let values: [(&'static str, AttributeValue); 8] = [
            (":before", attribute(&before.status)?),
            (":seen", attribute(&before.next_retry_at)?),
            (":status", attribute(&after.status)?),
            (":attempts", attribute(&after.attempts)?),
            (":next", attribute(&after.next_retry_at)?),
            (":updated", attribute(&after.updated_at)?),
            (":outbox", text(OUTBOX)),
            (":position", text(keys::in_time(after.updated_at, after.uid))),
        ];
        let update = format!(
            "SET #status = :status, attempts = :attempts, next_retry_at = :next, updated_at = :updated, {} = :outbox, {} = :position",
            ACTIVE.pk, ACTIVE.sk
        );
        self.update_delivery(after.uid, update, as_read, &[("#status", "status")], values).await
    }

    async fn claim_delivery(&self, delivery: &Delivery, lease: Timestamp) -> Result<bool, Error> {
        let as_read = "#status = :pending AND next_retry_at = :seen"; // two messages about one delivery race here
        let values: [(&'static str, AttributeValue); 4] = [
            (":pending", attribute(&DeliveryStatus::Pending)?),
            (":seen", attribute(&delivery.next_retry_at)?), // NULL equals NULL
            (":lease", attribute(&lease)?),
            (":position", text(keys::in_time(lease, delivery.uid))),
        ];
        let update = format!("SET next_retry_at = :lease, {} = :position", ACTIVE.sk);
        self.update_delivery(delivery.uid, update, as_read, &[("#status", "status")], values).await
    }

    async fn record_delivery(&self, delivery: &Delivery, lease: Timestamp) -> Result<bool, Error> {
        // A worker that was frozen past its lease must not undo what the next one has recorded. A record that has
        // expired meanwhile fails the same condition, so no half of one is made.
        let still_ours = "#status = :pending AND next_retry_at = :lease";
        let mut values: Vec<(&'static str, AttributeValue)> = vec![
            (":pending", attribute(&DeliveryStatus::Pending)?),
            (":lease", attribute(&lease)?),
            (":status", attribute(&delivery.status)?),
            (":attempts", attribute(&delivery.attempts)?),
            (":next", attribute(&delivery.next_retry_at)?),
            (":response", attribute(&delivery.response)?),
            (":updated", attribute(&delivery.updated_at)?),
        ];
        let update = "SET #status = :status, attempts = :attempts, next_retry_at = :next, #response = :response, updated_at = :updated";
        let update = if delivery.status == DeliveryStatus::Pending {
            values.push((":position", text(keys::in_time(delivery.due(), delivery.uid))));
            format!("{update}, {} = :position", ACTIVE.sk)
        } else {
            format!("{update} REMOVE {}, {}", ACTIVE.pk, ACTIVE.sk)
        };
        let names = [("#status", "status"), ("#response", "response")];
        self.update_delivery(delivery.uid, update, still_ours, &names, values).await
    }

    async fn take_slot(
        &self,
        organization: OrganizationUid,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u32>, Error> {
        // A random slot first: invocations of the same moment must not all try the same one.
        let mut slot = u32::try_from(until.as_microsecond().rem_euclid(i64::from(slots.max(1)))).unwrap_or(0);
        for _ in 0..2 {
            let request = self
                .update_slot(organization, slot, until)
                .update_expression("SET #slot = :until")
                // The invocation that had it may have died. The third case is our own write, whose answer was lost.
                .condition_expression("attribute_not_exists(#slot) OR #slot < :now OR #slot = :until")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .expression_attribute_values(":now", number(now.as_microsecond()));
            let error = match request.send().await {
                Ok(_) => return Ok(Some(slot)),
                Err(error) => error,
            };
            let Some(UpdateItemError::ConditionalCheckFailedException(taken)) = error.as_service_error() else {
                return Err(classify(error));
            };
            let row = taken.item().cloned().unwrap_or_default();
            match (0..slots).find(|slot| is_free(&row, *slot, now)) {
                Some(free) => slot = free,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn free_slot(&self, organization: OrganizationUid, slot: u32, until: Timestamp) -> Result<(), Error> {
        let request = self
            .update_slot(organization, slot, until)
            .update_expression("REMOVE #slot")
            .condition_expression("#slot = :until"); // after its time another invocation may have it
        is_done(request.send().await).map(|_freed| ())
    }
}

fn slot_name(slot: u32) -> String {
    format!("slot{slot}")
}

fn is_free(row: &Row, slot: u32, now: Timestamp) -> bool {
    let until = row.get(&slot_name(slot)).and_then(|until| until.as_n().ok()?.parse::<i64>().ok());
    until.is_none_or(|until| until < now.as_microsecond())
}

impl Store {
    fn update_slot(&self, organization: OrganizationUid, slot: u32, until: Timestamp) -> UpdateItemFluentBuilder {
        self.update_row(Key::slots(organization))
            .expression_attribute_names("#slot", slot_name(slot))
            .expression_attribute_values(":until", number(until.as_microsecond()))
    }

    /// Changes a delivery. `false`: the condition does not hold.
    async fn update_delivery(
        &self,
        uid: DeliveryUid,
        update: impl Into<String>,
        condition: &str,
        names: &[(&str, &str)],
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<bool, Error> {
        let mut request = self.update_row(Key::delivery(uid)).update_expression(update).condition_expression(condition);
        for (placeholder, name) in names {
            request = request.expression_attribute_names(*placeholder, *name);
        }
        for (placeholder, value) in values {
            request = request.expression_attribute_values(placeholder, value);
        }
        is_done(request.send().await)
    }
}
