//! Wishes for runs, and for their end.

use model::{Checksum, OwnerName, RunId, ScraperId, ScraperName, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{Asked, Cause, Ending, Outcome, Phase, Run, end, row};
use crate::columns::{from_json, json, millis, next_number, owner_key, scraper_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::owner;
use crate::scraper::{Limits, NewScraper, Origin, Overlap, ScraperSettings, store};

/// Uploads of one owner that are not over, at most.
const MAX_UPLOADS: u64 = 20;
/// Scrapers in one chain of followers, at most.
const MAX_CHAIN: usize = 16;
/// Runs that tell how much memory the next one needs.
const RUNS_LOOKED_AT: i64 = 5;

/// Why there should be a run, and which scrapers led to it: their keys, with spaces in between.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) cause: Cause,
    pub(crate) chain: String,
}

impl Wish {
    pub(crate) fn new(cause: Cause) -> Self {
        let chain = String::new();
        Self { cause, chain }
    }

    /// What follows from a run of `scraper` that was made for this wish; nothing where `follower` is part of the chain already, or the chain is long.
    pub(super) fn followed_by(&self, scraper: &ScraperId, follower: &str) -> Option<Self> {
        let chain = match self.chain.as_str() {
            "" => scraper_key(scraper),
            chain => format!("{chain} {}", scraper_key(scraper)),
        };
        let is_over = chain.split(' ').any(|key| key == follower) || chain.split(' ').count() >= MAX_CHAIN;
        let cause = Cause::After {
            scraper: scraper.clone(),
        };
        (!is_over).then_some(Self { cause, chain })
    }
}

impl Registry {
    /// Asks for a run. There is at most one unfinished run of a scraper: a second wish is the first one. Where that one works already and the wish tells
    /// of something newer (a push, the end of another scraper), another run follows it; for a scheduled run the scraper's overlap policy
    /// says. A wish of a person raises a waiting automatic run into the lane of people.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Invalid` for [`Cause::Upload`].
    pub async fn ask(
        &self,
        scraper: &ScraperId,
        cause: Cause,
        now: Timestamp,
    ) -> Result<Asked, RegistryError> {
        if matches!(cause, Cause::Upload { .. }) {
            return Err(RegistryError::Invalid(
                "code that is sent along runs by itself; use run".to_owned(),
            ));
        }
        let key = scraper_key(scraper);
        self.write(move |transaction| {
            store::load_listed(transaction, &key)?;
            ask_for(transaction, &key, &Wish::new(cause), now)
        })
        .await
    }

    /// Runs the tar archive `checksum` once, as a scraper of `by` that is in no list and goes with its run ([`Registry::forget_runs`]).
    ///
    /// # Errors
    ///
    /// `Invalid` while 20 uploads of this owner are not over, or for limits out of bounds.
    pub async fn ask_upload(
        &self,
        by: &OwnerName,
        checksum: Checksum,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Run, RegistryError> {
        let by = by.clone();
        self.write(move |transaction| {
            owner::ensure_owner(transaction, &by, now)?;
            must_have_room(transaction, &by)?;
            let scraper = upload(transaction, &by, checksum, limits, now)?;
            let wish = Wish::new(Cause::Upload { by, checksum });
            let run = queue(transaction, &scraper_key(&scraper), &wish, now)?;
            row::load(transaction, run)
        })
        .await
    }

    /// Whether a run that is not over is of this tar archive, sent by `by`.
    pub async fn is_upload_needed(&self, by: &OwnerName, checksum: &Checksum) -> Result<bool, RegistryError> {
        let (owner, checksum) = (owner_key(by), *checksum);
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT 1 FROM scrapers JOIN runs ON runs.scraper = scrapers.key
                 WHERE scrapers.owner = ?1 AND scrapers.is_upload = 1 AND scrapers.origin = ?2 AND runs.finished_at IS NULL",
            )?;
            Ok(statement.exists([owner, json(&Origin::Upload { checksum })?])?)
        })
        .await
    }

    /// Asks for a run to be stopped; one that waits is over at once, and one that is over stays as it is. What would have followed it because it
    /// overlapped is dropped, too.
    pub async fn stop_run(&self, run: RunId, by: &str, now: Timestamp) -> Result<Run, RegistryError> {
        let by: String = by.chars().take(200).collect();
        self.write(move |transaction| {
            let hold = row::Hold::of(transaction, run)?;
            if hold.phase != Phase::Finished {
                forget_next(transaction, &hold.scraper)?;
                stop(transaction, run, &by, now)?;
            }
            row::load(transaction, run)
        })
        .await
    }
}

