//! Calls of webhooks: queued by the end of a run, taken by whoever makes them, noted.

use std::time::Duration;

use model::{RunId, ScraperId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::columns::{instant, millis, next_number, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::Ended;
use crate::secret::Secret;
use crate::webhook::{self, Webhook, WebhookId};

/// Deliveries of one webhook that are kept.
const KEPT: i64 = 100;

/// Tries of a delivery, all together.
pub const MOST_TRIES: u32 = 6;

/// How long a delivery belongs to the process that took it.
const RESERVED: Duration = Duration::from_secs(60);

/// Calls for one scraper at a time.
const AT_A_TIME: i64 = 2;

/// Bytes of a noted answer at most.
const MOST_ANSWER_BYTES: usize = 500;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried (again) when it is due.
    Waiting,
    /// The address said that it took it (2xx).
    Delivered,
    /// It was tried as often as it is tried.
    GivenUp,
}

impl DeliveryState {
    fn as_column(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }

    fn from_column(text: &str) -> Result<Self, RegistryError> {
        match text {
            "waiting" => Ok(Self::Waiting),
            "delivered" => Ok(Self::Delivered),
            "given_up" => Ok(Self::GivenUp),
            other => Err(RegistryError::Damaged(format!("a delivery that is {other}"))),
        }
    }
}

/// One call of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Its number; also its `X-Haul-Delivery`.
    pub id: u64,
    /// Which webhook.
    pub webhook: WebhookId,
    /// About which run.
    pub run: RunId,
    /// Where it is.
    pub state: DeliveryState,
    /// Tries so far, with the one that is under way.
    pub tries: u32,
    /// When it is due.
    pub due_at: Timestamp,
    /// The last answer: a status, or why there was none.
    pub answer: Option<String>,
    /// How long the last try took, in milliseconds.
    pub took_ms: Option<u64>,
}

impl Registry {
    /// The newest 100 deliveries of a webhook, newest first.
    pub async fn deliveries(
        &self,
        scraper: &ScraperId,
        id: WebhookId,
    ) -> Result<Vec<Delivery>, RegistryError> {
        let scraper = scraper_key(scraper);
        self.read(move |transaction| {
            webhook::load(transaction, &scraper, id)?;
            let mut statement = transaction
                .prepare_cached(&format!("{SELECT} WHERE webhook = ?1 ORDER BY id DESC LIMIT ?2"))?;
            let rows = statement
                .query_map([signed(id.0), KEPT], DeliveryRow::read)?
                .collect::<Result<Vec<_>, _>>()?;
            rows.into_iter().map(DeliveryRow::delivery).collect()
        })
        .await
    }

    /// Delivers once more, now, under the same number, and again as often as a new one where it fails.
    pub async fn redeliver(
        &self,
        scraper: &ScraperId,
        delivery: u64,
        now: Timestamp,
    ) -> Result<Delivery, RegistryError> {
        let scraper = scraper_key(scraper);
        self.write(move |transaction| {
            let found = load(transaction, delivery)?;
            webhook::load(transaction, &scraper, found.webhook)
                .map_err(|_| RegistryError::not_found("delivery", delivery))?;
            transaction.execute(
                "UPDATE deliveries SET state = 'waiting', tries = 0, due_at = ?2, reserved_until = NULL WHERE id = ?1",
                [signed(delivery), millis(now)],
            )?;
            load(transaction, delivery)
        })
        .await
    }

    /// Takes a delivery that is due, with webhook and signing key, and reserves it for a minute, so that no two processes make the same call at one time.
    /// Whoever dies meanwhile leaves it to the next, so a call may be made twice, under one number; one that was taken [`MOST_TRIES`] times, and whose last try
    /// was not noted, is given up. Of one scraper, two are taken at a time: addresses that answer slowly hold up nobody else.
    /// ([`Registry::finish`] is what queues deliveries, in its transaction, for the webhooks whose events match.)
    pub async fn due_delivery(
        &self,
        now: Timestamp,
    ) -> Result<Option<(Delivery, Webhook, Secret)>, RegistryError> {
        let keyring = self.keyring().clone();
        // The idle look is a read: it holds up no other process.
        if self
            .read(move |transaction| due(transaction, now))
            .await?
            .is_none()
        {
            return Ok(None);
        }
        self.write(move |transaction| {
            let keys = keyring.keys()?;
            while let Some(id) = due(transaction, now)? {
                let delivery = reserve(transaction, id, now)?;
                if delivery.tries > MOST_TRIES {
                    give_up(transaction, &delivery, "the process ended during the call")?;
                    continue;
                }
                match webhook::with_key(transaction, delivery.webhook, &keys)? {
                    (webhook, Ok(key)) => return Ok(Some((delivery, webhook, key))),
                    (_, Err(error)) => give_up(transaction, &delivery, &error.to_string())?,
                }
            }
            Ok(None)
        })
        .await
    }

    /// Notes how a try went that [`Registry::due_delivery`] began; `again_at` where it is tried again. Nothing where the delivery is gone, or somebody else's by
    /// now: it was asked for once more, or the try took longer than a minute.
    pub async fn delivered(
        &self,
        delivery: &Delivery,
        state: DeliveryState,
        answer: &str,
        took_ms: u64,
        again_at: Option<Timestamp>,
    ) -> Result<(), RegistryError> {
        let (delivery, answer) = (delivery.clone(), answer.to_owned());
        self.write(move |transaction| note(transaction, &delivery, state, &answer, took_ms, again_at))
            .await
    }
}

