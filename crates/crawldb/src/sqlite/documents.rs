//! Documents by index and URL.

use async_trait::async_trait;
use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Version};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Transaction, params};

use super::names::Names;
use super::{SqliteStore, integer, judge_revision, natural, row};
use crate::port::{DocumentStore, StoreError, Written};
use crate::records::{Body, Document, IndexName, Reference, Revision};

/// Documents of an index that is dropped which go at a time, so that others can write meanwhile.
const DROPPED_AT_A_TIME: usize = 10_000;

const COLUMNS: &str =
    "url, revision, source, version, item_revision, last_updated, checksum, extract, record";

fn in_force(connection: &Connection) -> rusqlite::Result<IndexName> {
    let name: Option<String> = connection
        .prepare_cached("SELECT name FROM index_in_force")?
        .query_row([], |row| row.get(0))
        .optional()?;
    name.map_or_else(
        || Ok(IndexName::default()),
        |name| row::parsed(0, IndexName::new(name)),
    )
}

fn read(connection: &Connection, names: &mut Names, row: &Row<'_>) -> rusqlite::Result<Document> {
    let url = row::parsed(0, PageUrl::parse(row.get_ref(0)?.as_str()?))?;
    let record: Option<String> = row.get(8)?;
    let references = match record {
        Some(record) => row::parsed(8, serde_json::from_str(&record))?,
        None => vec![only_reference(connection, names, &url, row)?],
    };
    Ok(Document {
        url,
        revision: Revision(natural(row.get(1)?)),
        references,
    })
}

fn only_reference(
    connection: &Connection,
    names: &mut Names,
    url: &PageUrl,
    row: &Row<'_>,
) -> rusqlite::Result<Reference> {
    let extract: Option<String> = row.get(7)?;
    let body = |extract: String| {
        Ok::<_, rusqlite::Error>(Body {
            checksum: Checksum::from_bytes(row.get(6)?),
            extract: row::parsed(7, ArchiveKey::new(extract))?,
        })
    };
    Ok(Reference {
        source: row::parsed(2, SourceId::new(names.text(connection, row.get(2)?)?))?,
        item: row::parsed(0, ItemId::new(url.as_str()))?,
        version: Version::from_u64(natural(row.get(3)?)),
        write: natural(row.get(4)?),
        last_updated: row::timestamp(row.get(5)?),
        body: extract.map(body).transpose()?,
    })
}

fn get(
    connection: &Connection,
    names: &mut Names,
    index: i64,
    urls: &[PageUrl],
) -> rusqlite::Result<Vec<Option<Document>>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM documents WHERE index_name = ?1 AND url = ?2"
    ))?;
    let mut get = |url: &PageUrl| {
        select
            .query_row(params![index, url.as_str()], |row| read(connection, names, row))
            .optional()
    };
    urls.iter().map(&mut get).collect()
}

/// What a write must know of the document that is stored.
struct Stored {
    revision: Revision,
    alive: i64,
}

/// Writes the documents of one transaction and counts those that are alive.
struct Writer<'a> {
    index: i64,
    find: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    delete: CachedStatement<'a>,
    born: i64,
}

impl<'a> Writer<'a> {
    fn new(transaction: &'a Transaction<'_>, index: i64) -> rusqlite::Result<Self> {
        Ok(Self {
            index,
            find: transaction.prepare_cached(
                "SELECT revision, alive FROM documents WHERE index_name = ?1 AND url = ?2",
            )?,
            insert: transaction.prepare_cached(&format!(
                "INSERT INTO documents (index_name, alive, {COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
            ))?,
            update: transaction.prepare_cached(
                "UPDATE documents SET alive = ?2, revision = ?4, source = ?5, version = ?6, item_revision = ?7,
                 last_updated = ?8, checksum = ?9, extract = ?10, record = ?11 WHERE index_name = ?1 AND url = ?3",
            )?,
            delete: transaction.prepare_cached("DELETE FROM documents WHERE index_name = ?1 AND url = ?2")?,
            born: 0,
        })
    }

