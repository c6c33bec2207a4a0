//! Looking after the queue.

use std::time::Duration;

use model::{RunId, Timestamp};
use rusqlite::{ToSql, Transaction, params};

use super::{HOST_GAP, PRESENCE};
use crate::columns::{instant, millis, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::ask::{Wish, ask_for};
use crate::run::end::{end, or_unreadable, try_again};
use crate::run::{Asked, Cause, Ended, Ending, Outcome};
use crate::scraper::{Missed, rules, store};

/// Scrapers, and runs, that one call looks at: nobody else writes in the meantime.
const BATCH: u32 = 500;
/// A turn that is so late was missed.
const MISSED_AFTER: Duration = Duration::from_secs(300);
/// A worker that was heard so lately comes back, and one that is there so long has seen all others come that do: a machine starts anew, a network is
/// mended. Only then does a run wait for memory that nobody has.
const HOPELESS_AFTER: Duration = Duration::from_secs(3600);
/// Workers are remembered so long.
const WORKER_KEPT: Duration = Duration::from_secs(86_400);

/// What looking after the queue did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Upkeep {
    /// Runs that became due by schedule.
    pub queued: Vec<RunId>,
    /// Runs whose worker was lost and that wait again.
    pub requeued: Vec<RunId>,
    /// Runs that are over: their worker was lost for the third time or after somebody stopped them, or no worker had the memory that they need for an
    /// hour.
    pub lost: Vec<Ended>,
    /// When the next schedule is due; not after `now` where there was more to do than one call does.
    pub next_due: Option<Timestamp>,
}

impl Registry {
    /// Queues what is due by schedule, and takes runs from workers that are no longer heard. Any number of processes may call it. `jitter` is a random
    /// number from 0 to 1.
    pub async fn upkeep(&self, now: Timestamp, jitter: f64) -> Result<Upkeep, RegistryError> {
        self.write(move |transaction| {
            let mut done = Upkeep::default();
            take_from_lost(transaction, now, jitter, &mut done)?;
            end_hopeless(transaction, now, &mut done)?;
            queue_due(transaction, now, &mut done)?;
            forget(transaction, now)?;
            done.next_due = next_due(transaction)?;
            Ok(done)
        })
        .await
    }
}

fn take_from_lost(
    transaction: &Transaction<'_>,
    now: Timestamp,
    jitter: f64,
    done: &mut Upkeep,
) -> Result<(), RegistryError> {
    let sql = "SELECT id FROM runs WHERE lease_until < ?1 ORDER BY lease_until LIMIT ?2";
    for run in runs(transaction, sql, params![millis(now), BATCH])? {
        let ending = Ending::new(
            Outcome::Lost,
            "the worker was lost three times; look at its log, then run it again",
        );
        // Whether it waits again or is over: who had it has it no more.
        transaction
            .prepare_cached("UPDATE runs SET epoch = NULL WHERE id = ?1")?
            .execute([signed(run.0)])?;
        let ended = try_again(transaction, run, ending, now, spread(jitter, run));
        match ended {
            Ok(None) => done.requeued.push(run),
            ended => done.lost.extend(or_unreadable(transaction, run, ended, now)?),
        }
    }
    Ok(())
}

/// Runs that were lost together do not come back together.
fn spread(jitter: f64, run: RunId) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let step = f64::from(u32::try_from(run.0 % 1_000_003).unwrap_or(0));
    (jitter + step * GOLDEN).fract()
}

