//! Items as rows and back.

use model::{ArchiveKey, Checksum, CrawlId, ItemId, PageUrl, SourceId, Timestamp, Version};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Statement};
use serde::{Deserialize, Serialize};

use super::names::Names;
use super::{integer, natural};
use crate::records::{Disposition, Item, ItemError, ItemState, Lease, Orphan, Revision, Ruling};

/// The columns in the order in which rows are read and written.
pub(super) const COLUMNS: &str = "source, id, url, scope, crawl, state, revision, version, configuration, \
    seen_crawl_at, first_seen_at, last_updated, next_attempt_at, lease_owner, lease_epoch, lease_until, epoch, \
    retry_count, consecutive_failures, checksum, disposition, content, extract, etag, last_modified, parent, \
    depth, rare";

/// What few items have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rare {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<ItemError>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<ItemId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    orphan: Option<Orphan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ruling: Option<Ruling>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unread: Option<Version>,
}

/// The names of an item as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) source: i64,
    pub(super) scope: i64,
    pub(super) crawl: i64,
}

/// The states as they are stored; never renumber them.
const STATES: [ItemState; 10] = [
    ItemState::Pending,
    ItemState::InFlight,
    ItemState::Success,
    ItemState::Unchanged,
    ItemState::Failure,
    ItemState::Escalated,
    ItemState::OrphanCandidate,
    ItemState::Deleting,
    ItemState::Deleted,
    ItemState::Ignored,
];

pub(super) fn state_number(state: ItemState) -> i64 {
    STATES
        .iter()
        .position(|stored| *stored == state)
        .map_or(-1, |at| at as i64)
}

pub(super) fn state_of(column: usize, number: i64) -> rusqlite::Result<ItemState> {
    let state = usize::try_from(number).ok().and_then(|at| STATES.get(at));
    state
        .copied()
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Binds every column of [`COLUMNS`], from the first parameter on.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    item: &Item,
    numbers: Numbers,
    revision: Revision,
) -> rusqlite::Result<()> {
    let url = Some(item.url.as_str()).filter(|url| *url != item.id.as_str());
    let lease = item.lease.as_ref();
    statement.raw_bind_parameter(1, numbers.source)?;
    statement.raw_bind_parameter(2, item.id.as_str())?;
    statement.raw_bind_parameter(3, url)?;
    statement.raw_bind_parameter(4, numbers.scope)?;
    statement.raw_bind_parameter(5, numbers.crawl)?;
    statement.raw_bind_parameter(6, state_number(item.state))?;
    statement.raw_bind_parameter(7, integer(revision.0))?;
    statement.raw_bind_parameter(8, integer(item.version.as_u64()))?;
    statement.raw_bind_parameter(9, integer(item.configuration))?;
    statement.raw_bind_parameter(10, millis(item.seen_crawl_at))?;
    statement.raw_bind_parameter(11, millis(item.first_seen_at))?;
    statement.raw_bind_parameter(12, item.last_updated.map(millis))?;
    statement.raw_bind_parameter(13, millis(item.next_attempt_at))?;
    statement.raw_bind_parameter(14, lease.map(|lease| lease.owner.as_str()))?;
    statement.raw_bind_parameter(15, lease.map(|lease| integer(lease.epoch)))?;
    statement.raw_bind_parameter(16, lease.map(|lease| millis(lease.until)))?;
    statement.raw_bind_parameter(17, integer(item.epoch))?;
    statement.raw_bind_parameter(18, item.retry_count)?;
    statement.raw_bind_parameter(19, item.consecutive_failures)?;
    statement.raw_bind_parameter(
        20,
        item.checksum
            .as_ref()
            .map(|checksum| checksum.as_bytes().as_slice()),
    )?;
    statement.raw_bind_parameter(21, item.disposition.as_ref().map(json).transpose()?)?;
    statement.raw_bind_parameter(22, item.content.as_ref().map(ArchiveKey::as_str))?;
    statement.raw_bind_parameter(23, item.extract.as_ref().map(ArchiveKey::as_str))?;
    statement.raw_bind_parameter(24, item.etag.as_deref())?;
    statement.raw_bind_parameter(25, item.last_modified.as_deref())?;
    statement.raw_bind_parameter(26, item.parent.as_ref().map(ItemId::as_str))?;
    statement.raw_bind_parameter(27, item.depth)?;
    statement.raw_bind_parameter(28, rare(item)?)
}

