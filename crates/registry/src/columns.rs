//! How values stand in columns.

use model::{OwnerName, ScraperId, Timestamp};
use rusqlite::Transaction;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::RegistryError;

/// An instant as milliseconds since 1970.
pub(crate) fn millis(at: Timestamp) -> i64 {
    signed(at.as_millis())
}

/// The instant that [`millis`] wrote.
pub(crate) fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millis(unsigned(millis))
}

/// A number for a column; nothing that is counted here comes near the largest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number that [`signed`] wrote.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What an owner is found by: the name in small letters.
pub(crate) fn owner_key(name: &OwnerName) -> String {
    name.as_str().to_ascii_lowercase()
}

/// What a scraper is found by: `owner/name` in small letters.
pub(crate) fn scraper_key(id: &ScraperId) -> String {
    id.to_string().to_ascii_lowercase()
}

/// A value as JSON text.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, RegistryError> {
    serde_json::to_string(value).map_err(|error| RegistryError::Invalid(error.to_string()))
}

/// The value that [`json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, RegistryError> {
    serde_json::from_str(text).map_err(|error| RegistryError::Damaged(error.to_string()))
}

/// A name that was checked before it was written.
pub(crate) fn checked<T: TryFrom<String>>(text: String) -> Result<T, RegistryError>
where
    T::Error: ToString,
{
    T::try_from(text).map_err(|error| RegistryError::Damaged(error.to_string()))
}

/// The next number of its kind, from 1: never given twice.
pub(crate) fn next_number(transaction: &Transaction<'_>, kind: &str) -> Result<u64, RegistryError> {
    let number: i64 = transaction
        .prepare_cached(
            "INSERT INTO counters (kind, last) VALUES (?1, 1)
             ON CONFLICT (kind) DO UPDATE SET last = counters.last + 1 RETURNING last",
        )?
        .query_row([kind], |row| row.get(0))?;
    Ok(unsigned(number))
}
