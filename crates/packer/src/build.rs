use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use archive::{Archive, ArchiveError, PackVersion};
use extract::Extract;
use model::{Checksum, Host, SourceId, Timestamp};
use pack::{PackError, Page, Summary, Writer, WriterOptions};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use updates::{Applied, Change, LogError, UpdateLog};

use crate::collect::Collection;

/// Pages that wait for the writer; each chunk holds what one read of the log gave.
const CHUNKS_AHEAD: usize = 2;

/// A pack needs at most so many bytes per byte of a stored extract: text and index, and Zstandard shrank the extract.
const GROWTH: u64 = 12;

/// The pack's name in the folder that it is built in.
const PACK: &str = "pack.sqlite";

/// Why a host could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The update log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The pack could not be registered.
    #[error(transparent)]
    Catalog(#[from] catalog::CatalogError),
    /// The pack file could not be written or verified.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The disk has too little room.
    #[error(
        "building the pack needs {needs} bytes in {folder}, {free} are free; make room, the build then goes on"
    )]
    NoRoom {
        /// Bytes.
        needs: u64,
        /// Bytes.
        free: u64,
        /// Where packs are built.
        folder: String,
    },
    /// The folder could not be used.
    #[error("packs cannot be built in {folder}: {reason}")]
    Folder {
        /// Where packs are built.
        folder: String,
        /// Why not.
        reason: String,
    },
    /// The thread that writes the pack ended early.
    #[error("the build was torn down before it was done; it is tried again")]
    TornDown(#[source] JoinError),
    /// Other packers kept publishing packs of this host.
    #[error("other packers kept publishing packs of this host; run one packer per host")]
    Contended,
}

/// What packs are built from and with.
pub(crate) struct Builder<'a> {
    pub(crate) log: &'a UpdateLog,
    pub(crate) archive: &'a Archive,
    pub(crate) work_dir: &'a Path,
    pub(crate) generator: &'a str,
}

/// A pack that was built and verified and is not published.
pub(crate) struct Built {
    /// Holds the pack; goes when this is dropped.
    folder: TempDir,
    pub(crate) version: PackVersion,
    /// Pages whose extract was damaged or missing in the archive.
    pub(crate) left_out: u64,
}