/// As [`bind`], with the number of the row to update as the last parameter.
pub(super) fn bind_update(
    statement: &mut Statement<'_>,
    item: &Item,
    numbers: Numbers,
    revision: Revision,
    row: i64,
) -> rusqlite::Result<()> {
    bind(statement, item, numbers, revision)?;
    statement.raw_bind_parameter(29, row)
}

fn rare(item: &Item) -> rusqlite::Result<Option<String>> {
    let rare = Rare {
        last_error: item.last_error.clone(),
        aliases: item.aliases.clone(),
        orphan: item.orphan.clone(),
        ruling: item.ruling.clone(),
        unread: item.unread,
    };
    if rare == Rare::default() {
        return Ok(None);
    }
    json(&rare).map(Some)
}

/// An item from a row of [`COLUMNS`].
pub(super) fn read(connection: &Connection, names: &mut Names, row: &Row<'_>) -> rusqlite::Result<Item> {
    let id: String = row.get(1)?;
    let url = row.get::<_, Option<String>>(2)?.unwrap_or_else(|| id.clone());
    let rare = row.get::<_, Option<String>>(27)?;
    let rare: Rare = rare.map_or_else(
        || Ok(Rare::default()),
        |text| parsed(27, serde_json::from_str(&text)),
    )?;
    Ok(Item {
        source: parsed(0, SourceId::new(names.text(connection, row.get(0)?)?))?,
        id: parsed(1, ItemId::new(id))?,
        url: parsed(2, PageUrl::parse(&url))?,
        scope: names.text(connection, row.get(3)?)?,
        crawl: parsed(4, CrawlId::new(names.text(connection, row.get(4)?)?))?,
        state: state_of(5, row.get(5)?)?,
        revision: Revision(natural(row.get(6)?)),
        version: Version::from_u64(natural(row.get(7)?)),
        configuration: natural(row.get(8)?),
        seen_crawl_at: timestamp(row.get(9)?),
        first_seen_at: timestamp(row.get(10)?),
        last_updated: row.get::<_, Option<i64>>(11)?.map(timestamp),
        next_attempt_at: timestamp(row.get(12)?),
        lease: lease(row)?,
        epoch: natural(row.get(16)?),
        retry_count: row.get(17)?,
        consecutive_failures: row.get(18)?,
        checksum: row.get::<_, Option<[u8; 32]>>(19)?.map(Checksum::from_bytes),
        disposition: disposition(row)?,
        content: archive_key(row, 21)?,
        extract: archive_key(row, 22)?,
        etag: row.get(23)?,
        last_modified: row.get(24)?,
        parent: row
            .get::<_, Option<String>>(25)?
            .map(|id| parsed(25, ItemId::new(id)))
            .transpose()?,
        depth: row.get(26)?,
        aliases: rare.aliases,
        last_error: rare.last_error,
        orphan: rare.orphan,
        ruling: rare.ruling,
        unread: rare.unread,
    })
}

fn lease(row: &Row<'_>) -> rusqlite::Result<Option<Lease>> {
    let Some(owner) = row.get(13)? else {
        return Ok(None);
    };
    Ok(Some(Lease {
        owner,
        epoch: natural(row.get(14)?),
        until: timestamp(row.get(15)?),
    }))
}

fn disposition(row: &Row<'_>) -> rusqlite::Result<Option<Disposition>> {
    let text: Option<String> = row.get(20)?;
    text.map(|text| parsed(20, serde_json::from_str(&text)))
        .transpose()
}

fn archive_key(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ArchiveKey>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| parsed(column, ArchiveKey::new(text))).transpose()
}

/// A value that was checked when it was written: that it no longer parses means that the file is damaged.
pub(super) fn parsed<T, E>(column: usize, value: Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

pub(super) fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn millis(at: Timestamp) -> i64 {
    integer(at.as_millis())
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(natural(millis))
}