    /// Most new documents are taken, so they are tried without looking first.
    fn put(
        &mut self,
        transaction: &Transaction<'_>,
        names: &mut Names,
        document: &Document,
    ) -> rusqlite::Result<Written> {
        let alive = i64::from(document.is_alive());
        if document.revision == Revision::NEW {
            let first = Revision(1);
            bind(&mut self.insert, transaction, names, self.index, document, first)?;
            if self.insert.raw_execute()? == 1 {
                self.born += alive;
                return Ok(Written::Done(first));
            }
        }
        let stored = self.stored(&document.url)?;
        let revision = stored.as_ref().map_or(Revision::NEW, |stored| stored.revision);
        let written = judge_revision(revision, document.revision);
        if let (Written::Done(revision), Some(stored)) = (written, stored) {
            bind(
                &mut self.update,
                transaction,
                names,
                self.index,
                document,
                revision,
            )?;
            self.update.raw_execute()?;
            self.born += alive - stored.alive;
        }
        Ok(written)
    }

    fn delete(&mut self, document: &Document) -> rusqlite::Result<Written> {
        match self.stored(&document.url)? {
            Some(stored) if stored.revision == document.revision => {
                self.delete.execute(params![self.index, document.url.as_str()])?;
                self.born -= stored.alive;
                Ok(Written::Done(stored.revision))
            }
            stored => Ok(Written::Conflict(
                stored.map_or(Revision::NEW, |stored| stored.revision),
            )),
        }
    }

    fn stored(&mut self, url: &PageUrl) -> rusqlite::Result<Option<Stored>> {
        let stored = |row: &Row<'_>| {
            Ok(Stored {
                revision: Revision(natural(row.get(0)?)),
                alive: row.get(1)?,
            })
        };
        self.find
            .query_row(params![self.index, url.as_str()], stored)
            .optional()
    }

    fn count(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let (index, born) = (self.index, self.born);
        drop(self);
        add_alive(transaction, index, born)
    }
}

fn add_alive(transaction: &Transaction<'_>, index: i64, alive: i64) -> rusqlite::Result<()> {
    if alive == 0 {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT INTO document_counts (index_name, alive) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET alive = alive + excluded.alive",
        )?
        .execute([index, alive])
        .map(drop)
}

/// Binds every parameter of the insert and the update.
fn bind(
    statement: &mut CachedStatement<'_>,
    transaction: &Transaction<'_>,
    names: &mut Names,
    index: i64,
    document: &Document,
    revision: Revision,
) -> rusqlite::Result<()> {
    let only = match &document.references[..] {
        [only] if only.item.as_str() == document.url.as_str() => Some(only),
        _ => None,
    };
    let source = only
        .map(|only| names.number(transaction, only.source.as_str()))
        .transpose()?;
    let record = match only {
        Some(_) => None,
        None => Some(row::json(&document.references)?),
    };
    let body = only.and_then(|only| only.body.as_ref());
    statement.raw_bind_parameter(1, index)?;
    statement.raw_bind_parameter(2, document.is_alive())?;
    statement.raw_bind_parameter(3, document.url.as_str())?;
    statement.raw_bind_parameter(4, integer(revision.0))?;
    statement.raw_bind_parameter(5, source)?;
    statement.raw_bind_parameter(6, only.map(|only| integer(only.version.as_u64())))?;
    statement.raw_bind_parameter(7, only.map(|only| integer(only.write)))?;
    statement.raw_bind_parameter(8, only.map(|only| row::millis(only.last_updated)))?;
    statement.raw_bind_parameter(9, body.map(|body| body.checksum.as_bytes().as_slice()))?;
    statement.raw_bind_parameter(10, body.map(|body| body.extract.as_str()))?;
    statement.raw_bind_parameter(11, record)
}

/// Makes the reference part of the document, in a transaction that nobody races with.
pub(super) fn refer(
    transaction: &Transaction<'_>,
    names: &mut Names,
    index: i64,
    url: &PageUrl,
    reference: &Reference,
) -> rusqlite::Result<()> {
    let stored = get(transaction, names, index, std::slice::from_ref(url))?.pop();
    let mut document = stored.flatten().unwrap_or_else(|| Document::new(url.clone()));
    document.refer(reference);
    let mut writer = Writer::new(transaction, index)?;
    writer.put(transaction, names, &document)?;
    writer.count(transaction)
}

