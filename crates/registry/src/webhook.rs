use std::collections::BTreeSet;

use model::{ScraperId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::columns::{instant, json, millis, next_number, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::lookup::{known_scraper, scraper_named};
use crate::run::{Ended, Outcome};
use crate::sealing::{KeyringError, Keys, Label};
use crate::secret::{Secret, WEBHOOK};
use crate::token::random_token;

/// Webhooks of one scraper at most.
const MOST_WEBHOOKS: i64 = 20;

/// Bytes of an address at most.
const MOST_URL_BYTES: usize = 2000;

/// A webhook's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookId(pub u64);

/// What a webhook is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Any run is over.
    Finished,
    /// A run did not succeed, also because somebody stopped it or its worker was lost.
    Failed,
    /// A run succeeded after a failure.
    Recovered,
    /// Rows were added, removed or changed.
    Changed,
}

impl Event {
    /// Whether it is what happened when this run ended.
    fn happened(self, ended: &Ended) -> bool {
        let ending = ended.run.ending.as_ref();
        match self {
            Self::Finished => true,
            Self::Failed => ending.is_some_and(|ending| ending.outcome != Outcome::Succeeded),
            Self::Recovered => ended.is_recovery,
            Self::Changed => ending.is_some_and(|ending| {
                let mut tables = ending.changes.values();
                tables.any(|rows| rows.added + rows.removed + rows.changed > 0)
            }),
        }
    }
}

/// An address that is called when a run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Webhook {
    /// Its number.
    pub id: WebhookId,
    /// Whose runs.
    pub scraper: ScraperId,
    /// The address; morph's words in it (`ADDED`, `OUTCOME`, ...) are replaced.
    pub url: String,
    /// What it is called for: one of these is enough.
    pub events: Vec<Event>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Registry {
    /// Adds a webhook (20 a scraper at most; http or https, without name and password). Returns the key that its bodies are signed with, which is shown once and sealed.
    pub async fn add_webhook(
        &self,
        scraper: &ScraperId,
        url: &str,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<(Webhook, Secret), RegistryError> {
        check_url(url)?;
        let events: Vec<_> = BTreeSet::from_iter(events).into_iter().collect();
        if events.is_empty() {
            return Err(RegistryError::Invalid(
                "name at least one event that the webhook is called for".to_owned(),
            ));
        }
        let (scraper, url, keyring) = (scraper.clone(), url.to_owned(), self.keyring().clone());
        self.write(move |transaction| {
            let scraper = known_scraper(transaction, &scraper)?;
            let id = next_number(transaction, "webhook")?;
            let key = random_token("");
            let sealed = keyring.keys()?.seal(&label(&scraper, &id.to_string()), &key)?;
            transaction.execute(
                "INSERT INTO webhooks (id, scraper, url, events, key, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![signed(id), scraper, url, json(&events)?, sealed, millis(now)],
            )?;
            check_count(transaction, &scraper)?;
            Ok((load(transaction, &scraper, WebhookId(id))?, key))
        })
        .await
    }

    /// A scraper's webhooks, oldest first.
    pub async fn webhooks(&self, scraper: &ScraperId) -> Result<Vec<Webhook>, RegistryError> {
        let scraper = scraper.clone();
        self.read(move |transaction| {
            let scraper = known_scraper(transaction, &scraper)?;
            let rows = rows_of(transaction, &scraper)?;
            rows.into_iter().map(|row| row.webhook(transaction)).collect()
        })
        .await
    }

    /// Removes a webhook and what waits for it.
    pub async fn remove_webhook(&self, scraper: &ScraperId, id: WebhookId) -> Result<(), RegistryError> {
        let scraper = scraper_key(scraper);
        self.write(move |transaction| {
            let removed = transaction.execute(
                "DELETE FROM webhooks WHERE scraper = ?1 AND id = ?2",
                params![scraper, signed(id.0)],
            )?;
            match removed {
                0 => Err(RegistryError::not_found("webhook", id.0)),
                _ => Ok(()),
            }
        })
        .await
    }
}

/// The webhooks that are called for the end of this run.
pub(crate) fn called_for(
    transaction: &Transaction<'_>,
    ended: &Ended,
) -> Result<Vec<WebhookId>, RegistryError> {
    let mut called = Vec::new();
    for row in rows_of(transaction, &scraper_key(&ended.run.scraper))? {
        if row.events.iter().any(|event| event.happened(ended)) {
            called.push(WebhookId(unsigned(row.id)));
        }
    }
    Ok(called)
}

/// The webhook with this number; `scraper` is the scraper's key.
pub(crate) fn load(
    transaction: &Transaction<'_>,
    scraper: &str,
    id: WebhookId,
) -> Result<Webhook, RegistryError> {
    let found = transaction
        .prepare_cached(&format!("{SELECT} WHERE scraper = ?1 AND id = ?2"))?
        .query_row(params![scraper, signed(id.0)], WebhookRow::read)
        .optional()?;
    found
        .ok_or_else(|| RegistryError::not_found("webhook", id.0))?
        .webhook(transaction)
}

/// A webhook and the key that its bodies are signed with.
pub(crate) fn with_key(
    transaction: &Transaction<'_>,
    id: WebhookId,
    keys: &Keys,
) -> Result<(Webhook, Result<Secret, KeyringError>), RegistryError> {
    let row = transaction
        .prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
        .query_row([signed(id.0)], WebhookRow::read)?;
    let key = keys.open(&label(&row.scraper, &row.id.to_string()), &row.key);
    Ok((row.webhook(transaction)?, key))
}

const SELECT: &str = "SELECT id, scraper, url, events, created_at, key FROM webhooks";

struct WebhookRow {
    id: i64,
    scraper: String,
    url: String,
    events: Vec<Event>,
    created_at: i64,
    key: String,
}

impl WebhookRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            scraper: row.get(1)?,
            url: row.get(2)?,
            events: known_events(row.get_ref(3)?.as_str()?),
            created_at: row.get(4)?,
            key: row.get(5)?,
        })
    }

    fn webhook(self, transaction: &Transaction<'_>) -> Result<Webhook, RegistryError> {
        Ok(Webhook {
            id: WebhookId(unsigned(self.id)),
            scraper: scraper_named(transaction, &self.scraper)?,
            url: self.url,
            events: self.events,
            created_at: instant(self.created_at),
        })
    }
}

