//! An index in PostgreSQL 14 or newer.
//!
//! Four tables in one schema: `packages` and `dependencies` for whoever wants to ask them in SQL, `changes` for the other servers, and one
//! row of `state`, whose revision is the compare-and-swap. A commit is one transaction. A package that others depend on cannot be
//! deleted, whoever tries (`ON DELETE RESTRICT`).

mod failure;
mod schema;
mod session;
mod tables;

use std::time::Duration;

use crate::change::{Change, Revision};
use crate::store::service::{
    ANSWER_BYTES, CALL_TIMEOUT, KEPT_CHANGES, LastWords, bytes_of, newest_is_missing, without_gap,
};
use crate::store::{Commit, Finding, Loaded, Packages, Store, StoreError};

use failure::Failure;
use session::{Database, Session};

/// How many bytes an index is taken to have at most, for the time that loading may take.
const LOADED_BYTES: usize = 64 << 20;

/// How a [`PostgresStore`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// How many of the newest changes are kept for servers that were away, at least one; who misses more loads everything.
    pub kept_changes: u64,
    /// How long a call may take, or a new connection; more is allowed in proportion to what a call carries.
    pub timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            kept_changes: KEPT_CHANGES,
            timeout: CALL_TIMEOUT,
        }
    }
}

/// Keeps an index in PostgreSQL; any number of servers may use it at once.
///
/// Its methods must not be called from within asynchronous code, because they wait for answers.
pub struct PostgresStore {
    database: Database,
    options: PostgresOptions,
    /// The newest revision that was seen.
    newest: Revision,
    /// Changes up to here are deleted.
    pruned: Revision,
}

impl PostgresStore {
    /// Opens `postgres://user:password@host:port/database?schema=pkgindex&sslmode=require`, and creates the schema and its tables
    /// when they are not there. With `sslmode=require` the certificate must be one that the system trusts; without it, or with
    /// `prefer`, the connection is not encrypted.
    ///
    /// It is [`StoreError::Unsuited`] when the server has `fsync=off`. `synchronous_commit` is switched on for the session.
    pub fn open(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let mut database = Database::new(url, options.timeout)?;
        database.call(0, async |_| Ok(()))?;
        Ok(Self {
            database,
            options,
            newest: Revision(0),
            pruned: Revision(0),
        })
    }

    /// All changes that are kept.
    fn kept_changes(&mut self) -> Result<Vec<Change>, StoreError> {
        let oldest = self.database.call(0, async |session| {
            let found = "SELECT coalesce(min(revision), (SELECT revision + 1 FROM state)) FROM changes";
            Ok(session.client.query_one(found, &[]).await?.get::<_, i64>(0))
        })?;
        let mut kept: Vec<Change> = Vec::new();
        let mut after = Revision(oldest.cast_unsigned().saturating_sub(1));
        loop {
            let more = self.changes(after)?;
            let Some(last) = more.last() else { return Ok(kept) };
            after = last.revision;
            kept.extend(more);
        }
    }
}

impl Store for PostgresStore {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let loaded = self.database.call(LOADED_BYTES, tables::load)?;
        self.newest = loaded.revision;
        Ok(loaded)
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        if changes.is_empty() {
            return self
                .database
                .call(0, async |session| tables::confirm(session, base).await);
        }
        let words = LastWords::of(changes)?;
        let commit = self.database.call(bytes_of(changes), async |session| {
            tables::commit(session, base, changes, &words).await
        })?;
        if let (Commit::Done, Some(last)) = (commit, changes.last()) {
            self.newest = last.revision;
        }
        Ok(commit)
    }

    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let changes = self.database.call(ANSWER_BYTES, async |session| {
            tables::changes(session, after).await
        })?;
        let changes = without_gap(after, changes)?;
        self.newest = changes.last().map_or(self.newest, |change| change.revision);
        Ok(changes)
    }

    /// Deletes old changes, some at a time.
    fn tend(&mut self, _: &dyn Packages) -> Result<bool, StoreError> {
        let kept = self.options.kept_changes.max(1);
        let until = Revision(self.newest.0.saturating_sub(kept));
        // Not for every single one.
        if until.0 < self.pruned.0 + kept.div_ceil(100) {
            return Ok(false);
        }
        let has_more = self
            .database
            .call(0, async |session| tables::prune(session, until).await)?;
        if !has_more {
            self.pruned = until;
        }
        Ok(has_more)
    }

    /// The database's own constraints keep edges and packages together; looked at is whether they say the same as the changes.
    fn check(&mut self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let loaded = self.load()?;
        let changes = self.kept_changes()?;
        let words = LastWords::of(&changes)?;
        let found = words.disagreements(&loaded.lines)?;
        let mended = repair && !found.is_empty();
        if mended {
            self.database.call(bytes_of(&changes), async |session| {
                mend(session, &words, loaded.revision).await
            })?;
        }
        let mut findings: Vec<_> = found.into_iter().map(|what| Finding { what, mended }).collect();
        findings.extend(newest_is_missing(&changes, loaded.revision));
        Ok(findings)
    }
}

async fn mend(session: &mut Session, words: &LastWords<'_>, revision: Revision) -> Result<(), Failure> {
    let transaction = session.client.transaction().await?;
    tables::put(&transaction, &session.statements, words, revision.0).await?;
    Ok(transaction.commit().await?)
}
