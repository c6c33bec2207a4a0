//! The crawl database in one SQLite file. One connection per handle; the file's own lock keeps processes apart.

mod counters;
mod documents;
mod failure;
mod items;
mod migration;
mod names;
mod row;
mod scan;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use model::{CrawlId, ItemId, SourceId, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::de::DeserializeOwned;

use crate::port::{DueQuery, Scan, Store, StoreError, Written};
use crate::records::{Configuration, Counts, Crawl, Intent, Item, Revision, Scope, Source};
use crate::sqlite::names::Names;

pub(crate) struct SqliteStore {
    path: Arc<PathBuf>,
    database: Arc<Mutex<Database>>,
}

struct Database {
    connection: Connection,
    names: Names,
}

impl SqliteStore {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            let explain = |error: std::io::Error| {
                let reason = format!("the folder cannot be made: {error}");
                failure::failed(path, reason, Some(Box::new(error)))
            };
            std::fs::create_dir_all(folder).map_err(explain)?;
        }
        let explain = |error| failure::explain(path, error);
        let mut connection = Connection::open(path).map_err(explain)?;
        let version = schema::prepare(&mut connection).map_err(explain)?;
        if version != schema::VERSION {
            let known = schema::VERSION;
            let reason = format!(
                "the file has format {version}, this program knows {known}; upgrade Haul, or move the file away"
            );
            return Err(failure::failed(path, reason, None));
        }
        let database = Database {
            connection,
            names: Names::default(),
        };
        Ok(Self {
            path: Arc::new(path.to_owned()),
            database: Arc::new(Mutex::new(database)),
        })
    }

    /// One transaction too: the file is locked once and not for every statement.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &mut Names) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(move |database| {
            let transaction = database.connection.transaction()?;
            let answer = read(&transaction, &mut database.names)?;
            transaction.commit()?;
            Ok(answer)
        })
        .await
    }

    /// One transaction: committed where `write` succeeds, else nothing of it happened.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>, &mut Names) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(move |database| {
            let written = database.transact(write);
            if written.is_err() {
                database.names.forget();
            }
            written
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let locked = move || work(&mut database.lock().unwrap_or_else(PoisonError::into_inner));
        off_the_runtime(&self.path, locked).await
    }
}

/// SQLite blocks on the disk, so it works on the threads for that.
async fn off_the_runtime<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failure::explain(path, error)),
        Err(error) => {
            let reason = "a call did not end; the service is stopping or met a bug".into();
            Err(failure::failed(path, reason, Some(Box::new(error))))
        }
    }
}

