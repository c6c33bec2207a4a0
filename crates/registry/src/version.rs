//! Versions of the data of scrapers.

use model::{Checksum, RunId, ScraperId, Timestamp};
use rusqlite::{Row, Transaction, params};

use crate::columns::{checked, instant, millis, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::Version;
use crate::scraper::{Scraper, store};

const SELECT: &str = "SELECT number, checksum, bytes, run, at FROM versions WHERE scraper = ?1 ";

impl Registry {
    /// Versions of the data, newest first.
    pub async fn versions(&self, scraper: &ScraperId) -> Result<Vec<Version>, RegistryError> {
        let key = scraper_key(scraper);
        self.read(move |transaction| {
            store::load_listed(transaction, &key)?;
            find(transaction, &format!("{SELECT} ORDER BY number DESC"), &key)
        })
        .await
    }

    /// Puts data in force that no run left, such as an import. Where the newest version is this data already, that one stays.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn add_version(
        &self,
        scraper: &ScraperId,
        checksum: Checksum,
        bytes: u64,
        now: Timestamp,
    ) -> Result<PutVersion, RegistryError> {
        let key = scraper_key(scraper);
        self.write(move |transaction| {
            let scraper = store::load_listed(transaction, &key)?;
            put(transaction, &scraper, checksum, bytes, None, now)
        })
        .await
    }

    /// Puts an older version in force again, as a new one.
    ///
    /// # Errors
    ///
    /// `NotFound`, also where the version is no longer kept.
    pub async fn restore_version(
        &self,
        scraper: &ScraperId,
        number: u64,
        now: Timestamp,
    ) -> Result<PutVersion, RegistryError> {
        let key = scraper_key(scraper);
        self.write(move |transaction| {
            let scraper = store::load_listed(transaction, &key)?;
            let old = find(transaction, SELECT, &key)?
                .into_iter()
                .find(|version| version.number == number)
                .ok_or_else(|| RegistryError::not_found("version", number))?;
            put(transaction, &scraper, old.checksum, old.bytes, None, now)
        })
        .await
    }
}

/// Data that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutVersion {
    /// The version.
    pub version: Version,
    /// Versions that are no longer kept, except those whose file one that is kept has, too: these files can be removed from the archive.
    pub dropped: Vec<Version>,
}

/// The newest version of the scraper with this key.
pub(crate) fn newest(transaction: &Transaction<'_>, key: &str) -> Result<Option<Version>, RegistryError> {
    Ok(find(
        transaction,
        &format!("{SELECT} ORDER BY number DESC LIMIT 1"),
        key,
    )?
    .pop())
}

/// Puts data in force, under the number after the newest. Data that is in force already makes no version: the last ones are kept, and ten times
/// the same would leave no older one.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    scraper: &Scraper,
    checksum: Checksum,
    bytes: u64,
    run: Option<RunId>,
    at: Timestamp,
) -> Result<PutVersion, RegistryError> {
    let key = scraper_key(&scraper.id);
    let newest = newest(transaction, &key)?;
    let number = newest.as_ref().map_or(1, |newest| newest.number + 1);
    if let Some(version) = newest.filter(|newest| newest.checksum == checksum) {
        let dropped = Vec::new();
        return Ok(PutVersion { version, dropped });
    }
    let version = Version {
        number,
        checksum,
        bytes,
        run,
        at,
    };
    transaction
        .prepare_cached("INSERT INTO versions (scraper, number, checksum, bytes, run, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            key,
            signed(number),
            checksum.to_string(),
            signed(bytes),
            run.map(|run| signed(run.0)),
            millis(at)
        ])?;
    let kept_from = number.saturating_sub(u64::from(scraper.settings.keep_versions.max(1)));
    let dropped = drop_until(transaction, &key, kept_from)?;
    Ok(PutVersion { version, dropped })
}

/// Drops the versions of a scraper up to this number. Returns those whose file no later one has: each scraper has files of its own.
pub(crate) fn drop_until(
    transaction: &Transaction<'_>,
    key: &str,
    number: u64,
) -> Result<Vec<Version>, RegistryError> {
    let versions = find(transaction, &format!("{SELECT} ORDER BY number"), key)?;
    let (mut dropped, kept): (Vec<_>, Vec<_>) =
        versions.into_iter().partition(|version| version.number <= number);
    transaction
        .prepare_cached("DELETE FROM versions WHERE scraper = ?1 AND number <= ?2")?
        .execute(params![key, signed(number)])?;
    dropped.retain(|version| kept.iter().all(|kept| kept.checksum != version.checksum));
    Ok(dropped)
}

fn find(transaction: &Transaction<'_>, sql: &str, key: &str) -> Result<Vec<Version>, RegistryError> {
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([key])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(read(row)?);
    }
    Ok(versions)
}

fn read(row: &Row<'_>) -> Result<Version, RegistryError> {
    let run: Option<i64> = row.get(3)?;
    Ok(Version {
        number: unsigned(row.get(0)?),
        checksum: checked(row.get(1)?)?,
        bytes: unsigned(row.get(2)?),
        run: run.map(|run| RunId(unsigned(run))),
        at: instant(row.get(4)?),
    })
}
