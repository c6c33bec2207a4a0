//! Who runs next. A plain function decides ([`choose`]); [`Registry::admit`] gives it what the database knows, in one transaction.

mod choose;
mod load;
mod upkeep;

use std::time::Duration;

use model::{RunId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

pub use self::choose::{
    AGED_AFTER, Capacity, Choice, HOST_GAP, Held, Queue, RESERVED_AFTER, RUNS_PER_HOST, Reservation, Waiting,
    choose,
};
pub use self::upkeep::Upkeep;
use crate::columns::{instant, millis, next_number, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::end::end_unreadable;
use crate::run::{Instruction, Lease, Phase, Worker, row};
use crate::scraper::store;
use crate::version;

/// How long a run is a worker's after it was heard.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a worker counts as there after it was heard.
const PRESENCE: Duration = Duration::from_secs(60);
const HEARD_EVERY: Duration = Duration::from_secs(10);

impl Registry {
    /// Gives a worker the runs whose turn it is and that fit: the only way from *queued* to *leased*. One transaction.
    pub async fn admit(
        &self,
        worker: &str,
        capacity: Capacity,
        now: Timestamp,
    ) -> Result<Vec<Lease>, RegistryError> {
        let worker = worker.to_owned();
        self.write(move |transaction| {
            hear(transaction, &worker, capacity, now)?;
            let Some(queue) = load::queue(transaction, &worker, capacity, now)? else {
                return Ok(Vec::new());
            };
            let choice = choose(&queue, capacity, now);
            reserve(transaction, &worker, choice.reserved)?;
            let mut leases = Vec::new();
            for run in choice.admitted {
                match lease(transaction, &worker, run, now) {
                    Err(error @ RegistryError::Damaged(_)) => end_unreadable(transaction, run, &error, now)?,
                    leased => leases.push(leased?),
                }
            }
            Ok(leases)
        })
        .await
    }

    /// A worker lives and works on `runs` (with their epochs): their leases are renewed for 30 s. Says what to do with some of them.
    pub async fn heartbeat(
        &self,
        worker: &str,
        runs: Vec<(RunId, u64)>,
        now: Timestamp,
    ) -> Result<Vec<Instruction>, RegistryError> {
        let worker = worker.to_owned();
        self.write(move |transaction| {
            transaction
                .prepare_cached("UPDATE workers SET seen_at = ?2 WHERE name = ?1 AND seen_at < ?2")?
                .execute(params![worker, millis(now)])?;
            let mut instructions = Vec::new();
            for (run, epoch) in runs {
                instructions.extend(renew(transaction, run, epoch, now)?);
            }
            Ok(instructions)
        })
        .await
    }

    /// Says where a run is; `started_at` is set when it is [`Phase::Running`]. A phase never goes back.
    ///
    /// # Errors
    ///
    /// `Fenced` when the lease is over; `Invalid` for a phase that is not a worker's to set, or that is behind it.
    pub async fn advance(
        &self,
        run: RunId,
        epoch: u64,
        phase: Phase,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.write(move |transaction| {
            let hold = row::Hold::of(transaction, run)?;
            hold.must_be(run, epoch)?;
            if hold.phase == Phase::Finished {
                return Err(RegistryError::Fenced(run));
            }
            if !(Phase::Syncing..=Phase::Collecting).contains(&phase) || phase < hold.phase {
                let (from, to) = (hold.phase.word(), phase.word());
                return Err(RegistryError::Invalid(format!(
                    "run {run} is {from} and cannot become {to}"
                )));
            }
            let started = (phase == Phase::Running).then_some(millis(now));
            transaction
                .prepare_cached(
                    "UPDATE runs SET phase = ?2, started_at = coalesce(started_at, ?3) WHERE id = ?1",
                )?
                .execute(params![signed(run.0), phase.word(), started])?;
            Ok(())
        })
        .await
    }

    /// Workers that were heard within the last minute.
    pub async fn workers(&self, now: Timestamp) -> Result<Vec<Worker>, RegistryError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT name, seen_at, memory_mib, slots FROM workers WHERE seen_at >= ?1 ORDER BY name",
            )?;
            let workers = statement.query_map([millis(now.before(PRESENCE))], |row| {
                let slots: i64 = row.get(3)?;
                Ok(Worker {
                    name: row.get(0)?,
                    seen_at: instant(row.get(1)?),
                    memory_mib: unsigned(row.get(2)?),
                    slots: u32::try_from(slots).unwrap_or(u32::MAX),
                })
            })?;
            Ok(workers.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Only now and then is it written: a worker that looks in vain costs no write.
fn hear(
    transaction: &Transaction<'_>,
    worker: &str,
    capacity: Capacity,
    now: Timestamp,
) -> Result<(), RegistryError> {
    transaction
        .prepare_cached(
            "INSERT INTO workers (name, since, seen_at, memory_mib, slots) VALUES (?1, ?2, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET
             seen_at = excluded.seen_at, memory_mib = excluded.memory_mib, slots = excluded.slots
             WHERE workers.seen_at < ?5 OR workers.memory_mib <> excluded.memory_mib OR workers.slots <> excluded.slots",
        )?
        .execute(params![
            worker,
            millis(now),
            signed(capacity.memory_mib),
            i64::from(capacity.slots),
            millis(now.before(HEARD_EVERY))
        ])?;
    Ok(())
}

/// Notes the one run that this worker keeps memory for; where that is as before, nothing is written.
fn reserve(
    transaction: &Transaction<'_>,
    worker: &str,
    reserved: Option<RunId>,
) -> Result<(), RegistryError> {
    let run = reserved.map_or(0, |run| signed(run.0));
    transaction
        .prepare_cached("UPDATE runs SET reserved_by = NULL WHERE reserved_by = ?1 AND id <> ?2")?
        .execute(params![worker, run])?;
    transaction
        .prepare_cached(
            "UPDATE runs SET reserved_by = ?1 WHERE id = ?2 AND (reserved_by IS NULL OR reserved_by <> ?1)",
        )?
        .execute(params![worker, run])?;
    Ok(())
}

fn lease(
    transaction: &Transaction<'_>,
    worker: &str,
    run: RunId,
    now: Timestamp,
) -> Result<Lease, RegistryError> {
    let epoch = next_number(transaction, "lease")?;
    transaction
        .prepare_cached(
            "UPDATE runs SET phase = 'leased', worker = ?2, epoch = ?3, lease_until = ?4, leased_at = ?5, not_before = NULL,
             reserved_by = NULL WHERE id = ?1",
        )?
        .execute(params![
            signed(run.0),
            worker,
            signed(epoch),
            millis(now.after(LEASE)),
            millis(now)
        ])?;
    let run = row::load(transaction, run)?;
    let key = scraper_key(&run.scraper);
    load::note_start(transaction, run.id, now)?;
    Ok(Lease {
        epoch,
        scraper: store::load(transaction, &key)?,
        version: version::newest(transaction, &key)?,
        run,
    })
}

/// A clock that is behind does not shorten a lease.
fn renew(
    transaction: &Transaction<'_>,
    run: RunId,
    epoch: u64,
    now: Timestamp,
) -> Result<Option<Instruction>, RegistryError> {
    let stop: Option<Option<String>> = transaction
        .prepare_cached(
            "UPDATE runs SET lease_until = CASE WHEN lease_until < ?3 THEN ?3 ELSE lease_until END
             WHERE id = ?1 AND epoch = ?2 AND lease_until IS NOT NULL RETURNING stop",
        )?
        .query_row(
            params![signed(run.0), signed(epoch), millis(now.after(LEASE))],
            |row| row.get(0),
        )
        .optional()?;
    Ok(match stop {
        None => Some(Instruction::Drop(run)),
        Some(stop) => stop.map(|by| Instruction::Stop(run, by)),
    })
}