/// A run that needs more than any worker has would wait for ever. Waiting for one that is away is no failure, and without any worker, everybody waits.
fn end_hopeless(
    transaction: &Transaction<'_>,
    now: Timestamp,
    done: &mut Upkeep,
) -> Result<(), RegistryError> {
    let since = millis(now.before(HOPELESS_AFTER));
    let Some(largest) = largest_lately(transaction, since, millis(now.before(PRESENCE)))? else {
        return Ok(());
    };
    let sql = "SELECT id FROM runs WHERE phase = 'queued' AND memory_mib > ?1 AND queued_at <= ?2 LIMIT ?3";
    for run in runs(transaction, sql, params![largest, since, BATCH])? {
        let message = format!(
            "no worker has the memory that it needs, and the largest has {largest} MiB; lower memory_mib, or add a worker"
        );
        let ending = Ending::new(Outcome::Failed, message);
        let ended = end(transaction, run, ending, None, now).map(Some);
        done.lost.extend(or_unreadable(transaction, run, ended, now)?);
    }
    Ok(())
}

/// MiB of memory of the largest worker that was heard since `since`; none where nobody who is there now was there then.
fn largest_lately(
    transaction: &Transaction<'_>,
    since: i64,
    present: i64,
) -> Result<Option<i64>, RegistryError> {
    let largest = transaction
        .prepare_cached(
            "SELECT max(memory_mib) FROM workers WHERE seen_at >= ?1 AND slots > 0
             AND EXISTS (SELECT 1 FROM workers AS old WHERE old.since <= ?1 AND old.seen_at >= ?2 AND old.slots > 0)",
        )?
        .query_row([since, present], |row| row.get(0))?;
    Ok(largest)
}

fn runs(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<RunId>, RegistryError> {
    let mut statement = transaction.prepare_cached(sql)?;
    let runs = statement.query_map(values, |row| row.get(0).map(|run| RunId(unsigned(run))))?;
    Ok(runs.collect::<Result<_, _>>()?)
}

fn queue_due(transaction: &Transaction<'_>, now: Timestamp, done: &mut Upkeep) -> Result<(), RegistryError> {
    let mut statement =
        transaction.prepare_cached("SELECT key FROM scrapers WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2")?;
    let keys = statement.query_map(params![millis(now), BATCH], |row| row.get(0))?;
    let keys: Vec<String> = keys.collect::<Result<_, _>>()?;
    for key in keys {
        match take_turn(transaction, &key, now) {
            Err(error @ RegistryError::Damaged(_)) => store::set_aside(transaction, &key, &error)?,
            queued => done.queued.extend(queued?),
        }
    }
    Ok(())
}

/// One turn, however many were missed.
fn take_turn(
    transaction: &Transaction<'_>,
    key: &str,
    now: Timestamp,
) -> Result<Option<RunId>, RegistryError> {
    let scraper = store::load(transaction, key)?;
    let late = scraper.due_at.map_or(Duration::ZERO, |due| now.since(due));
    match rules::next_due(&scraper.id, &scraper.settings, now) {
        Ok(due_at) => store::set_pause(transaction, key, None, due_at)?,
        // The time zones of this machine are not those of the machine that read it first.
        Err(error) => {
            store::set_aside(transaction, key, &error)?;
            return Ok(None);
        }
    }
    if scraper.settings.missed == Missed::Skip && late > MISSED_AFTER {
        return Ok(None);
    }
    let asked = ask_for(
        transaction,
        &scraper_key(&scraper.id),
        &Wish::new(Cause::Schedule),
        now,
    )?;
    Ok(match asked {
        Asked::Queued(run) => Some(run),
        Asked::Already(_) => None,
    })
}

fn forget(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), RegistryError> {
    transaction
        .prepare_cached("DELETE FROM workers WHERE seen_at < ?1")?
        .execute([millis(now.before(WORKER_KEPT))])?;
    // A minute: a clock that is ahead must not forget what one that is behind still counts.
    transaction
        .prepare_cached("DELETE FROM host_starts WHERE at < ?1")?
        .execute([millis(now.before(HOST_GAP * 60))])?;
    Ok(())
}

fn next_due(transaction: &Transaction<'_>) -> Result<Option<Timestamp>, RegistryError> {
    let due: Option<i64> = transaction
        .prepare_cached("SELECT min(due_at) FROM scrapers WHERE due_at IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(due.map(instant))
}
