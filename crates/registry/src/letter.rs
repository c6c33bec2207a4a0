//! Letters: queued by the end of a run, or due once a day; taken once.

use std::time::Duration;

use model::{RunId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::columns::{millis, next_number, owner_key, signed, unsigned};
use crate::database::{Registry, RegistryError};
use crate::run::{self, Ended, Run};

/// Scrapers that one digest names.
const MOST_IN_DIGEST: usize = 200;

/// A digest's day begins at this time (UTC).
const DIGEST_AT: Duration = Duration::from_secs(7 * 3600);

/// A letter to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// To whom.
    pub to: String,
    /// What about.
    pub about: News,
    /// How often it was given back.
    pub tries: u32,
    /// The key of the account.
    account: String,
}

/// What a letter is about.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A scraper failed that did not before.
    Failed(Box<Run>),
    /// A scraper succeeded that failed before.
    Recovered(Box<Run>),
    /// A scraper's schedule was paused.
    Paused(Box<Run>),
    /// What fails, once a day.
    Digest {
        /// How many scrapers.
        failing: u64,
        /// The last run of each, of the first 200.
        runs: Vec<Run>,
    },
}

impl News {
    /// The word for it in a column, and the run it is about.
    fn columns(&self) -> (&'static str, Option<RunId>) {
        match self {
            Self::Failed(run) => ("failed", Some(run.id)),
            Self::Recovered(run) => ("recovered", Some(run.id)),
            Self::Paused(run) => ("paused", Some(run.id)),
            Self::Digest { .. } => ("digest", None),
        }
    }
}

impl Registry {
    /// Takes a letter that is due: of first failures, recoveries, pauses (at once), and of one digest a day (from seven o'clock UTC) per account that wants mail,
    /// about the scrapers of its owners that fail. A letter that is taken is gone from here and nobody else's: whoever dies before sending it has lost it, which is
    /// better than two. One that the mail server did not take can be given back ([`Registry::return_letter`]).
    pub async fn next_letter(&self, now: Timestamp) -> Result<Option<Letter>, RegistryError> {
        if !self.read(move |transaction| is_any_due(transaction, now)).await? {
            return Ok(None);
        }
        self.write(move |transaction| {
            queue_digests(transaction, now)?;
            while let Some(taken) = take_due(transaction, now)? {
                match taken.letter(transaction) {
                    // About what cannot be read, nobody can write; it does not hold up the other letters.
                    Ok(None) | Err(RegistryError::Damaged(_)) => {}
                    letter => return letter,
                }
            }
            Ok(None)
        })
        .await
    }

    /// Gives back a letter that could not be sent; it is due at `again_at`.
    pub async fn return_letter(&self, letter: Letter, again_at: Timestamp) -> Result<(), RegistryError> {
        self.write(move |transaction| {
            let (news, run) = letter.about.columns();
            insert(
                transaction,
                &letter.account,
                news,
                run,
                letter.tries + 1,
                again_at,
            )
        })
        .await
    }
}

