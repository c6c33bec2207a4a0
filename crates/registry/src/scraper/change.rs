//! What people do with scrapers.

use model::{RunId, ScraperId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Transaction, params, params_from_iter};

use super::{NewScraper, Origin, Scraper, ScraperFilter, ScraperSettings, rules, store};
use crate::columns::{json, millis, owner_key, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::{Version, ask};
use crate::{lookup, owner, version};

/// Scrapers in one answer, where the filter names no number.
const PAGE: usize = 100;
/// Scrapers in one answer, at most.
const MAX_PAGE: usize = 10_000;

impl Registry {
    /// Makes a scraper. Its schedule counts from `now`. An owner that is not there is made.
    ///
    /// # Errors
    ///
    /// `Exists` (names differ by more than case), `Invalid` for a schedule that cannot be read or limits out of bounds, `NotFound` for a scraper
    /// that it is to run after.
    pub async fn add_scraper(&self, new: NewScraper, now: Timestamp) -> Result<Scraper, RegistryError> {
        self.write(move |transaction| {
            owner::ensure_owner(transaction, &new.id.owner, now)?;
            let id = store::insert(transaction, &new, false, now)?;
            store::load(transaction, &scraper_key(&id))
        })
        .await
    }

    /// Changes what its owner says, and where its code comes from. A schedule that stays keeps its turn.
    ///
    /// # Errors
    ///
    /// As [`Registry::add_scraper`]; `ChangedMeanwhile` where its configuration is not the one that is `expected`.
    pub async fn change_scraper(
        &self,
        id: &ScraperId,
        origin: Origin,
        settings: ScraperSettings,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<Scraper, RegistryError> {
        let key = scraper_key(id);
        self.write(move |transaction| {
            let old = store::load_listed(transaction, &key)?;
            if expected.is_some_and(|expected| expected != old.configuration) {
                return Err(RegistryError::ChangedMeanwhile {
                    what: "scraper",
                    name: old.id.to_string(),
                });
            }
            change(transaction, &key, &old, &origin, &settings, now)?;
            store::load(transaction, &key)
        })
        .await
    }

    /// Says where the code comes from, and leaves the rest as it is. Returns where it came from before, where that was another place.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Invalid` for an origin that cannot work.
    pub async fn set_origin(
        &self,
        id: &ScraperId,
        origin: Origin,
        now: Timestamp,
    ) -> Result<Option<Origin>, RegistryError> {
        let key = scraper_key(id);
        self.write(move |transaction| {
            let old = store::load_listed(transaction, &key)?;
            change(transaction, &key, &old, &origin, &old.settings, now)?;
            Ok(Some(old.origin).filter(|before| *before != origin))
        })
        .await
    }

    /// The scraper with this name (case does not matter).
    ///
    /// # Errors
    ///
    /// `NotFound`, also for the scraper of an upload ([`Registry::ask_upload`]).
    pub async fn scraper(&self, id: &ScraperId) -> Result<Scraper, RegistryError> {
        let key = scraper_key(id);
        self.read(move |transaction| store::load_listed(transaction, &key))
            .await
    }

    /// The name as it was written first, which is how files are named after it; what nobody has written yet stays as it is.
    pub async fn canonical(&self, id: &ScraperId) -> Result<ScraperId, RegistryError> {
        let id = id.clone();
        self.read(move |transaction| lookup::canonical(transaction, id))
            .await
    }

    /// Scrapers in the order of their names, without those of uploads.
    pub async fn scrapers(&self, filter: ScraperFilter) -> Result<Vec<Scraper>, RegistryError> {
        self.read(move |transaction| find(transaction, &filter)).await
    }

    /// Lets the schedule stand still, with a reason, or go on from `now`. One that stands still is not run after others, either. For
    /// [`ScraperSettings::pause_after_failures`], failures before it went on do not count.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn pause_scraper(
        &self,
        id: &ScraperId,
        why: Option<String>,
        now: Timestamp,
    ) -> Result<Scraper, RegistryError> {
        let key = scraper_key(id);
        self.write(move |transaction| {
            let scraper = store::load_listed(transaction, &key)?;
            let why: Option<String> = why.map(|why| why.chars().take(store::MAX_PAUSE).collect());
            let due_at = match (&why, &scraper.paused) {
                (Some(_), _) => None,
                (None, Some(_)) => rules::next_due(&scraper.id, &scraper.settings, now)?,
                (None, None) => scraper.due_at,
            };
            store::set_pause(transaction, &key, why.as_deref(), due_at)?;
            if why.is_none() && scraper.paused.is_some() {
                transaction
                    .prepare_cached("UPDATE scrapers SET forgiven = failures WHERE key = ?1")?
                    .execute([&key])?;
            }
            store::load(transaction, &key)
        })
        .await
    }

    /// Removes a scraper with its runs, versions, secrets and webhooks. Returns what lies in the archive and can go: the runs, and the
    /// versions.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Invalid` while a run is not over.
    pub async fn remove_scraper(&self, id: &ScraperId) -> Result<(Vec<RunId>, Vec<Version>), RegistryError> {
        let key = scraper_key(id);
        self.write(move |transaction| {
            let scraper = store::load_listed(transaction, &key)?;
            if let Some(run) = scraper.unfinished {
                return Err(RegistryError::Invalid(format!(
                    "run {run} is not over; stop it first"
                )));
            }
            let versions = version::drop_until(transaction, &key, u64::MAX)?;
            let mut statement =
                transaction.prepare_cached("SELECT id FROM runs WHERE scraper = ?1 ORDER BY id")?;
            let runs = statement.query_map([&key], |row| row.get(0).map(|run| RunId(unsigned(run))))?;
            let runs = runs.collect::<Result<_, _>>()?;
            transaction
                .prepare_cached("DELETE FROM scrapers WHERE key = ?1")?
                .execute([&key])?;
            Ok((runs, versions))
        })
        .await
    }
}

/// Writes what is different about a scraper; where nothing is, nothing.
fn change(
    transaction: &Transaction<'_>,
    key: &str,
    old: &Scraper,
    origin: &Origin,
    settings: &ScraperSettings,
    now: Timestamp,
) -> Result<(), RegistryError> {
    if *origin == old.origin && *settings == old.settings {
        return Ok(());
    }
    rules::check(transaction, &old.id, origin, settings)?;
    let due_at = match settings.schedule == old.settings.schedule || old.paused.is_some() {
        true => old.due_at,
        false => rules::next_due(&old.id, settings, now)?,
    };
    transaction
        .prepare_cached(
            "UPDATE scrapers SET origin = ?2, settings = ?3, words = ?4, follows = ?5, due_at = ?6, configuration = ?7
             WHERE key = ?1",
        )?
        .execute(params![
            key,
            json(origin)?,
            json(settings)?,
            store::words(&old.id, settings),
            settings.after.as_ref().map(scraper_key),
            due_at.map(millis),
            signed(old.configuration + 1)
        ])?;
    let memory_mib = ask::needed_memory(transaction, key, settings.limits.memory_mib)?;
    transaction
        .prepare_cached("UPDATE runs SET memory_mib = ?2 WHERE scraper = ?1 AND phase = 'queued'")?
        .execute(params![key, signed(memory_mib)])?;
    Ok(())
}

fn find(transaction: &Transaction<'_>, filter: &ScraperFilter) -> Result<Vec<Scraper>, RegistryError> {
    let mut conditions = vec!["is_upload = 0"];
    let mut values: Vec<Value> = Vec::new();
    if let Some(owner) = &filter.owner {
        conditions.push("owner = ?");
        values.push(owner_key(owner).into());
    }
    if let Some(after) = &filter.after {
        conditions.push("key > ?");
        values.push(scraper_key(after).into());
    }
    if let Some(text) = &filter.text {
        conditions.push("words LIKE ? ESCAPE '!'");
        values.push(pattern(text).into());
    }
    let limit = match filter.limit {
        0 => PAGE,
        limit => limit.min(MAX_PAGE),
    };
    let sql = format!(
        "{} WHERE {} ORDER BY key LIMIT {limit}",
        store::SELECT,
        conditions.join(" AND ")
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut scrapers = Vec::new();
    while let Some(row) = rows.next()? {
        scrapers.push(store::read(row)?);
    }
    Ok(scrapers)
}

/// Whatever has this text in it.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.to_lowercase().chars().take(200) {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
