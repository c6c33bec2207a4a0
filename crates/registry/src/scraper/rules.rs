//! What scrapers may be.

use std::ops::RangeInclusive;

use model::{ScraperId, Timestamp};
use rusqlite::Transaction;
use schedule::Schedule;

use super::{Limits, Origin, ScraperSettings, store};
use crate::columns::scraper_key;
use crate::database::RegistryError;

const MAX_DESCRIPTION: usize = 10_000;
const MAX_ADDRESS: usize = 2_000;
const MAX_COLUMNS: usize = 100;
const MAX_QUERIES: usize = 100;
const MAX_QUERY: usize = 20_000;

fn invalid<T>(why: impl Into<String>) -> Result<T, RegistryError> {
    Err(RegistryError::Invalid(why.into()))
}

/// Refuses what cannot work, or is too much.
pub(crate) fn check(
    transaction: &Transaction<'_>,
    id: &ScraperId,
    origin: &Origin,
    settings: &ScraperSettings,
) -> Result<(), RegistryError> {
    check_origin(origin)?;
    check_limits(&settings.limits)?;
    check_texts(settings)?;
    check_after(transaction, id, settings.after.as_ref())?;
    next_due(id, settings, Timestamp::default()).map(drop)
}

/// When the schedule's next turn after `now` is.
pub(crate) fn next_due(
    id: &ScraperId,
    settings: &ScraperSettings,
    now: Timestamp,
) -> Result<Option<Timestamp>, RegistryError> {
    let Some(text) = &settings.schedule else {
        return Ok(None);
    };
    let schedule = Schedule::parse(text).map_err(|error| RegistryError::Invalid(error.to_string()))?;
    Ok(schedule.first_after(&scraper_key(id), now))
}

fn check_origin(origin: &Origin) -> Result<(), RegistryError> {
    match origin {
        Origin::Folder { path }
            if path.len() > MAX_ADDRESS || !path.starts_with('/') || path.contains('\0') =>
        {
            invalid("write the absolute path of a folder, of 2,000 bytes at most")
        }
        Origin::Git { url, reference } => check_git(url, reference.as_deref()),
        Origin::Folder { .. } | Origin::Upload { .. } => Ok(()),
    }
}

/// Git reads what begins with a dash as an option.
fn check_git(url: &str, reference: Option<&str>) -> Result<(), RegistryError> {
    let is_word = |text: &str| {
        !text.is_empty()
            && text.len() <= MAX_ADDRESS
            && !text.starts_with('-')
            && !text.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    if !is_word(url) {
        return invalid("write the address of a git repository, of 2,000 bytes at most, without spaces");
    }
    if !reference.is_none_or(is_word) {
        return invalid("write a branch, a tag or a commit, without spaces");
    }
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    // A name alone is often a token.
    match authority.is_some_and(|authority| authority.contains('@')) {
        true => invalid(
            "leave name, password and token out of the address, which is shown to everybody; a secret MORPH_GIT_TOKEN opens a private repository",
        ),
        false => Ok(()),
    }
}

fn check_limits(limits: &Limits) -> Result<(), RegistryError> {
    let rules: [(&str, u64, RangeInclusive<u64>); 8] = [
        ("memory_mib", limits.memory_mib, 16..=1 << 20),
        ("processes", limits.processes, 1..=65_536),
        ("disk_mib", limits.disk_mib, 1..=1 << 20),
        ("tmp_mib", limits.tmp_mib, 1..=1 << 20),
        ("run_seconds", limits.run_seconds, 1..=7 * 86_400),
        ("build_seconds", limits.build_seconds, 1..=86_400),
        ("log_lines", limits.log_lines, 1..=10_000_000),
        ("log_bytes", limits.log_bytes, 1_024..=10 << 30),
    ];
    match rules.iter().find(|(_, value, allowed)| !allowed.contains(value)) {
        Some((name, value, allowed)) => invalid(format!(
            "{name} is {value}; write {} to {}",
            allowed.start(),
            allowed.end()
        )),
        None => Ok(()),
    }
}

fn check_texts(settings: &ScraperSettings) -> Result<(), RegistryError> {
    if settings.description.len() > MAX_DESCRIPTION {
        return invalid("write a description of 10,000 bytes at most");
    }
    if !(1..=1_000).contains(&settings.keep_versions) {
        return invalid("keep 1 to 1,000 versions");
    }
    let is_name = |name: &String| !name.is_empty() && name.len() <= 200;
    if settings.ignore_columns.len() > MAX_COLUMNS || !settings.ignore_columns.iter().all(is_name) {
        return invalid("name 100 columns at most, each with 1 to 200 bytes");
    }
    let is_query = |(name, sql): (&String, &String)| is_name(name) && sql.len() <= MAX_QUERY;
    if settings.queries.len() > MAX_QUERIES || !settings.queries.iter().all(is_query) {
        return invalid(
            "keep 100 queries at most, each with a name of 1 to 200 bytes and 20,000 bytes of SQL",
        );
    }
    Ok(())
}

fn check_after(
    transaction: &Transaction<'_>,
    id: &ScraperId,
    after: Option<&ScraperId>,
) -> Result<(), RegistryError> {
    let Some(after) = after.map(scraper_key) else {
        return Ok(());
    };
    if after == scraper_key(id) {
        return invalid("a scraper cannot run after itself; give it a schedule");
    }
    store::load(transaction, &after).map(drop)
}
