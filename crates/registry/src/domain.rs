//! Whom scrapers talk to.

use model::ScraperId;
use rusqlite::{Row, Transaction, params};

use crate::columns::{instant, millis, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::Domain;
use crate::scraper::store;

/// Hosts of one run that are counted, and hosts of one scraper that are kept: those it talked to last.
const MAX_HOSTS: u32 = 1_000;

impl Registry {
    /// Whom the scraper's runs talked to, all together, most connections first: 1,000 at most.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn domains(&self, scraper: &ScraperId) -> Result<Vec<Domain>, RegistryError> {
        let key = scraper_key(scraper);
        self.read(move |transaction| {
            store::load_listed(transaction, &key)?;
            let mut statement = transaction.prepare_cached(
                "SELECT host, connections, refused, bytes_in, bytes_out, first_at, last_at FROM domains
                 WHERE scraper = ?1 ORDER BY connections DESC, host",
            )?;
            let domains = statement.query_map([key], read)?;
            Ok(domains.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Adds what one run counted, most connections first, and forgets what is too much.
pub(crate) fn add(transaction: &Transaction<'_>, key: &str, domains: &[Domain]) -> Result<(), RegistryError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO domains (scraper, host, connections, refused, bytes_in, bytes_out, first_at, last_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (scraper, host) DO UPDATE SET
         connections = domains.connections + excluded.connections, refused = domains.refused + excluded.refused,
         bytes_in = domains.bytes_in + excluded.bytes_in, bytes_out = domains.bytes_out + excluded.bytes_out,
         last_at = excluded.last_at",
    )?;
    for domain in domains.iter().take(MAX_HOSTS as usize) {
        statement.execute(params![
            key,
            domain.host,
            signed(domain.connections),
            signed(domain.refused),
            signed(domain.bytes_in),
            signed(domain.bytes_out),
            millis(domain.first_at),
            millis(domain.last_at)
        ])?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM domains WHERE scraper = ?1 AND host NOT IN
             (SELECT host FROM domains WHERE scraper = ?1 ORDER BY last_at DESC, connections DESC, host LIMIT ?2)",
        )?
        .execute(params![key, MAX_HOSTS])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Domain> {
    Ok(Domain {
        host: row.get(0)?,
        connections: unsigned(row.get(1)?),
        refused: unsigned(row.get(2)?),
        bytes_in: unsigned(row.get(3)?),
        bytes_out: unsigned(row.get(4)?),
        first_at: instant(row.get(5)?),
        last_at: instant(row.get(6)?),
    })
}
