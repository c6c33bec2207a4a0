//! Scrapers as they stand in the database.

use model::{OwnerName, RunId, ScraperId, ScraperName, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{NewScraper, Scraper, ScraperSettings, rules};
use crate::columns::{checked, from_json, instant, json, millis, owner_key, scraper_key, unsigned};
use crate::database::RegistryError;

/// Characters of the reason of a pause, at most.
pub(crate) const MAX_PAUSE: usize = 500;

/// What [`read`] reads; conditions follow.
pub(crate) const SELECT: &str = "SELECT id, origin, settings, created_at, due_at, paused, failures, language,
    (SELECT runs.id FROM runs WHERE runs.scraper = scrapers.key AND runs.finished_at IS NULL),
    (SELECT max(runs.id) FROM runs WHERE runs.scraper = scrapers.key),
    (SELECT max(number) FROM versions WHERE versions.scraper = scrapers.key),
    (SELECT max(peak_mib) FROM (SELECT peak_mib FROM runs WHERE runs.scraper = scrapers.key AND peak_mib IS NOT NULL
        ORDER BY runs.id DESC LIMIT 5) AS last_runs),
    configuration
    FROM scrapers ";

pub(crate) fn read(row: &Row<'_>) -> Result<Scraper, RegistryError> {
    let number = |column: usize| -> Result<Option<u64>, RegistryError> {
        let number: Option<i64> = row.get(column)?;
        Ok(number.map(unsigned))
    };
    let failures: i64 = row.get(6)?;
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    Ok(Scraper {
        id: checked(row.get(0)?)?,
        origin: from_json(text(1)?)?,
        settings: from_json(text(2)?)?,
        configuration: unsigned(row.get(12)?),
        created_at: instant(row.get(3)?),
        due_at: number(4)?.map(Timestamp::from_millis),
        paused: row.get(5)?,
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        language: row.get(7)?,
        unfinished: number(8)?.map(RunId),
        last_run: number(9)?.map(RunId),
        version: number(10)?,
        used_memory_mib: number(11)?,
    })
}

/// The scraper with this key, also one of an upload.
pub(crate) fn load(transaction: &Transaction<'_>, key: &str) -> Result<Scraper, RegistryError> {
    load_where(transaction, "key = ?1", key)
}

/// The scraper with this key that people know: one of an upload is nobody's to look at or to change.
pub(crate) fn load_listed(transaction: &Transaction<'_>, key: &str) -> Result<Scraper, RegistryError> {
    load_where(transaction, "key = ?1 AND is_upload = 0", key)
}

fn load_where(transaction: &Transaction<'_>, condition: &str, key: &str) -> Result<Scraper, RegistryError> {
    let mut statement = transaction.prepare_cached(&format!("{SELECT} WHERE {condition}"))?;
    let mut rows = statement.query([key])?;
    match rows.next()? {
        Some(row) => read(row),
        None => Err(RegistryError::not_found("scraper", key)),
    }
}

/// Writes a new scraper, whose owner is there. Its name becomes its owner's as that was written first, and its own.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    new: &NewScraper,
    is_upload: bool,
    now: Timestamp,
) -> Result<ScraperId, RegistryError> {
    rules::check(transaction, &new.id, &new.origin, &new.settings)?;
    let owner: String = transaction
        .prepare_cached("SELECT name FROM owners WHERE key = ?1")?
        .query_row([owner_key(&new.id.owner)], |row| row.get(0))?;
    let id = ScraperId {
        owner: checked::<OwnerName>(owner)?,
        name: ScraperName::clone(&new.id.name),
    };
    let key = scraper_key(&id);
    let is_there = transaction
        .prepare_cached("SELECT 1 FROM scrapers WHERE key = ?1")?
        .query_row([&key], |_| Ok(()))
        .optional()?;
    if is_there.is_some() {
        return Err(RegistryError::Exists {
            what: "scraper",
            name: id.to_string(),
        });
    }
    transaction
        .prepare_cached(
            "INSERT INTO scrapers (key, id, owner, origin, settings, words, follows, is_upload, created_at, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            key,
            id.to_string(),
            owner_key(&id.owner),
            json(&new.origin)?,
            json(&new.settings)?,
            words(&id, &new.settings),
            new.settings.after.as_ref().map(scraper_key),
            i64::from(is_upload),
            millis(now),
            rules::next_due(&id, &new.settings, now)?.map(millis)
        ])?;
    Ok(id)
}

/// What the search for text looks in.
pub(crate) fn words(id: &ScraperId, settings: &ScraperSettings) -> String {
    format!("{id}\n{}", settings.description).to_lowercase()
}

/// Lets the schedule of a scraper stand still with which something is wrong, so that it holds up nobody else.
pub(crate) fn set_aside(
    transaction: &Transaction<'_>,
    key: &str,
    why: &RegistryError,
) -> Result<(), RegistryError> {
    let why: String = why.to_string().chars().take(MAX_PAUSE).collect();
    set_pause(transaction, key, Some(&why), None)
}

/// Lets the schedule stand still, or go on from `due_at`.
pub(crate) fn set_pause(
    transaction: &Transaction<'_>,
    key: &str,
    why: Option<&str>,
    due_at: Option<Timestamp>,
) -> Result<(), RegistryError> {
    transaction
        .prepare_cached("UPDATE scrapers SET paused = ?2, due_at = ?3 WHERE key = ?1")?
        .execute(params![key, why, due_at.map(millis)])?;
    Ok(())
}
