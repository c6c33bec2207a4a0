//! Questions about runs.

use model::RunId;
use rusqlite::types::Value;
use rusqlite::{Transaction, params_from_iter};

use super::{Run, RunFilter, row};
use crate::columns::{owner_key, scraper_key, signed};
use crate::database::{Registry, RegistryError};

/// Runs in one answer, where the filter names no number.
const PAGE: usize = 100;
/// Runs in one answer, at most.
const MAX_PAGE: usize = 10_000;

impl Registry {
    /// The run with this number.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn run(&self, run: RunId) -> Result<Run, RegistryError> {
        self.read(move |transaction| row::load(transaction, run)).await
    }

    /// Runs, newest first. Uploads are among them only where the filter names their scraper.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>, RegistryError> {
        self.read(move |transaction| find(transaction, &filter)).await
    }
}

fn find(transaction: &Transaction<'_>, filter: &RunFilter) -> Result<Vec<Run>, RegistryError> {
    let mut conditions = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut must = |condition: &str, value: Option<Value>| {
        conditions.push(condition.to_owned());
        values.extend(value);
    };
    match &filter.scraper {
        Some(scraper) => must("runs.scraper = ?", Some(scraper_key(scraper).into())),
        None => must("scrapers.is_upload = 0", None),
    }
    if let Some(owner) = &filter.owner {
        must("runs.owner = ?", Some(owner_key(owner).into()));
    }
    match filter.unfinished {
        Some(true) => must("runs.finished_at IS NULL", None),
        Some(false) => must("runs.finished_at IS NOT NULL", None),
        None => {}
    }
    if let Some(before) = filter.before {
        must("runs.id < ?", Some(signed(before.0).into()));
    }
    if !filter.outcomes.is_empty() {
        let words: Vec<String> = filter
            .outcomes
            .iter()
            .map(|outcome| format!("'{}'", outcome.word()))
            .collect();
        must(&format!("runs.outcome IN ({})", words.join(", ")), None);
    }
    let limit = match filter.limit {
        0 => PAGE,
        limit => limit.min(MAX_PAGE),
    };
    let sql = format!(
        "{} WHERE {} ORDER BY runs.id DESC LIMIT {limit}",
        row::SELECT,
        conditions.join(" AND ")
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(row::read(row)?);
    }
    Ok(runs)
}
