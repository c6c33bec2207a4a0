//! What is not kept for ever.

use model::{RunId, ScraperId, Timestamp};
use rusqlite::{Transaction, params};

use crate::columns::{checked, millis, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};

/// Runs, and uploads, that one call forgets at most.
const BATCH: i64 = 1_000;

impl Registry {
    /// Forgets runs that are over since before `before`, except the newest of each scraper, its last three that succeeded and its last three that
    /// failed; of uploads, scraper and run. Hosts that no run has talked to since go, too. Returns whose logs can be removed from the archive: 1,000 of each at most,
    /// so ask again until there are none.
    pub async fn forget_runs(&self, before: Timestamp) -> Result<Vec<(ScraperId, RunId)>, RegistryError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM domains WHERE last_at < ?1", [millis(before)])?;
            let uploads = find(transaction, OLD_UPLOADS, before)?;
            for (scraper, _) in &uploads {
                transaction
                    .prepare_cached("DELETE FROM scrapers WHERE key = ?1")?
                    .execute([scraper_key(scraper)])?;
            }
            let runs = find(transaction, OLD_RUNS, before)?;
            for (_, run) in &runs {
                transaction
                    .prepare_cached("DELETE FROM runs WHERE id = ?1")?
                    .execute([signed(run.0)])?;
            }
            Ok([uploads, runs].concat())
        })
        .await
    }
}

const OLD_UPLOADS: &str = "SELECT scrapers.id, runs.id FROM runs JOIN scrapers ON scrapers.key = runs.scraper
    WHERE scrapers.is_upload = 1 AND runs.finished_at < ?1 ORDER BY runs.finished_at LIMIT ?2";

/// Counting stops at three, so a scraper with many runs costs no more than one with few.
const OLD_RUNS: &str = "SELECT scrapers.id, runs.id FROM runs JOIN scrapers ON scrapers.key = runs.scraper
    WHERE runs.finished_at < ?1
    AND runs.id < (SELECT max(newer.id) FROM runs AS newer WHERE newer.scraper = runs.scraper)
    AND NOT (runs.outcome = 'succeeded' AND 3 > (SELECT count(*) FROM (SELECT 1 FROM runs AS newer
        WHERE newer.scraper = runs.scraper AND newer.id > runs.id AND newer.outcome = 'succeeded' LIMIT 3) AS successes))
    AND NOT (runs.outcome <> 'succeeded' AND 3 > (SELECT count(*) FROM (SELECT 1 FROM runs AS newer
        WHERE newer.scraper = runs.scraper AND newer.id > runs.id AND newer.outcome <> 'succeeded' LIMIT 3) AS failures))
    ORDER BY runs.finished_at LIMIT ?2";

fn find(
    transaction: &Transaction<'_>,
    old: &str,
    before: Timestamp,
) -> Result<Vec<(ScraperId, RunId)>, RegistryError> {
    let mut statement = transaction.prepare_cached(old)?;
    let mut rows = statement.query(params![millis(before), BATCH])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((checked(row.get(0)?)?, RunId(unsigned(row.get(1)?))));
    }
    Ok(found)
}
