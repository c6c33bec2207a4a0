//! Runs as they stand in the database.

use model::{RunId, ScraperId};
use rusqlite::{OptionalExtension, Row, Transaction};

use super::{Phase, Run};
use crate::columns::{checked, from_json, instant, unsigned};
use crate::database::RegistryError;

/// What [`read`] reads; conditions follow.
pub(crate) const SELECT: &str =
    "SELECT runs.id, scrapers.id, runs.cause, runs.phase, runs.queued_at, runs.leased_at, runs.started_at,
    runs.finished_at, runs.worker, runs.attempts, runs.not_before, runs.memory_mib, runs.stop, runs.ending
    FROM runs JOIN scrapers ON scrapers.key = runs.scraper ";

pub(crate) fn read(row: &Row<'_>) -> Result<Run, RegistryError> {
    let time = |column: usize| -> Result<_, RegistryError> {
        let millis: Option<i64> = row.get(column)?;
        Ok(millis.map(instant))
    };
    let ending: Option<String> = row.get(13)?;
    let attempts: i64 = row.get(9)?;
    Ok(Run {
        id: RunId(unsigned(row.get(0)?)),
        scraper: checked::<ScraperId>(row.get(1)?)?,
        cause: from_json(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
        phase: phase(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?,
        queued_at: instant(row.get(4)?),
        leased_at: time(5)?,
        started_at: time(6)?,
        finished_at: time(7)?,
        worker: row.get(8)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        not_before: time(10)?,
        memory_mib: unsigned(row.get(11)?),
        stop: row.get(12)?,
        ending: ending.as_deref().map(from_json).transpose()?,
    })
}

/// The run with this number.
pub(crate) fn load(transaction: &Transaction<'_>, run: RunId) -> Result<Run, RegistryError> {
    let mut statement = transaction.prepare_cached(&format!("{SELECT} WHERE runs.id = ?1"))?;
    let mut rows = statement.query([crate::columns::signed(run.0)])?;
    match rows.next()? {
        Some(row) => read(row),
        None => Err(RegistryError::not_found("run", run)),
    }
}

/// What decides whether somebody may still change a run.
pub(crate) struct Hold {
    pub(crate) scraper: String,
    pub(crate) phase: Phase,
    pub(crate) epoch: Option<u64>,
}

impl Hold {
    pub(crate) fn of(transaction: &Transaction<'_>, run: RunId) -> Result<Self, RegistryError> {
        let mut statement =
            transaction.prepare_cached("SELECT scraper, phase, epoch FROM runs WHERE id = ?1")?;
        let found = statement
            .query_row([crate::columns::signed(run.0)], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                ))
            })
            .optional()?;
        let (scraper, word, epoch) = found.ok_or_else(|| RegistryError::not_found("run", run))?;
        Ok(Self {
            scraper,
            phase: phase(&word)?,
            epoch: epoch.map(unsigned),
        })
    }

    /// Refuses whoever does not hold the run under `epoch`, or any more.
    pub(crate) fn must_be(&self, run: RunId, epoch: u64) -> Result<(), RegistryError> {
        match self.epoch == Some(epoch) {
            true => Ok(()),
            false => Err(RegistryError::Fenced(run)),
        }
    }
}

fn phase(word: &str) -> Result<Phase, RegistryError> {
    Phase::from_word(word).ok_or_else(|| RegistryError::Damaged(format!("phase {word:?}")))
}
