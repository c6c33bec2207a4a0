//! An index in Redis 7 or newer.
//!
//! A hash of packages with their dependencies, a set of dependents for each package that has some, a stream of changes whose ids are
//! their revisions, and a hash with the revision, which is the compare-and-swap. A commit is one call of one function, so nobody sees half
//! of it. How durable it is, Redis decides: only `appendonly yes` with `appendfsync always` keeps what it has confirmed. Replication is
//! asynchronous in any case: a replica that takes over may not have the newest commits; a server that knows them then stops.

mod check;
mod session;

use std::collections::HashMap;
use std::time::Duration;

use redis::Cmd;

use crate::change::{Change, Revision};
use crate::command::{Verb, write_line};
use crate::store::service::{
    ANSWER_BYTES, CALL_TIMEOUT, KEPT_CHANGES, LastWords, bytes_of, newest_is_missing, set_back, without_gap,
};
use crate::store::{Commit, Finding, Loaded, Store, StoreError};

use session::Database;

/// How many changes are asked for at a time.
const PIECE: usize = 1000;

/// How a [`RedisStore`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct RedisOptions {
    /// Takes a Redis that may lose what it has confirmed when it or its machine crashes: one without `appendonly yes` and
    /// `appendfsync always`, or one that does not tell.
    pub accept_volatile: bool,
    /// How many of the newest changes are kept at least for servers that were away; who misses more loads everything.
    pub kept_changes: u64,
    /// How long a call may take, or a new connection; more is allowed in proportion to what a call carries.
    pub timeout: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            accept_volatile: false,
            kept_changes: KEPT_CHANGES,
            timeout: CALL_TIMEOUT,
        }
    }
}

/// Keeps an index in Redis; any number of servers may use it at once.
pub struct RedisStore {
    database: Database,
    options: RedisOptions,
}

/// A stream's entries: ids with fields.
type Entries = Vec<(String, HashMap<String, Vec<u8>>)>;

impl RedisStore {
    /// Opens `redis://:password@host:port/number?prefix=pkgindex`.
    ///
    /// It is [`StoreError::Unsuited`] when Redis may lose what it confirms, unless the options accept that, and always when it may
    /// throw keys away for want of memory.
    pub fn open(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        let mut database = Database::new(url, options)?;
        database.call::<String>(0, &redis::cmd("PING"))?;
        Ok(Self { database, options })
    }

    /// Entries of the stream behind `after`, as far as one answer goes.
    fn piece(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let mut ask = redis::cmd("XRANGE");
        ask.arg(&self.database.keys.changes)
            .arg(format!("{}-0", after.next()))
            .arg("+")
            .arg("COUNT")
            .arg(PIECE);
        let entries: Entries = self.database.call(ANSWER_BYTES, &ask)?;
        entries.into_iter().map(change).collect()
    }

    /// All changes that are kept.
    fn kept_changes(&mut self) -> Result<Vec<Change>, StoreError> {
        let mut kept = self.piece(Revision(0))?;
        while let Some(last) = kept.last() {
            let more = self.piece(last.revision)?;
            if more.is_empty() {
                break;
            }
            kept.extend(more);
        }
        let first = kept.first().map_or(0, |change| change.revision.0 - 1);
        without_gap(Revision(first), kept)
    }

    /// Packages against changes.
    fn check_packages(&mut self, loaded: &Loaded, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let changes = self.kept_changes()?;
        let words = LastWords::of(&changes)?;
        let found = words.disagreements(&loaded.lines)?;
        let mended = repair && !found.is_empty();
        if mended {
            check::mend_packages(&mut self.database, &words, &changes)?;
        }
        let mut findings: Vec<_> = found.into_iter().map(|what| Finding { what, mended }).collect();
        findings.extend(newest_is_missing(&changes, loaded.revision));
        Ok(findings)
    }

    /// Sets of dependents against packages.
    fn check_dependents(&mut self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let loaded = self.load()?;
        let wanted = check::wanted_dependents(&loaded.lines)?;
        let kept = check::kept_dependents(&mut self.database)?;
        let differing = check::differing(&wanted, &kept);
        if repair && !differing.is_empty() {
            check::mend_dependents(&mut self.database, &differing, &wanted)?;
        }
        let finding = |package: &String| Finding {
            what: format!("the set of what depends on {package} is not what the packages say"),
            mended: repair,
        };
        Ok(differing.iter().map(finding).collect())
    }
}

impl Store for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let keys = &self.database.keys;
        let mut ask = redis::pipe();
        ask.atomic();
        ask.cmd("HGET").arg(&keys.state).arg("revision");
        ask.cmd("HGETALL").arg(&keys.packages);
        let (revision, packages): (Option<u64>, Vec<(String, String)>) =
            self.database.call_all(ANSWER_BYTES, &ask)?;
        let mut lines = Vec::new();
        for (package, dependencies) in &packages {
            write_line(&mut lines, Verb::Index, package, std::iter::once(&**dependencies));
        }
        Ok(Loaded {
            revision: Revision(revision.unwrap_or_default()),
            lines: lines.into(),
        })
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        let mut call = self.function(base);
        for change in changes {
            call.arg(&*change.lines).arg(change.origin);
        }
        let newest: Option<u64> = self.database.call(bytes_of(changes), &call)?;
        match newest {
            Some(newest) if newest == base.0 => Ok(Commit::Done),
            Some(newest) if newest > base.0 => Ok(Commit::Conflict),
            // Without a revision the keys were deleted while this server knew them.
            older => Err(set_back("redis", older.unwrap_or_default(), base)),
        }
    }

    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let mut changes = self.piece(after)?;
        while let Some(last) = changes.last()
            && bytes_of(&changes) < ANSWER_BYTES
        {
            let more = self.piece(last.revision)?;
            if more.is_empty() {
                break;
            }
            changes.extend(more);
        }
        without_gap(after, changes)
    }

    fn check(&mut self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let loaded = self.load()?;
        let mut findings = self.check_packages(&loaded, repair)?;
        findings.extend(self.check_dependents(repair)?);
        Ok(findings)
    }
}

impl RedisStore {
    fn function(&self, base: Revision) -> Cmd {
        let keys = &self.database.keys;
        let mut call = redis::cmd("FCALL");
        call.arg(&self.database.function)
            .arg(3)
            .arg(&keys.state)
            .arg(&keys.packages)
            .arg(&keys.changes)
            .arg(&keys.dependents)
            .arg(base.0)
            .arg(self.options.kept_changes.max(1));
        call
    }
}

fn change((id, mut fields): (String, HashMap<String, Vec<u8>>)) -> Result<Change, StoreError> {
    let revision = id.strip_suffix("-0").and_then(|revision| revision.parse().ok());
    let origin = fields
        .get("origin")
        .and_then(|origin| str::from_utf8(origin).ok()?.parse().ok());
    match (revision, origin, fields.remove("lines")) {
        (Some(revision), Some(origin), Some(lines)) => Ok(Change {
            revision: Revision(revision),
            origin,
            lines: lines.into(),
        }),
        _ => Err(StoreError::Damaged(format!(
            "entry {id} of the stream of changes is not what was written; run `check`"
        ))),
    }
}
