//! What a file of format 1 holds, as format 2 keeps it.

use model::{CrawlId, SourceId, Timestamp};
use rusqlite::{Transaction, params};
use serde::Deserialize;

use super::names::Names;
use super::row::{self, COLUMNS};
use super::{documents, integer};
use crate::records::{
    Configuration, DeletionCapability, IndexName, Reference, RetryPolicy, Revision, Settings, SiteSettings,
    Source, SourceKind,
};

/// A source as format 1 wrote it.
#[derive(Deserialize)]
struct SourceOfFormat1 {
    id: SourceId,
    name: String,
    configuration: u64,
    site: SiteSettings,
    bucket: Option<String>,
    retry: RetryPolicy,
    deletion: DeletionCapability,
    last_crawl_start: Option<Timestamp>,
    active_crawl: Option<CrawlId>,
    lock_epoch: u64,
    created_at: Timestamp,
}

impl SourceOfFormat1 {
    fn into_source(self) -> Source {
        let kind = self
            .bucket
            .map_or(SourceKind::Site, |address| SourceKind::Bucket { address });
        let settings = Settings {
            name: self.name,
            kind,
            site: self.site,
            retry: self.retry,
            deletion: self.deletion,
            ..Settings::default()
        };
        Source {
            revision: Revision::NEW,
            configuration: self.configuration,
            last_crawl_start: self.last_crawl_start,
            active_crawls: self.active_crawl.into_iter().collect(),
            lock_epoch: self.lock_epoch,
            ..Source::new(self.id, settings, self.created_at)
        }
    }
}

/// Items and crawls can be read as they are. Sources get another shape, their configuration is kept, and what was
/// searched becomes documents.
pub(super) fn keep_content_of_format_1(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut select = transaction.prepare("SELECT record FROM sources")?;
    let sources = select
        .query_map([], super::record::<SourceOfFormat1>)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for source in sources {
        keep_source(transaction, &source.into_source())?;
    }
    keep_documents(transaction)
}

fn keep_source(transaction: &Transaction<'_>, source: &Source) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE sources SET record = ?2 WHERE id = ?1",
        params![source.id.as_str(), row::json(source)?],
    )?;
    let configuration = Configuration {
        source: source.id.clone(),
        number: source.configuration,
        settings: source.settings.clone(),
        at: source.created_at,
    };
    transaction.execute(
        "INSERT INTO configurations (source, number, record) VALUES (?1, ?2, ?3)",
        params![
            source.id.as_str(),
            integer(source.configuration),
            row::json(&configuration)?
        ],
    )?;
    Ok(())
}

/// One item after the other, so that millions of them need no memory.
fn keep_documents(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut names = Names::default();
    let index = names.number(transaction, IndexName::default().as_str())?;
    let mut select =
        transaction.prepare(&format!("SELECT {COLUMNS} FROM items WHERE extract IS NOT NULL"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let item = row::read(transaction, &mut names, row)?;
        let reference = Reference::of(&item);
        if reference.body.is_some() {
            documents::refer(transaction, &mut names, index, &item.url, &reference)?;
        }
    }
    Ok(())
}
