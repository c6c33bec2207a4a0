use registry::{Delivery, DeliveryState, Event, Webhook};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::display::rfc3339;

/// An address that is called when a run is over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookBody {
    /// Its number.
    id: u64,
    /// morph's words in it (`OUTCOME`, `ADDED`, ...) are replaced.
    url: String,
    /// What it is called for; one is enough.
    #[schema(value_type = Vec<String>, example = json!(["failed", "recovered"]))]
    events: Vec<Event>,
    /// RFC 3339.
    created_at: String,
}

impl From<&Webhook> for WebhookBody {
    fn from(webhook: &Webhook) -> Self {
        Self {
            id: webhook.id.0,
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            created_at: rfc3339(webhook.created_at),
        }
    }
}

/// An address to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// http or https.
    pub(crate) url: String,
    /// `finished` (every run), `failed`, `recovered`, `changed` (rows did); every run where it is missing.
    #[serde(default = "every_run")]
    #[schema(value_type = Vec<String>, example = json!(["finished"]))]
    pub(crate) events: Vec<Event>,
}

fn every_run() -> Vec<Event> {
    vec![Event::Finished]
}

/// A webhook that was just added.
#[derive(Serialize, ToSchema)]
pub(crate) struct AddedWebhook {
    pub(crate) webhook: WebhookBody,
    /// What bodies are signed with (`X-Haul-Signature-256`). It is shown only now.
    pub(crate) key: String,
}

/// One call of a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryBody {
    /// Its number, also its `X-Haul-Delivery`.
    id: u64,
    webhook: u64,
    run: u64,
    /// `waiting`, `delivered` or `given_up`.
    #[schema(value_type = String, example = "delivered")]
    state: DeliveryState,
    /// Tries so far.
    tries: u32,
    /// When it is due, RFC 3339.
    due_at: String,
    /// The last answer: a status, or why there was none.
    answer: Option<String>,
    /// How long the last try took.
    took_ms: Option<u64>,
}

impl From<&Delivery> for DeliveryBody {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            webhook: delivery.webhook.0,
            run: delivery.run.0,
            state: delivery.state,
            tries: delivery.tries,
            due_at: rfc3339(delivery.due_at),
            answer: delivery.answer.clone(),
            took_ms: delivery.took_ms,
        }
    }
}
