//! What the end of a run changes.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Checksum, RunId, Timestamp};
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::ask::{Wish, ask_for, take_next};
use super::{Asked, Cause, Ended, Ending, Outcome, Phase, Version, row};
use crate::columns::{from_json, json, millis, scraper_key, signed};
use crate::database::{Registry, RegistryError};
use crate::scraper::{Scraper, store};
use crate::{delivery, domain, letter, version};

/// Tries of a run, where it is not the scraper's fault that it did not come to an end.
const MAX_ATTEMPTS: u32 = 3;
/// Before the second try; the third waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Hosts of a run, those with the most connections, that count for how many runs may talk to one.
const HOSTS_KEPT: usize = 20;

/// What [`Ended`] says beside the run: it is kept, for whoever asks again because the answer was lost.
#[derive(Default, Serialize, Deserialize)]
struct Aftermath {
    is_first_failure: bool,
    is_recovery: bool,
    was_paused: bool,
    followers: Vec<RunId>,
    dropped: Vec<Version>,
}

impl Registry {
    /// Ends a run: outcome, failure count, pause, version and what follows, in one transaction. `data` is the version that it left
    /// (number is chosen here; the newest one again where nothing changed); the file must be in the archive before. Asked again with the same epoch it
    /// answers the same.
    ///
    /// # Errors
    ///
    /// `Fenced` when the lease is over.
    pub async fn finish(
        &self,
        run: RunId,
        epoch: u64,
        ending: Ending,
        data: Option<(Checksum, u64)>,
        now: Timestamp,
    ) -> Result<Ended, RegistryError> {
        self.write(move |transaction| match held(transaction, run, epoch)? {
            true => end(transaction, run, ending, data, now),
            false => known(transaction, run),
        })
        .await
    }

