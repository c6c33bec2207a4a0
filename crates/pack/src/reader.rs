use std::path::Path;

use extract::{Extract, Passage};
use model::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{Meta, ORDINAL_BITS, PackError, Page, guard};

/// A pack that is open for reading.
///
/// The file is taken to be immutable: it may be unlinked or replaced while it is open, and must not be changed. One
/// `Pack` is one connection, for one thread at a time; open the file several times to query in parallel.
pub struct Pack {
    connection: Connection,
    meta: Meta,
}

impl Pack {
    /// Opens the pack at `path`, and checks that its layout is ours. That reads a few kilobytes; to check the
    /// content of a file that comes from elsewhere, [`verify`](crate::verify) it first.
    ///
    /// # Errors
    ///
    /// [`PackError::Io`] when it cannot be read, [`PackError::NotAPack`], [`PackError::NewerFormat`],
    /// [`PackError::Corrupt`].
    pub fn open(path: &Path) -> Result<Self, PackError> {
        let connection = guard::open(path)?;
        let meta = guard::check_layout(&connection)?;
        Ok(Self { connection, meta })
    }

    /// What the pack says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The read-only connection, for queries of the tables that the [crate](crate) describes.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ids of the next pages after `after` (0 for the first), at most `limit`, ascending.
    ///
    /// # Errors
    ///
    /// When the file is damaged.
    pub fn page_ids(&self, after: i64, limit: u32) -> Result<Vec<i64>, PackError> {
        let sql = "SELECT id FROM pages WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let ids = statement.query_map([after, i64::from(limit)], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// A page as it was added; none where there is no such id.
    ///
    /// # Errors
    ///
    /// When the file is damaged.
    pub fn page(&self, id: i64) -> Result<Option<Page>, PackError> {
        let sql =
            "SELECT url, source, item, checksum, fetched_at, title, description, language, content_type,
                     published_at, modified_at, truncated
                   FROM pages WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let Some(mut page) = statement.query_row([id], page_of_row).optional()? else {
            return Ok(None);
        };
        page.extract.passages = self.passages(id)?;
        Ok(Some(page))
    }

    fn passages(&self, page: i64) -> Result<Vec<Passage>, PackError> {
        let sql =
            "SELECT heading, anchor, pdf_page, text FROM passages WHERE id >= ?1 AND id < ?2 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let first = |page: i64| page.saturating_mul(1 << ORDINAL_BITS);
        let passages = statement.query_map([first(page), first(page.saturating_add(1))], |row| {
            Ok(Passage {
                heading: row.get(0)?,
                anchor: row.get(1)?,
                pdf_page: row.get(2)?,
                text: row.get(3)?,
            })
        })?;
        Ok(passages.collect::<Result<_, _>>()?)
    }
}

fn page_of_row(row: &Row<'_>) -> rusqlite::Result<Page> {
    Ok(Page {
        url: parsed(row, 0, model::PageUrl::parse)?,
        source: parsed(row, 1, |text| model::SourceId::new(text))?,
        item: parsed(row, 2, |text| model::ItemId::new(text))?,
        checksum: parsed(row, 3, str::parse)?,
        fetched_at: time(row, 4)?.unwrap_or_default(),
        extract: Extract {
            title: row.get(5)?,
            description: row.get(6)?,
            language: row.get(7)?,
            content_type: row.get(8)?,
            published_at: time(row, 9)?,
            modified_at: time(row, 10)?,
            truncated: row.get(11)?,
            passages: Vec::new(),
        },
    })
}

/// A column that holds the text of a checked type.
fn parsed<T, E>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    parse(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let millis: Option<i64> = row.get(column)?;
    Ok(millis.map(|millis| Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))))
}