/// What a newer Haul calls for, this one does not know to have happened.
fn known_events(text: &str) -> Vec<Event> {
    let words: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    let known = |word| serde_json::from_value(word).ok();
    words.into_iter().filter_map(known).collect()
}

fn rows_of(transaction: &Transaction<'_>, scraper: &str) -> Result<Vec<WebhookRow>, RegistryError> {
    let mut statement = transaction.prepare_cached(&format!("{SELECT} WHERE scraper = ?1 ORDER BY id"))?;
    let rows = statement.query_map([scraper], WebhookRow::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn label<'a>(scraper: &'a str, id: &'a str) -> Label<'a> {
    Label {
        kind: WEBHOOK,
        scraper,
        name: id,
    }
}

/// Whether the address may be called is decided when it is called: what a name stands for changes.
fn check_url(text: &str) -> Result<(), RegistryError> {
    let refuse = |why: &str| Err(RegistryError::Invalid(format!("the webhook's address {why}")));
    if text.len() > MOST_URL_BYTES {
        return refuse("is longer than 2000 bytes");
    }
    let Ok(url) = Url::parse(text) else {
        return refuse("is no address; write https://example.org/path");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("begins with neither https:// nor http://");
    }
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(()),
        false => refuse("has a name or password in it; check the signature of the calls instead"),
    }
}

fn check_count(transaction: &Transaction<'_>, scraper: &str) -> Result<(), RegistryError> {
    let count: i64 = transaction.query_row(
        "SELECT count(*) FROM webhooks WHERE scraper = ?1",
        [scraper],
        |row| row.get(0),
    )?;
    match count > MOST_WEBHOOKS {
        true => Err(RegistryError::Invalid(
            "a scraper has 20 webhooks at most; remove one".to_owned(),
        )),
        false => Ok(()),
    }
}
