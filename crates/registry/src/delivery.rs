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

/// How long a delivery belongs to the process that took it.
const RESERVED: Duration = Duration::from_secs(60);

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
                "UPDATE deliveries SET state = 'waiting', tries = 0, due_at = ?2 WHERE id = ?1",
                [signed(delivery), millis(now)],
            )?;
            load(transaction, delivery)
        })
        .await
    }

    /// Takes deliveries that are due, those with the fewest tries first, with webhook and signing key, and reserves them for a minute, so that no two processes make the same call at
    /// one time. Whoever dies meanwhile leaves them to the next, so a call may be made twice, under one number.
    /// ([`Registry::finish`] is what queues deliveries, in its transaction, for the webhooks whose events match.)
    pub async fn due_deliveries(
        &self,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<(Delivery, Webhook, Secret)>, RegistryError> {
        let keyring = self.keyring().clone();
        // The idle look is a read: it holds up no other process.
        if self
            .read(move |transaction| due(transaction, 1, now))
            .await?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        self.write(move |transaction| {
            let keys = keyring.keys()?;
            let mut taken = Vec::new();
            for id in due(transaction, limit, now)? {
                let delivery = reserve(transaction, id, now)?;
                match webhook::with_key(transaction, delivery.webhook, &keys)? {
                    (webhook, Ok(key)) => taken.push((delivery, webhook, key)),
                    (_, Err(error)) => note(
                        transaction,
                        id,
                        DeliveryState::GivenUp,
                        &error.to_string(),
                        0,
                        None,
                    )?,
                }
            }
            Ok(taken)
        })
        .await
    }

    /// Notes how a try went; `again_at` where it is tried again. Nothing where the delivery is gone.
    pub async fn delivered(
        &self,
        delivery: u64,
        state: DeliveryState,
        answer: &str,
        took_ms: u64,
        again_at: Option<Timestamp>,
    ) -> Result<(), RegistryError> {
        let answer = answer.to_owned();
        self.write(move |transaction| note(transaction, signed(delivery), state, &answer, took_ms, again_at))
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

/// New ones go before those that failed: addresses that do not answer do not hold up the others.
fn due(transaction: &Transaction<'_>, limit: usize, now: Timestamp) -> Result<Vec<i64>, RegistryError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(
        "SELECT id FROM deliveries WHERE state = 'waiting' AND due_at <= ?1 ORDER BY tries, due_at, id LIMIT ?2",
    )?;
    let ids = statement.query_map([millis(now), limit], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The try counts before it is made, so that one that ends the process counts too.
fn reserve(transaction: &Transaction<'_>, id: i64, now: Timestamp) -> Result<Delivery, RegistryError> {
    transaction
        .prepare_cached("UPDATE deliveries SET tries = tries + 1, due_at = ?2 WHERE id = ?1")?
        .execute([id, millis(now.after(RESERVED))])?;
    load(transaction, unsigned(id))
}

fn note(
    transaction: &Transaction<'_>,
    id: i64,
    state: DeliveryState,
    answer: &str,
    took_ms: u64,
    again_at: Option<Timestamp>,
) -> Result<(), RegistryError> {
    transaction
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, answer = ?3, took_ms = ?4, due_at = coalesce(?5, due_at) WHERE id = ?1",
        )?
        .execute(params![
            id,
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