/// Queues calls of the webhooks that want to know of the end of a run; for the transaction that ends it.
pub(crate) fn queue(
    transaction: &Transaction<'_>,
    ended: &Ended,
    now: Timestamp,
) -> Result<(), RegistryError> {
    for webhook in webhook::called_for(transaction, ended)? {
        let id = next_number(transaction, "delivery")?;
        transaction
            .prepare_cached(
                "INSERT INTO deliveries (id, webhook, run, state, tries, due_at) VALUES (?1, ?2, ?3, 'waiting', 0, ?4)",
            )?
            .execute([signed(id), signed(webhook.0), signed(ended.run.id.0), millis(now)])?;
        forget_old(transaction, webhook)?;
    }
    Ok(())
}

/// Also such as still wait: an address that is gone does not fill the registry.
fn forget_old(transaction: &Transaction<'_>, webhook: WebhookId) -> Result<(), RegistryError> {
    transaction
        .prepare_cached(
            "DELETE FROM deliveries WHERE webhook = ?1 AND id <=
             (SELECT id FROM deliveries WHERE webhook = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute([signed(webhook.0), KEPT])?;
    Ok(())
}

/// Whoever waits longest, of scrapers of which fewer than two calls are under way.
fn due(transaction: &Transaction<'_>, now: Timestamp) -> Result<Option<u64>, RegistryError> {
    let due: Option<i64> = transaction
        .prepare_cached(
            "SELECT deliveries.id FROM deliveries JOIN webhooks ON webhooks.id = deliveries.webhook
             WHERE deliveries.state = 'waiting' AND deliveries.due_at <= ?1 AND webhooks.scraper NOT IN
             (SELECT webhooks.scraper FROM deliveries JOIN webhooks ON webhooks.id = deliveries.webhook
              WHERE deliveries.reserved_until > ?1 GROUP BY webhooks.scraper HAVING count(*) >= ?2)
             ORDER BY deliveries.due_at, deliveries.tries, deliveries.id LIMIT 1",
        )?
        .query_row(params![millis(now), AT_A_TIME], |row| row.get(0))
        .optional()?;
    Ok(due.map(unsigned))
}

/// The try counts before it is made, so that one that ends the process counts too.
fn reserve(transaction: &Transaction<'_>, id: u64, now: Timestamp) -> Result<Delivery, RegistryError> {
    transaction
        .prepare_cached(
            "UPDATE deliveries SET tries = tries + 1, due_at = ?2, reserved_until = ?2 WHERE id = ?1",
        )?
        .execute([signed(id), millis(now.after(RESERVED))])?;
    load(transaction, id)
}

fn give_up(transaction: &Transaction<'_>, delivery: &Delivery, why: &str) -> Result<(), RegistryError> {
    note(transaction, delivery, DeliveryState::GivenUp, why, 0, None)
}

/// Only under the reservation with which it was taken.
fn note(
    transaction: &Transaction<'_>,
    delivery: &Delivery,
    state: DeliveryState,
    answer: &str,
    took_ms: u64,
    again_at: Option<Timestamp>,
) -> Result<(), RegistryError> {
    transaction
        .prepare_cached(
            "UPDATE deliveries SET state = ?4, answer = ?5, took_ms = ?6, due_at = coalesce(?7, due_at), reserved_until = NULL
             WHERE id = ?1 AND tries = ?2 AND reserved_until = ?3",
        )?
        .execute(params![
            signed(delivery.id),
            i64::from(delivery.tries),
            millis(delivery.due_at),
            state.as_column(),
            &answer[..answer.floor_char_boundary(MOST_ANSWER_BYTES)],
            signed(took_ms),
            again_at.map(millis),
        ])?;
    Ok(())
}

const SELECT: &str = "SELECT id, webhook, run, state, tries, due_at, answer, took_ms FROM deliveries";

struct DeliveryRow {
    id: i64,
    webhook: i64,
    run: i64,
    state: String,
    tries: u32,
    due_at: i64,
    answer: Option<String>,
    took_ms: Option<i64>,
}

impl DeliveryRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            webhook: row.get(1)?,
            run: row.get(2)?,
            state: row.get(3)?,
            tries: row.get(4)?,
            due_at: row.get(5)?,
            answer: row.get(6)?,
            took_ms: row.get(7)?,
        })
    }

    fn delivery(self) -> Result<Delivery, RegistryError> {
        Ok(Delivery {
            id: unsigned(self.id),
            webhook: WebhookId(unsigned(self.webhook)),
            run: RunId(unsigned(self.run)),
            state: DeliveryState::from_column(&self.state)?,
            tries: self.tries,
            due_at: instant(self.due_at),
            answer: self.answer,
            took_ms: self.took_ms.map(unsigned),
        })
    }
}

fn load(transaction: &Transaction<'_>, id: u64) -> Result<Delivery, RegistryError> {
    let found = transaction
        .prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_row([signed(id)], DeliveryRow::read)
        .optional()?;
    found
        .ok_or_else(|| RegistryError::not_found("delivery", id))?
        .delivery()
}