    /// Puts a run back into the queue because of something that is not its fault (its code could not be fetched): capped, jittered
    /// back-off, three attempts, then it is over with `ending`. One that somebody wants stopped is over as stopped. `jitter` is a random number
    /// from 0 to 1.
    ///
    /// # Errors
    ///
    /// `Fenced` when the lease is over.
    pub async fn give_back(
        &self,
        run: RunId,
        epoch: u64,
        ending: Ending,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Option<Ended>, RegistryError> {
        self.write(move |transaction| match held(transaction, run, epoch)? {
            true => try_again(transaction, run, ending, now, jitter),
            false => known(transaction, run).map(Some),
        })
        .await
    }

    /// Puts a run back into the queue because its worker ends in order: that was no attempt, and the run waits for nothing but a place. One that
    /// somebody wants stopped is over as stopped.
    ///
    /// # Errors
    ///
    /// `Fenced` when the lease is over.
    pub async fn put_back(
        &self,
        run: RunId,
        epoch: u64,
        now: Timestamp,
    ) -> Result<Option<Ended>, RegistryError> {
        self.write(move |transaction| {
            if !held(transaction, run, epoch)? {
                return known(transaction, run).map(Some);
            }
            let found = row::load(transaction, run)?;
            match found.stop {
                Some(by) => end_stopped(transaction, run, &by, now).map(Some),
                None => requeue(transaction, run, found.attempts, None).map(|()| None),
            }
        })
        .await
    }
}

/// Whether the run is held under this epoch; false where it ended under it.
fn held(transaction: &Transaction<'_>, run: RunId, epoch: u64) -> Result<bool, RegistryError> {
    let hold = row::Hold::of(transaction, run)?;
    hold.must_be(run, epoch)?;
    Ok(hold.phase != Phase::Finished)
}

/// Queues a run again, or ends it.
pub(crate) fn try_again(
    transaction: &Transaction<'_>,
    run: RunId,
    ending: Ending,
    now: Timestamp,
    jitter: f64,
) -> Result<Option<Ended>, RegistryError> {
    let found = row::load(transaction, run)?;
    if let Some(by) = found.stop {
        return end_stopped(transaction, run, &by, now).map(Some);
    }
    let attempts = found.attempts + 1;
    if attempts >= MAX_ATTEMPTS {
        return end(transaction, run, ending, None, now).map(Some);
    }
    let not_before = now.after(pause(attempts, jitter));
    requeue(transaction, run, attempts, Some(not_before)).map(|()| None)
}

fn end_stopped(
    transaction: &Transaction<'_>,
    run: RunId,
    by: &str,
    now: Timestamp,
) -> Result<Ended, RegistryError> {
    let ending = Ending::new(Outcome::Stopped, format!("stopped by {by}"));
    end(transaction, run, ending, None, now)
}

fn requeue(
    transaction: &Transaction<'_>,
    run: RunId,
    attempts: u32,
    not_before: Option<Timestamp>,
) -> Result<(), RegistryError> {
    transaction
        .prepare_cached(
            "UPDATE runs SET phase = 'queued', attempts = ?2, not_before = ?3, epoch = NULL, lease_until = NULL, started_at = NULL
             WHERE id = ?1",
        )?
        .execute(params![signed(run.0), i64::from(attempts), not_before.map(millis)])?;
    Ok(())
}

/// From half of the full pause to all of it.
fn pause(attempts: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    let share = 0.5 + jitter.clamp(0.0, 1.0) / 2.0;
    doubled.min(LONGEST_PAUSE).mul_f64(share)
}

/// What the end of a run changed that is over.
fn known(transaction: &Transaction<'_>, run: RunId) -> Result<Ended, RegistryError> {
    let text: Option<String> = transaction.query_row(
        "SELECT aftermath FROM runs WHERE id = ?1",
        [signed(run.0)],
        |row| row.get(0),
    )?;
    let aftermath = text.as_deref().map(from_json).transpose()?.unwrap_or_default();
    ended(transaction, run, aftermath)
}

fn ended(transaction: &Transaction<'_>, run: RunId, aftermath: Aftermath) -> Result<Ended, RegistryError> {
    Ok(Ended {
        run: row::load(transaction, run)?,
        is_first_failure: aftermath.is_first_failure,
        is_recovery: aftermath.is_recovery,
        was_paused: aftermath.was_paused,
        followers: aftermath.followers,
        dropped: aftermath.dropped,
    })
}

/// Ends a run that is not over, whoever has it.
pub(crate) fn end(
    transaction: &Transaction<'_>,
    run: RunId,
    ending: Ending,
    data: Option<(Checksum, u64)>,
    now: Timestamp,
) -> Result<Ended, RegistryError> {
    let key = row::Hold::of(transaction, run)?.scraper;
    let scraper = store::load(transaction, &key)?;
    let is_upload = matches!(row::load(transaction, run)?.cause, Cause::Upload { .. });
    let mut aftermath = Aftermath::default();
    let ending = ending.in_order();
    if !is_upload {
        domain::add(transaction, &key, &ending.domains)?;
    }
    let mut ending = ending.within_bounds();
    if let Some((checksum, bytes)) = data.filter(|_| !is_upload) {
        let put = version::put(transaction, &scraper, checksum, bytes, Some(run), now)?;
        ending.version = Some(put.version.number);
        aftermath.dropped = put.dropped;
    }
    write_ending(transaction, run, &ending, now)?;
    if !is_upload {
        note_outcome(transaction, &scraper, &ending, &mut aftermath)?;
    }
    aftermath.followers = follow(transaction, run, &scraper, &ending, &aftermath, now)?;
    transaction
        .prepare_cached("UPDATE runs SET aftermath = ?2 WHERE id = ?1")?
        .execute(params![signed(run.0), json(&aftermath)?])?;
    let ended = ended(transaction, run, aftermath)?;
    delivery::queue(transaction, &ended, now)?;
    letter::queue(transaction, &ended, now)?;
    Ok(ended)
}

/// Ends a run of which, or of whose scraper, something cannot be read, and lets the scraper's schedule stand still. Nothing follows from it.
pub(crate) fn end_unreadable(
    transaction: &Transaction<'_>,
    run: RunId,
    why: &RegistryError,
    now: Timestamp,
) -> Result<(), RegistryError> {
    store::set_aside(transaction, &row::Hold::of(transaction, run)?.scraper, why)?;
    let ending = Ending::new(Outcome::Lost, why.to_string()).within_bounds();
    write_ending(transaction, run, &ending, now)
}

/// How a run ended, where that could be read: one that cannot does not hold up the others.
pub(crate) fn or_unreadable(
    transaction: &Transaction<'_>,
    run: RunId,
    ended: Result<Option<Ended>, RegistryError>,
    now: Timestamp,
) -> Result<Option<Ended>, RegistryError> {
    match ended {
        Err(error @ RegistryError::Damaged(_)) => {
            end_unreadable(transaction, run, &error, now).map(|()| None)
        }
        ended => ended,
    }
}

fn write_ending(
    transaction: &Transaction<'_>,
    run: RunId,
    ending: &Ending,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let peak_mib = ending.usage.peak_memory_bytes.div_ceil(1 << 20);
    transaction
        .prepare_cached(
            "UPDATE runs SET phase = 'finished', finished_at = ?2, lease_until = NULL, not_before = NULL, reserved_by = NULL,
             outcome = ?3, peak_mib = ?4, ending = ?5 WHERE id = ?1",
        )?
        .execute(params![
            signed(run.0),
            millis(now),
            ending.outcome.word(),
            (peak_mib > 0).then_some(signed(peak_mib)),
            json(ending)?
        ])?;
    Ok(())
}

/// Counts failures, pauses, and notes for the next run what this one showed.
fn note_outcome(
    transaction: &Transaction<'_>,
    scraper: &Scraper,
    ending: &Ending,
    aftermath: &mut Aftermath,
) -> Result<(), RegistryError> {
    let failures = match ending.outcome {
        Outcome::Succeeded => 0,
        outcome if outcome.is_failure() => scraper.failures.saturating_add(1),
        _ => scraper.failures,
    };
    let key = scraper_key(&scraper.id);
    let forgiven: u32 = transaction
        .prepare_cached(
            "UPDATE scrapers SET failures = ?2, forgiven = CASE WHEN forgiven < ?2 THEN forgiven ELSE ?2 END,
             language = coalesce(?3, language) WHERE key = ?1 RETURNING forgiven",
        )?
        .query_row(params![key, i64::from(failures), ending.language], |row| {
            row.get(0)
        })?;
    let limit = scraper.settings.pause_after_failures;
    aftermath.is_first_failure = scraper.failures == 0 && failures > 0;
    aftermath.is_recovery = scraper.failures > 0 && failures == 0;
    aftermath.was_paused = limit > 0
        && failures.saturating_sub(forgiven) >= limit
        && failures > scraper.failures
        && scraper.paused.is_none()
        && scraper.settings.is_automatic();
    if aftermath.was_paused {
        let why = format!("paused after {failures} failures in a row; look at the log, then let it go on");
        store::set_pause(transaction, &key, Some(&why), None)?;
    }
    note_hosts(transaction, &key, ending)
}

/// A run that did not come to talk says nothing about whom the next one talks to.
fn note_hosts(transaction: &Transaction<'_>, key: &str, ending: &Ending) -> Result<(), RegistryError> {
    let spoken = |domain: &&super::Domain| domain.connections > 0 && !domain.host.contains(' ');
    let hosts: BTreeSet<&str> = ending
        .domains
        .iter()
        .filter(spoken)
        .take(HOSTS_KEPT)
        .map(|domain| domain.host.as_str())
        .collect();
    if hosts.is_empty() {
        return Ok(());
    }
    let hosts: Vec<&str> = hosts.into_iter().collect();
    transaction
        .prepare_cached("UPDATE scrapers SET hosts = ?2 WHERE key = ?1")?
        .execute(params![key, hosts.join(" ")])?;
    Ok(())
}

/// Queues what waited for this run to be over, and the scrapers that run after this one. Whoever is paused does not follow, and runs for a push alone.
fn follow(
    transaction: &Transaction<'_>,
    run: RunId,
    scraper: &Scraper,
    ending: &Ending,
    aftermath: &Aftermath,
    now: Timestamp,
) -> Result<Vec<RunId>, RegistryError> {
    let key = scraper_key(&scraper.id);
    let is_paused = aftermath.was_paused || scraper.paused.is_some();
    let next = take_next(transaction, &key)?;
    if let Some(next) = next.filter(|next| !is_paused || next.cause == Cause::Push) {
        ask_for(transaction, &key, &next, now)?;
    }
    if ending.outcome != Outcome::Succeeded {
        return Ok(Vec::new());
    }
    let wish = wish_of(transaction, run)?;
    let mut queued = Vec::new();
    for follower in followers(transaction, &key)? {
        let Some(wish) = wish.followed_by(&scraper.id, &follower) else {
            continue;
        };
        match ask_for(transaction, &follower, &wish, now) {
            Ok(Asked::Queued(run)) => queued.push(run),
            Ok(Asked::Already(_)) => {}
            Err(error @ RegistryError::Damaged(_)) => store::set_aside(transaction, &follower, &error)?,
            Err(error) => return Err(error),
        }
    }
    Ok(queued)
}

fn wish_of(transaction: &Transaction<'_>, run: RunId) -> Result<Wish, RegistryError> {
    let mut statement = transaction.prepare_cached("SELECT cause, chain FROM runs WHERE id = ?1")?;
    let (cause, chain): (String, String) =
        statement.query_row([signed(run.0)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let cause = from_json(&cause)?;
    Ok(Wish { cause, chain })
}

fn followers(transaction: &Transaction<'_>, key: &str) -> Result<Vec<String>, RegistryError> {
    let mut statement = transaction
        .prepare_cached("SELECT key FROM scrapers WHERE follows = ?1 AND paused IS NULL ORDER BY key")?;
    let keys = statement.query_map([key], |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}