fn must_have_room(transaction: &Transaction<'_>, by: &OwnerName) -> Result<(), RegistryError> {
    let unfinished: i64 = transaction.query_row(
        "SELECT count(*) FROM scrapers JOIN runs ON runs.scraper = scrapers.key
         WHERE scrapers.owner = ?1 AND scrapers.is_upload = 1 AND runs.finished_at IS NULL",
        [owner_key(by)],
        |row| row.get(0),
    )?;
    match unsigned(unfinished) < MAX_UPLOADS {
        true => Ok(()),
        false => Err(RegistryError::Invalid(format!(
            "{MAX_UPLOADS} uploads of {by} wait or run; wait until one is over, or stop one"
        ))),
    }
}

/// A scraper for one run, under a name that nobody has.
fn upload(
    transaction: &Transaction<'_>,
    by: &OwnerName,
    checksum: Checksum,
    limits: Limits,
    now: Timestamp,
) -> Result<ScraperId, RegistryError> {
    let mut new = NewScraper {
        id: ScraperId {
            owner: by.clone(),
            name: upload_name(transaction)?,
        },
        origin: Origin::Upload { checksum },
        settings: ScraperSettings {
            limits,
            ..ScraperSettings::default()
        },
    };
    loop {
        match store::insert(transaction, &new, true, now) {
            Err(RegistryError::Exists { .. }) => new.id.name = upload_name(transaction)?,
            done => return done,
        }
    }
}

fn upload_name(transaction: &Transaction<'_>) -> Result<ScraperName, RegistryError> {
    let number = next_number(transaction, "upload")?;
    ScraperName::new(format!("upload-{number}")).map_err(|error| RegistryError::Damaged(error.to_string()))
}