/// Removes some documents of an index; answers whether there may be more. None where the index is in force.
fn drop_some(
    transaction: &Transaction<'_>,
    names: &mut Names,
    index: &IndexName,
) -> rusqlite::Result<Option<bool>> {
    if in_force(transaction)? == *index {
        return Ok(None);
    }
    let Some(number) = names.find(transaction, index.as_str())? else {
        return Ok(Some(false));
    };
    let urls: Vec<String> = transaction
        .prepare_cached("SELECT url FROM documents WHERE index_name = ?1 ORDER BY url LIMIT ?2")?
        .query_map(params![number, integer(DROPPED_AT_A_TIME as u64)], |row| {
            row.get(0)
        })?
        .collect::<rusqlite::Result<_>>()?;
    let Some(last) = urls.last() else {
        transaction.execute("DELETE FROM document_counts WHERE index_name = ?1", [number])?;
        return Ok(Some(false));
    };
    let gone: Vec<i64> = transaction
        .prepare_cached("DELETE FROM documents WHERE index_name = ?1 AND url <= ?2 RETURNING alive")?
        .query_map(params![number, last], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    add_alive(transaction, number, -gone.iter().sum::<i64>())?;
    Ok(Some(true))
}

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.read(|connection, _| in_force(connection)).await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        let (current, next) = (current.clone(), next.clone());
        self.write(move |transaction, _| {
            if in_force(transaction)? != current {
                return Ok(false);
            }
            transaction.execute(
                "INSERT OR REPLACE INTO index_in_force VALUES (1, ?1)",
                [next.as_str()],
            )?;
            Ok(true)
        })
        .await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        loop {
            let name = index.clone();
            let dropped = self
                .write(move |transaction, names| drop_some(transaction, names, &name))
                .await?;
            match dropped {
                Some(true) => {}
                Some(false) => return Ok(()),
                None => {
                    let reason = format!("the index {index} is in force; put another one in force first");
                    return Err(super::failure::failed(&self.path, reason, None));
                }
            }
        }
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        let (index, urls) = (index.clone(), urls.to_vec());
        self.read(
            move |connection, names| match names.find(connection, index.as_str())? {
                Some(index) => get(connection, names, index, &urls),
                None => Ok(vec![None; urls.len()]),
            },
        )
        .await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let (index, documents) = (index.clone(), documents.to_vec());
        self.write(move |transaction, names| {
            let index = names.number(transaction, index.as_str())?;
            let mut writer = Writer::new(transaction, index)?;
            let put = |document| writer.put(transaction, names, document);
            let written = documents.iter().map(put).collect::<rusqlite::Result<_>>()?;
            writer.count(transaction)?;
            Ok(written)
        })
        .await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let (index, documents) = (index.clone(), documents.to_vec());
        self.write(move |transaction, names| {
            let index = names.number(transaction, index.as_str())?;
            let mut writer = Writer::new(transaction, index)?;
            let delete = |document| writer.delete(document);
            let written = documents.iter().map(delete).collect::<rusqlite::Result<_>>()?;
            writer.count(transaction)?;
            Ok(written)
        })
        .await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let (index, after) = (index.clone(), after.map_or_else(String::new, ToString::to_string));
        self.read(move |connection, names| {
            let Some(index) = names.find(connection, index.as_str())? else {
                return Ok(Vec::new());
            };
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM documents WHERE index_name = ?1 AND url > ?2 ORDER BY url LIMIT ?3"
                ))?
                .query_map(params![index, after, integer(limit as u64)], |row| {
                    read(connection, names, row)
                })?
                .collect()
        })
        .await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        let index = index.clone();
        self.read(move |connection, names| {
            let Some(index) = names.find(connection, index.as_str())? else {
                return Ok(0);
            };
            let alive: Option<i64> = connection
                .prepare_cached("SELECT alive FROM document_counts WHERE index_name = ?1")?
                .query_row([index], |row| row.get(0))
                .optional()?;
            Ok(alive.map_or(0, natural))
        })
        .await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
