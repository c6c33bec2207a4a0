use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use model::{Checksum, Hasher, Host, Timestamp};
use tempfile::TempPath;

use crate::content::Content;
use crate::{Meta, PackError, Page};

/// Makes one pack file.
///
/// The pack grows in a private temporary file beside its place and appears there, whole, when [`finish`](Self::finish)
/// returns. A writer that is dropped before leaves nothing behind. Nothing is forced to the disk: after a power failure
/// a fresh pack may be damaged, which [`verify`](crate::verify) tells.
pub struct Writer {
    target: PathBuf,
    replaces: bool,
    file: TempPath,
    content: Content,
    failed: bool,
}

/// What a pack is to say about itself, and what building it may use.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// The host that it is about.
    pub host: Host,
    /// The program that writes it, such as `haul 0.1.0`.
    pub generator: String,
    /// When it is written.
    pub built_at: Timestamp,
    /// Start of the crawl that it comes from, where that is one.
    pub crawl_started_at: Option<Timestamp>,
    /// End of that crawl.
    pub crawl_ended_at: Option<Timestamp>,
    /// Threads that index, beside the one that adds pages.
    pub threads: NonZeroUsize,
    /// Memory that the index may take before a part of it is written, in bytes. A pack whose index is larger (about 0.4
    /// times its text) is searched a little more slowly. Text in work takes up to 100 MB more.
    pub memory_bytes: usize,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Pages in the pack.
    pub pages: u64,
    /// Passages in it.
    pub passages: u64,
    /// Bytes of indexed text: titles once per page, headings and text once per passage.
    pub text_bytes: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// SHA-256 of the file.
    pub checksum: Checksum,
}

impl WriterOptions {
    /// Options for a pack of `host`, written now by this version of Haul, that no single crawl filled.
    pub fn new(host: Host, built_at: Timestamp) -> Self {
        let generator = concat!("haul ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            host,
            generator,
            built_at,
            crawl_started_at: None,
            crawl_ended_at: None,
            threads: NonZeroUsize::MIN.saturating_add(1),
            memory_bytes: 256 << 20,
        }
    }
}

impl Writer {
    /// Begins a pack that is to stand at `path`.
    ///
    /// # Errors
    ///
    /// [`PackError::Exists`] when something stands there, now or when the pack is finished; [`PackError::Io`] when the
    /// folder cannot be written.
    pub fn create(path: &Path, options: &WriterOptions) -> Result<Self, PackError> {
        if path.symlink_metadata().is_ok() {
            return Err(PackError::Exists(path.to_owned()));
        }
        Self::begin(path, options, false)
    }

    /// Begins a pack that takes the place of what stands at `path`, if anything, when it is finished. Who has the old
    /// file open keeps reading it.
    ///
    /// # Errors
    ///
    /// [`PackError::Io`] when the folder cannot be written.
    pub fn replace(path: &Path, options: &WriterOptions) -> Result<Self, PackError> {
        Self::begin(path, options, true)
    }

    fn begin(path: &Path, options: &WriterOptions, replaces: bool) -> Result<Self, PackError> {
        let file = temporary_beside(path)?;
        let content = Content::create(&file, options)?;
        Ok(Self {
            target: path.to_owned(),
            replaces,
            file,
            content,
            failed: false,
        })
    }

    /// Adds a page. Pages get their ids in the order in which they are added, from 1.
    ///
    /// # Errors
    ///
    /// [`PackError::Duplicate`] and [`PackError::TooLarge`] leave the pack as it was; after any other the pack cannot be
    /// finished.
    pub fn add(&mut self, page: &Page) -> Result<(), PackError> {
        if self.failed {
            return Err(PackError::Unfinished);
        }
        let added = self.content.add(page);
        self.failed = !matches!(
            added,
            Ok(()) | Err(PackError::Duplicate(_) | PackError::TooLarge { .. })
        );
        added
    }

    /// Completes the index, and puts the pack in its place.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create); [`PackError::Unfinished`] after an [`add`](Self::add) that failed.
    pub fn finish(self) -> Result<Summary, PackError> {
        if self.failed {
            return Err(PackError::Unfinished);
        }
        let meta = self.content.finish()?;
        let summary = summarize(&meta, &self.file)?;
        if self.replaces {
            self.file.persist(&self.target).map_err(|error| error.error)?;
        } else {
            self.file
                .persist_noclobber(&self.target)
                .map_err(|error| exists_or_io(error, &self.target))?;
        }
        Ok(summary)
    }
}

fn temporary_beside(path: &Path) -> Result<TempPath, PackError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".building-").suffix(".pack");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file, which the process's umask narrows: packs are read by other users' processes.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}

fn exists_or_io(error: tempfile::PathPersistError, target: &Path) -> PackError {
    match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => PackError::Exists(target.to_owned()),
        _ => PackError::Io(error.error),
    }
}

fn summarize(meta: &Meta, file: &Path) -> Result<Summary, PackError> {
    let (checksum, file_bytes) = digest(file)?;
    Ok(Summary {
        pages: meta.pages,
        passages: meta.passages,
        text_bytes: meta.text_bytes,
        file_bytes,
        checksum,
    })
}

fn digest(file: &Path) -> Result<(Checksum, u64), PackError> {
    use std::io::Read;
    let mut file = std::fs::File::open(file)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher.finish(), length));
        }
        hasher.update(&buffer[..read]);
        length += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use extract::{Extract, Passage};
    use model::{ItemId, PageUrl, SourceId};

    fn page(number: usize) -> Page {
        let url = PageUrl::parse(&format!("https://example.gov/{number}")).unwrap();
        let passage = Passage {
            text: format!("word{number} ").repeat(400),
            ..Passage::default()
        };
        Page {
            source: SourceId::new("a").unwrap(),
            item: ItemId::new(url.as_str()).unwrap(),
            checksum: Checksum::of(b""),
            fetched_at: Timestamp::default(),
            extract: Extract {
                passages: vec![passage],
                ..Extract::default()
            },
            url,
        }
    }

    /// Builds a pack on a disk that is full after so many pages of the database.
    fn build(folder: &Path, pages: u32) -> Result<Summary, PackError> {
        let options = WriterOptions::new(Host::new("example.gov").unwrap(), Timestamp::default());
        let mut writer = Writer::create(&folder.join("a.pack"), &options)?;
        writer.content.limit_pages(pages)?;
        for number in 0..100 {
            if let Err(error) = writer.add(&page(number)) {
                assert!(matches!(writer.add(&page(number)), Err(PackError::Unfinished)));
                assert!(matches!(writer.finish(), Err(PackError::Unfinished)));
                return Err(error);
            }
        }
        writer.finish()
    }

    #[test]
    fn a_full_disk_is_an_error_wherever_it_strikes_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut pages = 15;
        while let Err(error) = build(folder.path(), pages) {
            let code = match &error {
                PackError::Database(error) => error.sqlite_error_code(),
                _ => None,
            };
            assert_eq!(
                code,
                Some(rusqlite::ErrorCode::DiskFull),
                "{pages} pages: {error}"
            );
            assert_eq!(
                std::fs::read_dir(folder.path()).unwrap().count(),
                0,
                "{pages} pages"
            );
            pages += 1;
        }
        assert!(pages > 30, "{pages}");
        crate::verify(&folder.path().join("a.pack")).unwrap();
    }
}
