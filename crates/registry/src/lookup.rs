//! What the names in calls stand for.

use model::{OwnerName, ScraperId};
use rusqlite::{OptionalExtension, Transaction};

use crate::columns::{checked, owner_key, scraper_key};
use crate::database::RegistryError;

/// The key of a scraper that is there.
pub(crate) fn known_scraper(transaction: &Transaction<'_>, id: &ScraperId) -> Result<String, RegistryError> {
    let key = scraper_key(id);
    let found = transaction
        .prepare_cached("SELECT 1 FROM scrapers WHERE key = ?1")?
        .exists([&key])?;
    match found {
        true => Ok(key),
        false => Err(RegistryError::not_found("scraper", id)),
    }
}

/// The scraper with this key, as its name was written.
pub(crate) fn scraper_named(transaction: &Transaction<'_>, key: &str) -> Result<ScraperId, RegistryError> {
    let id: String = transaction
        .prepare_cached("SELECT id FROM scrapers WHERE key = ?1")?
        .query_row([key], |row| row.get(0))?;
    checked(id)
}

/// The name as it was written first, as far as anybody wrote it.
pub(crate) fn canonical(transaction: &Transaction<'_>, id: ScraperId) -> Result<ScraperId, RegistryError> {
    let known: Option<String> = transaction
        .prepare_cached("SELECT id FROM scrapers WHERE key = ?1")?
        .query_row([scraper_key(&id)], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return checked(known);
    }
    let owner = owner_named(transaction, &owner_key(&id.owner))?.unwrap_or(id.owner);
    Ok(ScraperId { owner, ..id })
}

/// The owner with this key, as the name was written.
pub(crate) fn owner_named(
    transaction: &Transaction<'_>,
    key: &str,
) -> Result<Option<OwnerName>, RegistryError> {
    let name: Option<String> = transaction
        .prepare_cached("SELECT name FROM owners WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    name.map(checked).transpose()
}