impl Builder<'_> {
    /// Builds the pack of `host` from the newest record of each of its items. None where that would give the pack
    /// that `current` already is.
    pub(crate) async fn build(
        &self,
        host: &Host,
        sources: &BTreeSet<SourceId>,
        current: Option<&PackVersion>,
        now: Timestamp,
    ) -> Result<Option<Built>, BuildError> {
        let collection = Collection::read(self.log, host, sources).await?;
        let content = collection.digest();
        if current.is_some_and(|current| current.content == content) {
            return Ok(None);
        }
        let folder =
            TempDir::with_prefix_in("build-", self.work_dir).map_err(|error| self.folder_error(&error))?;
        let options = WriterOptions {
            generator: self.generator.to_owned(),
            crawl_started_at: collection.window.map(|(start, _)| start),
            crawl_ended_at: collection.window.map(|(_, end)| end),
            ..WriterOptions::new(host.clone(), now)
        };
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let target = folder.path().join(PACK);
        let writer = tokio::task::spawn_blocking(move || write(&target, &options, receiver));
        let fed = self.feed(&collection, host, sender).await;
        let summary = writer.await.map_err(BuildError::TornDown)?;
        let left_out = fed?;
        let summary = summary?;
        let version = version(&summary, content, now);
        Ok(Some(Built {
            folder,
            version,
            left_out,
        }))
    }

    /// Sends the pages to the writer and says how many could not be read.
    async fn feed(
        &self,
        collection: &Collection,
        host: &Host,
        sender: mpsc::Sender<Vec<Page>>,
    ) -> Result<u64, BuildError> {
        let mut left_out = 0;
        let mut pages = collection.pages_in_order(self.log, host);
        while let Some(applied) = pages.next().await? {
            let asked = applied.len() as u64;
            self.check_room(&applied)?;
            let chunk = self.read_pages(applied).await?;
            left_out += asked - chunk.len() as u64;
            if sender.send(chunk).await.is_err() {
                break; // The writer stopped; its own error says why.
            }
        }
        Ok(left_out)
    }

    async fn read_pages(&self, applied: Vec<Applied>) -> Result<Vec<Page>, BuildError> {
        let keys: Vec<_> = applied.iter().filter_map(extract_key).cloned().collect();
        let extracts = match self.archive.get_many(&keys).await {
            Ok(extracts) => extracts.into_iter().map(Some).collect(),
            Err(ArchiveError::NotFound { .. } | ArchiveError::Damaged { .. }) => {
                self.read_one_by_one(&keys).await?
            }
            Err(error) => return Err(error.into()),
        };
        let pages = applied.into_iter().zip(extracts);
        Ok(pages
            .filter_map(|(applied, extract)| page(applied, &extract?))
            .collect())
    }

    /// One damaged part must not keep the others out of the pack.
    async fn read_one_by_one(&self, keys: &[model::ArchiveKey]) -> Result<Vec<Option<Vec<u8>>>, BuildError> {
        let mut extracts = Vec::with_capacity(keys.len());
        for key in keys {
            extracts.push(match self.archive.get(key).await {
                Ok(extract) => Some(extract),
                Err(error @ (ArchiveError::NotFound { .. } | ArchiveError::Damaged { .. })) => {
                    tracing::error!(%error, "a page is left out of its pack; crawl its source again to restore it");
                    None
                }
                Err(error) => return Err(error.into()),
            });
        }
        Ok(extracts)
    }

    fn check_room(&self, next: &[Applied]) -> Result<(), BuildError> {
        let stored: u64 = next
            .iter()
            .filter_map(extract_key)
            .filter_map(archive::stored_bytes)
            .sum();
        let needs = stored.saturating_mul(GROWTH);
        let free = free_bytes(self.work_dir).map_err(|error| self.folder_error(&error))?;
        if free < needs {
            return Err(BuildError::NoRoom {
                needs,
                free,
                folder: self.work_dir.display().to_string(),
            });
        }
        Ok(())
    }

    fn folder_error(&self, error: &std::io::Error) -> BuildError {
        BuildError::Folder {
            folder: self.work_dir.display().to_string(),
            reason: error.to_string(),
        }
    }
}

impl Built {
    /// The pack file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(PACK)
    }
}

/// Writes what comes into a pack, then reads it as a search server would before it trusts it.
fn write(
    path: &Path,
    options: &WriterOptions,
    mut chunks: mpsc::Receiver<Vec<Page>>,
) -> Result<Summary, PackError> {
    let mut writer = Writer::create(path, options)?;
    while let Some(chunk) = chunks.blocking_recv() {
        for page in chunk {
            match writer.add(&page) {
                // Two sources hold the same address; the first one read is as good as the other.
                Ok(()) | Err(PackError::Duplicate(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let summary = writer.finish()?;
    pack::verify(path)?;
    Ok(summary)
}

fn version(summary: &Summary, content: Checksum, built_at: Timestamp) -> PackVersion {
    PackVersion {
        checksum: summary.checksum,
        content,
        size: summary.file_bytes,
        pages: summary.pages,
        passages: summary.passages,
        built_at,
    }
}

fn extract_key(applied: &Applied) -> Option<&model::ArchiveKey> {
    match &applied.change {
        Change::Upsert { extract, .. } => Some(extract),
        Change::Delete { .. } => None,
    }
}

fn page(applied: Applied, extract: &[u8]) -> Option<Page> {
    let Change::Upsert { url, checksum, .. } = applied.change else {
        return None;
    };
    match serde_json::from_slice::<Extract>(extract) {
        Ok(extract) => Some(Page {
            url,
            source: applied.source,
            item: applied.item,
            checksum,
            fetched_at: applied.at,
            extract,
        }),
        Err(error) => {
            tracing::error!(%url, %error, "an archived extract cannot be read; crawl its source again to restore it");
            None
        }
    }
}

fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
