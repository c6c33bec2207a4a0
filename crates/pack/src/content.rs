//! The pages and passages of a pack that is being written.

use std::collections::BTreeMap;
use std::path::Path;

use model::{Checksum, SourceId, Timestamp};
use rusqlite::{Connection, ErrorCode, params};

use crate::index::{IndexOptions, Indexer, Row};
use crate::terms::{Stems, index_terms};
use crate::{FORMAT_VERSION, Meta, ORDINAL_BITS, PackError, Page, SourceDigest, WriterOptions, schema};

/// Bytes that a title, heading or passage may have; far above what extraction produces.
const MAX_FIELD_BYTES: usize = 1 << 16;

/// Four leaves of the index fill a page of the database; it is what FTS5 uses by default, so that it can go on from there.
const LEAF_BYTES: usize = 4050;

/// Text that is inverted in one go.
const BLOCK_BYTES: usize = 2 << 20;

/// The database under construction and the sums over what is in it.
pub(crate) struct Content {
    connection: Connection,
    stems: Stems,
    meta: Meta,
    sources: BTreeMap<SourceId, (u64, [u8; 32])>,
    indexer: Indexer,
}

impl Content {
    /// Makes the empty file at `path` a database with our tables.
    pub(crate) fn create(path: &Path, options: &WriterOptions) -> Result<Self, PackError> {
        let connection = Connection::open(path)?;
        tune(&connection)?;
        schema::create(&connection)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self {
            connection,
            stems: Stems::new()?,
            meta: empty(options),
            sources: BTreeMap::new(),
            indexer: Indexer::new(index_options(options))?,
        })
    }

    /// Adds a page and its passages.
    pub(crate) fn add(&mut self, page: &Page) -> Result<(), PackError> {
        check_limits(page)?;
        let id = i64::try_from(self.meta.pages + 1).unwrap_or(i64::MAX >> ORDINAL_BITS);
        self.insert_page(id, page)?;
        self.insert_passages(id, page)?;
        self.count(page);
        Ok(())
    }

    /// Makes the database behave as on a disk with room for `pages` pages.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) -> Result<(), PackError> {
        Ok(self.connection.pragma_update(None, "max_page_count", pages)?)
    }

    fn insert_page(&self, id: i64, page: &Page) -> Result<(), PackError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO pages(id, url, source, item, title, description, language, content_type, checksum,
               published_at, modified_at, fetched_at, passages, truncated)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        let extract = &page.extract;
        let inserted = insert.execute(params![
            id,
            page.url.as_str(),
            page.source.as_str(),
            page.item.as_str(),
            extract.title,
            extract.description,
            extract.language,
            extract.content_type,
            page.checksum.to_string(),
            extract.published_at.map(millis),
            extract.modified_at.map(millis),
            millis(page.fetched_at),
            extract.passages.len() as i64,
            extract.truncated,
        ]);
        match inserted {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(PackError::Duplicate(page.url.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn insert_passages(&mut self, page_id: i64, page: &Page) -> Result<(), PackError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO passages(id, page_id, heading, anchor, pdf_page, text, terms)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let language = page.extract.language.as_deref();
        for (id, passage) in (page_id << ORDINAL_BITS..).zip(&page.extract.passages) {
            let fields = [&page.extract.title, &passage.heading, &passage.text].map(String::as_str);
            let terms = index_terms(language, &fields, &mut self.stems);
            insert.execute(params![
                id,
                page_id,
                passage.heading,
                passage.anchor,
                passage.pdf_page,
                passage.text,
                terms
            ])?;
            let [title, heading, text] = fields;
            self.indexer.add(
                &Row {
                    id,
                    fields: [title, heading, text, &terms],
                },
                &self.connection,
            )?;
        }
        Ok(())
    }

    fn count(&mut self, page: &Page) {
        let extract = &page.extract;
        let bytes = |passage: &extract::Passage| passage.heading.len() + passage.text.len();
        self.meta.pages += 1;
        self.meta.passages += extract.passages.len() as u64;
        self.meta.text_bytes +=
            (extract.title.len() + extract.passages.iter().map(bytes).sum::<usize>()) as u64;
        *self
            .meta
            .languages
            .entry(extract.language.clone().unwrap_or_default())
            .or_default() += 1;
        let (pages, digest) = self.sources.entry(page.source.clone()).or_default();
        *pages += 1;
        let of_page = Checksum::of(format!("{}\n{}\n", page.url, page.checksum).as_bytes());
        digest
            .iter_mut()
            .zip(of_page.as_bytes())
            .for_each(|(sum, byte)| *sum ^= byte);
    }

    /// Builds the index, writes the table `meta` and closes the file.
    pub(crate) fn finish(mut self) -> Result<Meta, PackError> {
        let digests = std::mem::take(&mut self.sources);
        self.meta.sources = digests
            .into_iter()
            .map(|(source, (pages, digest))| SourceDigest {
                source,
                pages,
                checksum: Checksum::from_bytes(digest),
            })
            .collect();
        self.indexer.finish(&self.connection)?;
        self.meta.write(&self.connection)?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(self.meta)
    }
}

/// A private file needs no journal, no lock and no sync: if anything fails, it is removed.
fn tune(connection: &Connection) -> Result<(), PackError> {
    connection.execute_batch(
        "PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(())
}

fn index_options(options: &WriterOptions) -> IndexOptions {
    IndexOptions {
        threads: options.threads,
        memory_bytes: options.memory_bytes,
        leaf_bytes: LEAF_BYTES,
        block_bytes: BLOCK_BYTES,
    }
}

fn empty(options: &WriterOptions) -> Meta {
    Meta {
        format: FORMAT_VERSION,
        generator: options.generator.clone(),
        host: options.host.clone(),
        built_at: options.built_at,
        crawl_started_at: options.crawl_started_at,
        crawl_ended_at: options.crawl_ended_at,
        pages: 0,
        passages: 0,
        text_bytes: 0,
        languages: BTreeMap::new(),
        sources: Vec::new(),
    }
}

fn check_limits(page: &Page) -> Result<(), PackError> {
    let extract = &page.extract;
    let too_large = |reason: String| {
        Err(PackError::TooLarge {
            url: page.url.clone(),
            reason,
        })
    };
    if extract.passages.len() > extract::MAX_PASSAGES {
        return too_large(format!("it has more than {} passages", extract::MAX_PASSAGES));
    }
    let fields = extract
        .passages
        .iter()
        .flat_map(|passage| [&passage.heading, &passage.text]);
    if fields
        .chain([&extract.title, &extract.description])
        .any(|field| field.len() > MAX_FIELD_BYTES)
    {
        return too_large(format!("a field of it is longer than {MAX_FIELD_BYTES} bytes"));
    }
    Ok(())
}

/// As SQLite stores it.
fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
