//! Webhook subscriptions and deliveries.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Store;
use super::calls::{attribute, classify, read};
use super::keys::{self, Key, LISTING};
use crate::domain::id::{DeliveryUid, OrganizationUid, WebhookUid};
use crate::domain::webhook::{Delivery, DeliveryStatus, Webhook};
use crate::domain::{Error, Timestamp, limits};
use crate::ports::{Page, Slice, Webhooks};

impl Webhooks for Store {
    async fn add_webhook(&self, webhook: &Webhook) -> Result<(), Error> {
        let all = Slice { after: None, limit: limits::WEBHOOKS, ascending: false };
        // Two at once may pass this together; what must hold, that one transaction can tell all, has room for it.
        if self.webhooks(webhook.organization, &all).await?.entries.len() >= limits::WEBHOOKS {
            return Err(Error::TooMany(format!("An organization may have at most {} webhooks.", limits::WEBHOOKS)));
        }
        self.add(Key::webhook(webhook.organization, webhook.uid), webhook).await
    }

    async fn webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<Webhook, Error> {
        self.get(Key::webhook(organization, uid)).await?.ok_or(Error::NotFound)
    }

    async fn webhooks(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<Webhook>, Error> {
        self.page_of_partition(keys::organization_pk(organization), keys::WEBHOOK, slice).await
    }

    async fn remove_webhook(&self, organization: OrganizationUid, uid: WebhookUid) -> Result<(), Error> {
        if self.remove(Key::webhook(organization, uid)).await? { Ok(()) } else { Err(Error::NotFound) }
    }

    async fn delivery(&self, uid: DeliveryUid) -> Result<Option<Delivery>, Error> {
        self.get(Key::delivery(uid)).await
    }

    async fn deliveries(&self, organization: OrganizationUid, slice: &Slice) -> Result<Page<Delivery>, Error> {
        let Page { entries, next } = self.page_of_index(&LISTING, keys::deliveries_of(organization), slice).await?;
        let mut found: Vec<Delivery> = self.get_many(entries).await?.into_iter().map(read).collect::<Result<_, _>>()?;
        let place = |d: &Delivery| keys::in_time(d.created_at, d.uid);
        found.sort_by_key(place);
        if !slice.ascending {
            found.reverse();
        }
        Ok(Page { entries: found, next })
    }

    async fn claim_delivery(&self, delivery: &Delivery, until: Timestamp) -> Result<bool, Error> {
        let as_read = "#status = :pending AND next_retry_at = :seen"; // two messages about one delivery race here
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::delivery(delivery.uid).into()))
            .update_expression("SET next_retry_at = :until")
            .condition_expression(as_read)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", attribute(&DeliveryStatus::Pending)?)
            .expression_attribute_values(":seen", attribute(&delivery.next_retry_at)?)
            .expression_attribute_values(":until", attribute(&until)?);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(false),
            Err(error) => Err(classify(error)),
        }
    }

    async fn record_delivery(&self, delivery: &Delivery) -> Result<(), Error> {
        let values: [(&str, AttributeValue); 5] = [
            (":status", attribute(&delivery.status)?),
            (":attempts", attribute(&delivery.attempts)?),
            (":next", attribute(&delivery.next_retry_at)?),
            (":response", attribute(&delivery.response)?),
            (":updated", attribute(&delivery.updated_at)?),
        ];
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::delivery(delivery.uid).into()))
            .update_expression("SET #status = :status, attempts = :attempts, next_retry_at = :next, #response = :response, updated_at = :updated")
            .condition_expression("attribute_exists(pk)") // never make half a record of one that has expired
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#response", "response");
        for (name, value) in values {
            request = request.expression_attribute_values(name, value);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }
}