/// Asks for a run of the scraper with this key, in somebody's transaction.
pub(crate) fn ask_for(
    transaction: &Transaction<'_>,
    key: &str,
    wish: &Wish,
    now: Timestamp,
) -> Result<Asked, RegistryError> {
    let unfinished = transaction
        .prepare_cached("SELECT id, phase FROM runs WHERE scraper = ?1 AND finished_at IS NULL")?
        .query_row([key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((run, phase)) = unfinished else {
        return queue(transaction, key, wish, now).map(Asked::Queued);
    };
    let run = RunId(unsigned(run));
    match phase == Phase::Queued.word() {
        true => raise(transaction, run, &wish.cause)?,
        false => overlap(transaction, key, run, wish, now)?,
    }
    Ok(Asked::Already(run))
}

/// Somebody who waits does not wait for a pause, either.
fn raise(transaction: &Transaction<'_>, run: RunId, cause: &Cause) -> Result<(), RegistryError> {
    if cause.is_awaited() {
        transaction
            .prepare_cached("UPDATE runs SET is_awaited = 1, not_before = NULL WHERE id = ?1")?
            .execute([signed(run.0)])?;
    }
    Ok(())
}

/// A wish while `run` works.
fn overlap(
    transaction: &Transaction<'_>,
    key: &str,
    run: RunId,
    wish: &Wish,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let policy = match wish.cause {
        Cause::Schedule => store::load(transaction, key)?.settings.overlap,
        Cause::Push | Cause::After { .. } => Overlap::Queue,
        Cause::Person { .. } | Cause::Api { .. } | Cause::Upload { .. } => Overlap::Skip,
    };
    if policy == Overlap::Skip {
        return Ok(());
    }
    transaction
        .prepare_cached("UPDATE scrapers SET next_cause = ?2 WHERE key = ?1 AND next_cause IS NULL")?
        .execute(params![key, json(wish)?])?;
    if policy == Overlap::Cancel {
        stop(transaction, run, "the schedule, because the next run is due", now)?;
    }
    Ok(())
}

/// A new run of a scraper that has no unfinished one.
fn queue(
    transaction: &Transaction<'_>,
    key: &str,
    wish: &Wish,
    now: Timestamp,
) -> Result<RunId, RegistryError> {
    let scraper = store::load(transaction, key)?;
    let run = RunId(next_number(transaction, "run")?);
    let memory_mib = needed_memory(transaction, key, scraper.settings.limits.memory_mib)?;
    transaction
        .prepare_cached(
            "INSERT INTO runs (id, scraper, owner, cause, chain, is_awaited, phase, queued_at, memory_mib, hosts)
             SELECT CAST(?1 AS BIGINT), key, owner, CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS BIGINT), 'queued',
             CAST(?5 AS BIGINT), CAST(?6 AS BIGINT), hosts FROM scrapers WHERE key = ?7",
        )?
        .execute(params![
            signed(run.0),
            json(&wish.cause)?,
            wish.chain,
            i64::from(wish.cause.is_awaited()),
            millis(now),
            signed(memory_mib),
            key
        ])?;
    Ok(run)
}

/// What is reserved for a run, in MiB (`declared`: what it may use): what the last ones used and a quarter and 32 more, and never more than declared. One that was killed
/// for memory says that nobody knows, and so does having no run.
pub(crate) fn needed_memory(
    transaction: &Transaction<'_>,
    key: &str,
    declared: u64,
) -> Result<u64, RegistryError> {
    let (used, killed): (Option<i64>, Option<i64>) = transaction
        .prepare_cached(
            "SELECT max(peak_mib), max(CASE WHEN outcome = 'out_of_memory' THEN 1 ELSE 0 END) FROM
             (SELECT peak_mib, outcome FROM runs WHERE scraper = ?1 AND peak_mib IS NOT NULL ORDER BY id DESC LIMIT ?2) AS last_runs",
        )?
        .query_row(params![key, RUNS_LOOKED_AT], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(used) = used.map(unsigned).filter(|_| killed != Some(1)) else {
        return Ok(declared);
    };
    let with_margin = used.saturating_add(used / 4).saturating_add(32);
    Ok(with_margin.min(declared))
}

/// Ends a run that waits; marks one that works, for its worker to hear. Who asks first is remembered.
fn stop(transaction: &Transaction<'_>, run: RunId, by: &str, now: Timestamp) -> Result<(), RegistryError> {
    transaction
        .prepare_cached("UPDATE runs SET stop = ?2 WHERE id = ?1 AND finished_at IS NULL AND stop IS NULL")?
        .execute(params![signed(run.0), by])?;
    if row::Hold::of(transaction, run)?.phase == Phase::Queued {
        let ending = Ending::new(Outcome::Stopped, format!("stopped by {by} while it waited"));
        end::end(transaction, run, ending, None, now)?;
    }
    Ok(())
}

/// The wish that waits for the scraper's unfinished run to be over; it is taken out.
pub(super) fn take_next(transaction: &Transaction<'_>, key: &str) -> Result<Option<Wish>, RegistryError> {
    let text: Option<String> = transaction
        .prepare_cached("SELECT next_cause FROM scrapers WHERE key = ?1")?
        .query_row([key], |row| row.get(0))?;
    let Some(text) = text else {
        return Ok(None);
    };
    forget_next(transaction, key)?;
    // One that a newer Haul wrote is not worth an end that fails.
    Ok(from_json(&text).ok())
}

fn forget_next(transaction: &Transaction<'_>, key: &str) -> Result<(), RegistryError> {
    transaction
        .prepare_cached("UPDATE scrapers SET next_cause = NULL WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}