/// Queues letters about the end of a run, one for everybody who wants mail about the scraper; for the transaction that ends it. A pause says more than the
/// failure that led to it.
pub(crate) fn queue(
    transaction: &Transaction<'_>,
    ended: &Ended,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let news = match ended {
        Ended { was_paused: true, .. } => "paused",
        Ended {
            is_first_failure: true,
            ..
        } => "failed",
        Ended {
            is_recovery: true, ..
        } => "recovered",
        _ => return Ok(()),
    };
    let mut statement = transaction.prepare_cached(
        "SELECT owner FROM accounts WHERE email IS NOT NULL AND wants_mail = 1 AND is_disabled = 0
         AND (owner = ?1 OR owner IN (SELECT member FROM members WHERE organisation = ?1))",
    )?;
    let readers = statement
        .query_map([owner_key(&ended.run.scraper.owner)], |row| {
            row.get::<_, String>(0)
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for reader in readers {
        insert(transaction, &reader, news, Some(ended.run.id), 0, now)?;
    }
    Ok(())
}

/// The day that the digest at this time is for, or the last one was for.
pub(crate) fn digest_day(now: Timestamp) -> i64 {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    millis(now.before(DIGEST_AT)) / DAY_MS
}

fn insert(
    transaction: &Transaction<'_>,
    account: &str,
    news: &str,
    run: Option<RunId>,
    tries: u32,
    due_at: Timestamp,
) -> Result<(), RegistryError> {
    let id = next_number(transaction, "letter")?;
    transaction
        .prepare_cached(
            "INSERT INTO letters (id, account, run, news, tries, due_at)
             SELECT CAST(?1 AS BIGINT), CAST(?2 AS TEXT), CAST(?3 AS BIGINT), CAST(?4 AS TEXT), CAST(?5 AS BIGINT), CAST(?6 AS BIGINT)
             WHERE ?3 IS NULL OR EXISTS (SELECT 1 FROM runs WHERE id = ?3)",
        )?
        .execute(params![
            signed(id),
            account,
            run.map(|run| signed(run.0)),
            news,
            tries,
            millis(due_at)
        ])?;
    Ok(())
}

fn is_any_due(transaction: &Transaction<'_>, now: Timestamp) -> Result<bool, RegistryError> {
    let mut letters = transaction.prepare_cached("SELECT 1 FROM letters WHERE due_at <= ?1")?;
    let mut digests = transaction.prepare_cached("SELECT 1 FROM accounts WHERE digest_day < ?1")?;
    Ok(letters.exists([millis(now)])? || digests.exists([digest_day(now)])?)
}

/// A digest for each account that had none today.
fn queue_digests(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), RegistryError> {
    let mut statement = transaction
        .prepare_cached("UPDATE accounts SET digest_day = ?1 WHERE digest_day < ?1 RETURNING owner")?;
    let accounts = statement
        .query_map([digest_day(now)], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for account in accounts {
        insert(transaction, &account, "digest", None, 0, now)?;
    }
    Ok(())
}

/// A row of `letters` that was taken out.
struct Taken {
    account: String,
    news: String,
    run: Option<RunId>,
    tries: u32,
}

fn take_due(transaction: &Transaction<'_>, now: Timestamp) -> Result<Option<Taken>, RegistryError> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM letters WHERE id IN (SELECT id FROM letters WHERE due_at <= ?1 ORDER BY due_at, id LIMIT 1)
         RETURNING account, news, run, tries",
    )?;
    let taken = statement.query_row([millis(now)], |row| {
        Ok(Taken {
            account: row.get(0)?,
            news: row.get(1)?,
            run: row.get::<_, Option<i64>>(2)?.map(|run| RunId(unsigned(run))),
            tries: row.get(3)?,
        })
    });
    Ok(taken.optional()?)
}

impl Taken {
    /// None where there is nobody who wants it, or nothing to say.
    fn letter(self, transaction: &Transaction<'_>) -> Result<Option<Letter>, RegistryError> {
        let Some(to) = reader(transaction, &self.account)? else {
            return Ok(None);
        };
        let about = match self.run {
            Some(run) => self.about(Box::new(run::load(transaction, run)?))?,
            None => digest(transaction, &self.account)?,
        };
        if matches!(about, News::Digest { failing: 0, .. }) {
            return Ok(None);
        }
        Ok(Some(Letter {
            to,
            about,
            tries: self.tries,
            account: self.account,
        }))
    }

    fn about(&self, run: Box<Run>) -> Result<News, RegistryError> {
        match self.news.as_str() {
            "failed" => Ok(News::Failed(run)),
            "recovered" => Ok(News::Recovered(run)),
            "paused" => Ok(News::Paused(run)),
            other => Err(RegistryError::Damaged(format!("a letter about {other}"))),
        }
    }
}

/// Where mail for this account goes now, if it is wanted now.
fn reader(transaction: &Transaction<'_>, account: &str) -> Result<Option<String>, RegistryError> {
    let email: Option<Option<String>> = transaction
        .prepare_cached("SELECT email FROM accounts WHERE owner = ?1 AND wants_mail = 1 AND is_disabled = 0")?
        .query_row([account], |row| row.get(0))
        .optional()?;
    Ok(email.flatten())
}

/// The last finished run of each scraper that fails, of the account and its organisations.
fn digest(transaction: &Transaction<'_>, account: &str) -> Result<News, RegistryError> {
    let mut statement = transaction.prepare_cached(
        "SELECT max(runs.id) FROM scrapers JOIN runs ON runs.scraper = scrapers.key
         WHERE scrapers.failures > 0 AND runs.finished_at IS NOT NULL
         AND (scrapers.owner = ?1 OR scrapers.owner IN (SELECT organisation FROM members WHERE member = ?1))
         GROUP BY scrapers.key ORDER BY scrapers.key",
    )?;
    let failing = statement
        .query_map([account], |row| row.get(0).map(|run| RunId(unsigned(run))))?
        .collect::<Result<Vec<_>, _>>()?;
    let named = failing.iter().take(MOST_IN_DIGEST);
    let runs = named
        .map(|run| run::load(transaction, *run))
        .collect::<Result<_, _>>()?;
    let failing = u64::try_from(failing.len()).unwrap_or(u64::MAX);
    Ok(News::Digest { failing, runs })
}