impl Database {
    fn transact<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>, &mut Names) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = write(&transaction, &mut self.names)?;
        transaction.commit()?;
        Ok(answer)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        let id = id.to_string();
        self.read(move |connection, _| {
            let mut select =
                connection.prepare_cached("SELECT record, revision FROM sources WHERE id = ?1")?;
            select.query_row([id], source).optional()
        })
        .await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.read(|connection, _| {
            connection
                .prepare_cached("SELECT record, revision FROM sources ORDER BY id")?
                .query_map([], source)?
                .collect()
        })
        .await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        let source = source.clone();
        self.write(move |transaction, _| {
            let stored = "SELECT revision FROM sources WHERE id = ?1";
            let written = judge(transaction, stored, source.id.as_str(), source.revision)?;
            if let Written::Done(revision) = written {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO sources (id, revision, record) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![
                        source.id.as_str(),
                        integer(revision.0),
                        row::json(&source)?
                    ])?;
            }
            Ok(written)
        })
        .await
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        let configuration = configuration.clone();
        self.write(move |transaction, _| {
            let number = integer(configuration.number);
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO configurations (source, number, record) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    configuration.source.as_str(),
                    number,
                    row::json(&configuration)?
                ])
                .map(drop)
        })
        .await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        let source = source.to_string();
        self.read(move |connection, _| {
            connection
                .prepare_cached("SELECT record FROM configurations WHERE source = ?1 ORDER BY number")?
                .query_map([source], record)?
                .collect()
        })
        .await
    }

    /// The source itself goes last, so that a deletion that is interrupted can be repeated.
    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        let mut is_left = true;
        while is_left {
            let id = id.to_string();
            is_left = self
                .write(move |transaction, names| match names.find(transaction, &id)? {
                    Some(source) => items::remove_some(transaction, source),
                    None => Ok(false),
                })
                .await?;
        }
        let id = id.to_string();
        self.write(move |transaction, _| {
            for table in ["crawls", "configurations", "intents"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE source = ?1"), [&id])?;
            }
            transaction
                .execute("DELETE FROM sources WHERE id = ?1", [&id])
                .map(drop)
        })
        .await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        let id = id.to_string();
        self.read(move |connection, _| {
            let mut select =
                connection.prepare_cached("SELECT record, revision FROM crawls WHERE id = ?1")?;
            select.query_row([id], crawl).optional()
        })
        .await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        let source = source.map(SourceId::to_string);
        let limit = integer(limit as u64);
        self.read(move |connection, _| {
            let wanted = if source.is_some() { "source = ?1" } else { "?1 IS NULL" };
            connection
                .prepare_cached(&format!(
                    "SELECT record, revision FROM crawls WHERE {wanted} ORDER BY started_at DESC, id DESC LIMIT ?2"
                ))?
                .query_map(params![source, limit], crawl)?
                .collect()
        })
        .await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        let crawl = crawl.clone();
        self.write(move |transaction, _| {
            let stored = "SELECT revision FROM crawls WHERE id = ?1";
            let written = judge(transaction, stored, crawl.id.as_str(), crawl.revision)?;
            if let Written::Done(revision) = written {
                let (id, source, started_at) = (
                    crawl.id.as_str(),
                    crawl.id.source(),
                    row::millis(crawl.started_at),
                );
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO crawls (id, source, started_at, revision, record)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        id,
                        source.as_str(),
                        started_at,
                        integer(revision.0),
                        row::json(&crawl)?
                    ])?;
            }
            Ok(written)
        })
        .await
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        let (source, ids) = (source.clone(), ids.to_vec());
        self.read(move |connection, names| items::get(connection, names, &source, &ids))
            .await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        let items = items.to_vec();
        self.write(move |transaction, names| items::put(transaction, names, &items))
            .await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        let items = items.to_vec();
        self.write(move |transaction, names| items::delete(transaction, names, &items))
            .await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        let intent = intent.clone();
        self.write(move |transaction, _| {
            let values = params![
                intent.source.as_str(),
                intent.id,
                row::millis(intent.at),
                row::json(&intent)?
            ];
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO intents (source, id, at, record) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(values)
                .map(drop)
        })
        .await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        let (source, id) = (source.to_string(), id.to_owned());
        self.write(move |transaction, _| {
            transaction
                .prepare_cached("DELETE FROM intents WHERE source = ?1 AND id = ?2")?
                .execute([source, id])
                .map(drop)
        })
        .await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        let source = source.to_string();
        self.read(move |connection, _| {
            connection
                .prepare_cached("SELECT record FROM intents WHERE source = ?1 ORDER BY at, id LIMIT 1000")?
                .query_map([source], record)?
                .collect()
        })
        .await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        let (source, crawl, scope) = (query.source.clone(), query.crawl.clone(), query.scope.cloned());
        let (now, limit) = (query.now, query.limit);
        self.read(move |connection, names| {
            let query = DueQuery {
                source: &source,
                crawl: &crawl,
                scope: scope.as_ref(),
                now,
                limit,
            };
            items::due(connection, names, &query)
        })
        .await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (source, crawl, scope) = (source.to_string(), crawl.to_string(), scope.cloned());
        self.read(move |connection, names| {
            items::next_due(connection, names, &source, &crawl, scope.as_ref())
        })
        .await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        let (source, states) = (scan.source.clone(), scan.states.to_vec());
        let (crawl, after) = (scan.crawl.cloned(), scan.after.cloned());
        let (updated_since, missed_by) = (scan.updated_since, scan.missed_by);
        let (lease_expired_at, limit) = (scan.lease_expired_at, scan.limit);
        self.read(move |connection, names| {
            let (source, states, crawl, after) = (&source, &states, crawl.as_ref(), after.as_ref());
            let scan = Scan {
                source,
                states,
                crawl,
                updated_since,
                missed_by,
                lease_expired_at,
                after,
                limit,
            };
            scan::scan(connection, names, &scan)
        })
        .await
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        let (source, crawl) = (source.to_string(), crawl.map(CrawlId::to_string));
        self.read(move |connection, names| {
            let Some(source) = names.find(connection, &source)? else {
                return Ok(Counts::default());
            };
            let Some(crawl) = crawl else {
                return counters::counts(connection, source, None);
            };
            match names.find(connection, &crawl)? {
                Some(crawl) => counters::counts(connection, source, Some(crawl)),
                None => Ok(Counts::default()),
            }
        })
        .await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        let (source, crawl) = (source.to_string(), crawl.to_string());
        self.read(move |connection, names| {
            match (names.find(connection, &source)?, names.find(connection, &crawl)?) {
                (Some(source), Some(crawl)) => counters::scopes(connection, names, source, crawl),
                _ => Ok(Vec::new()),
            }
        })
        .await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// On a connection of its own, so that nobody waits for it.
    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let path = Arc::clone(&self.path);
        let check = move || {
            let connection = Connection::open_with_flags(&*path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let mut check = connection.prepare("PRAGMA quick_check")?;
            check
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()
        };
        let found = off_the_runtime(&self.path, check).await?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }
}

/// The revision after a write that carries `carried`, or the conflict with what is stored.
fn judge(
    transaction: &Transaction<'_>,
    select_revision: &str,
    id: &str,
    carried: Revision,
) -> rusqlite::Result<Written> {
    let stored = transaction
        .prepare_cached(select_revision)?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(judge_revision(Revision(stored.map_or(0, natural)), carried))
}

fn judge_revision(stored: Revision, carried: Revision) -> Written {
    if stored == carried {
        Written::Done(Revision(stored.0 + 1))
    } else {
        Written::Conflict(stored)
    }
}

fn source(row: &rusqlite::Row<'_>) -> rusqlite::Result<Source> {
    let source: Source = record(row)?;
    Ok(Source {
        revision: revision(row)?,
        ..source
    })
}

fn crawl(row: &rusqlite::Row<'_>) -> rusqlite::Result<Crawl> {
    let crawl: Crawl = record(row)?;
    Ok(Crawl {
        revision: revision(row)?,
        ..crawl
    })
}

fn record<T: DeserializeOwned>(row: &rusqlite::Row<'_>) -> rusqlite::Result<T> {
    row::parsed(0, serde_json::from_str(&row.get::<_, String>(0)?))
}

fn revision(row: &rusqlite::Row<'_>) -> rusqlite::Result<Revision> {
    Ok(Revision(natural(row.get(1)?)))
}

/// SQLite's integers have a sign: numbers beyond 2^63 - 1 stay at that.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn natural(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}

#[cfg(test)]
mod tests;
