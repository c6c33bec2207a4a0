//! Files on their way into the archive and out of it: packs, and what runs of scrapers leave.

use std::path::Path as FilePath;

use futures::StreamExt;
use model::{Checksum, Hasher, Host, RunId, ScraperId};
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::store::{Archive, ArchiveError, pack_path};

/// A piece of a file on its way up: 8 MiB, which is also what a multipart upload of S3 wants at least (5 MiB).
const UPLOAD_BYTES: usize = 8 << 20;

/// What is read of a received file at once.
const READ_BYTES: usize = 256 << 10;

/// What is kept of a scraper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artifact {
    /// A version of its data.
    Dataset(Checksum),
    /// Code that was sent, to stay.
    Upload(Checksum),
    /// Code that was sent to be run once.
    Sent(Checksum),
    /// The log of a run.
    Log(RunId),
    /// What a run said and heard.
    Cassette(RunId),
    /// A `data.sqlite` that could not be taken in.
    Rejected(RunId),
}

impl Artifact {
    fn path(&self, scraper: &ScraperId) -> Path {
        let (kind, name) = match self {
            Self::Dataset(checksum) => ("dataset", format!("{checksum}.sqlite")),
            Self::Upload(checksum) => ("upload", format!("{checksum}.tar")),
            Self::Sent(checksum) => ("sent", format!("{checksum}.tar")),
            Self::Log(run) => ("log", format!("{run}.zst")),
            Self::Cassette(run) => ("cassette", format!("{run}.cassette")),
            Self::Rejected(run) => ("rejected", format!("{run}.sqlite")),
        };
        Path::from_iter([
            "scraper",
            scraper.owner.as_str(),
            scraper.name.as_str(),
            kind,
            &name,
        ])
    }

    fn checksum(&self) -> Option<&Checksum> {
        match self {
            Self::Dataset(checksum) | Self::Upload(checksum) | Self::Sent(checksum) => Some(checksum),
            Self::Log(_) | Self::Cassette(_) | Self::Rejected(_) => None,
        }
    }
}

impl Archive {
    /// Stores the pack in the file at `from` under its checksum; nothing is sent where it is there already.
    pub async fn put_pack(
        &self,
        host: &Host,
        checksum: &Checksum,
        from: &FilePath,
    ) -> Result<(), ArchiveError> {
        self.put_file(&pack_path(host, checksum), from).await
    }

    /// Keeps the file at `from` as `artifact` of `scraper`; nothing is sent where one of its size is there already.
    pub async fn put_artifact(
        &self,
        scraper: &ScraperId,
        artifact: &Artifact,
        from: &FilePath,
    ) -> Result<(), ArchiveError> {
        self.put_file(&artifact.path(scraper), from).await
    }

    /// Brings an artifact into the file at `to`, which appears whole or not at all, and with the right checksum where it is named by one. Where the archive is a
    /// folder on the same disk, the file is the archive's own by a second name: never write to it.
    pub async fn fetch_artifact(
        &self,
        scraper: &ScraperId,
        artifact: &Artifact,
        to: &FilePath,
    ) -> Result<(), ArchiveError> {
        self.fetch_file(&artifact.path(scraper), artifact.checksum(), to)
            .await
    }

    /// Whether this artifact is here.
    pub async fn has_artifact(&self, scraper: &ScraperId, artifact: &Artifact) -> Result<bool, ArchiveError> {
        let path = artifact.path(scraper);
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(&format!("look for {path}"), error)),
        }
    }

    /// Removes an artifact; nothing where there is none.
    pub async fn delete_artifact(
        &self,
        scraper: &ScraperId,
        artifact: &Artifact,
    ) -> Result<(), ArchiveError> {
        self.delete(&artifact.path(scraper)).await
    }

    async fn put_file(&self, path: &Path, from: &FilePath) -> Result<(), ArchiveError> {
        let failed = |error: std::io::Error| self.failed(&format!("read {}", from.display()), error);
        let mut file = tokio::fs::File::open(from).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        if self.store.head(path).await.is_ok_and(|meta| meta.size == size) {
            return Ok(());
        }
        let store_failed = |error: object_store::Error| self.failed(&format!("write {path}"), error);
        let upload = self.store.put_multipart(path).await.map_err(store_failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, UPLOAD_BYTES);
        let mut buffer = vec![0; UPLOAD_BYTES];
        loop {
            let read = file.read(&mut buffer).await.map_err(failed)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            upload.wait_for_capacity(2).await.map_err(store_failed)?;
            upload.write(piece);
        }
        upload.finish().await.map_err(store_failed)?;
        Ok(())
    }

    /// Brings a pack into the file at `to`, which appears whole and with the right checksum, or not at all.
    pub async fn fetch_pack(
        &self,
        host: &Host,
        checksum: &Checksum,
        to: &FilePath,
    ) -> Result<(), ArchiveError> {
        self.fetch_file(&pack_path(host, checksum), Some(checksum), to)
            .await
    }

    async fn fetch_file(
        &self,
        path: &Path,
        checksum: Option<&Checksum>,
        to: &FilePath,
    ) -> Result<(), ArchiveError> {
        let failed = |error: std::io::Error| self.failed(&format!("write {}", to.display()), error);
        // A folder of its own, on the same disk: several may fetch one object to one place, and one that is linked must never be written to.
        let near = to.parent().filter(|near| !near.as_os_str().is_empty());
        let near = near.unwrap_or(FilePath::new("."));
        let folder = tempfile::Builder::new().prefix(".fetching-").tempdir_in(near);
        let folder = folder.map_err(failed)?;
        let partial = folder.path().join("partial");
        self.receive(path, &partial).await?;
        if let Some(checksum) = checksum {
            self.check(path, checksum, &partial).await?;
        }
        // Who comes second replaces a file by the same bytes.
        tokio::fs::rename(&partial, to).await.map_err(failed)
    }

    /// Brings an object into a file: from a bucket over many connections, from the same disk as a second name.
    async fn receive(&self, path: &Path, to: &FilePath) -> Result<(), ArchiveError> {
        if let Some(bucket) = &self.bucket {
            return bucket
                .save(path.as_ref(), to)
                .await
                .map_err(|error| self.unfetched(error));
        }
        if self.link(path, to) {
            return Ok(());
        }
        let answer = self.store.get(path).await;
        let mut pieces = answer
            .map_err(|error| self.unreadable(path.as_ref(), error))?
            .into_stream();
        let failed = |error: std::io::Error| self.failed(&format!("write {}", to.display()), error);
        let mut file = tokio::fs::File::create_new(to).await.map_err(failed)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.failed(&format!("read {path}"), error))?;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)
    }

    /// Reads what was received and compares it with its name.
    async fn check(&self, path: &Path, checksum: &Checksum, file: &FilePath) -> Result<(), ArchiveError> {
        let failed = |error: std::io::Error| self.failed(&format!("read {}", file.display()), error);
        let received = file.to_owned();
        let hashed = tokio::task::spawn_blocking(move || checksum_of(&received)).await;
        let found = hashed.map_err(std::io::Error::other).flatten().map_err(failed)?;
        match found == *checksum {
            true => Ok(()),
            false => Err(self.damaged(path.as_ref(), "its checksum is not the one in its name")),
        }
    }

    /// Objects never change, so a second name for one is as good as a copy, and takes no room.
    fn link(&self, path: &Path, to: &FilePath) -> bool {
        let Some(folder) = &self.folder else { return false };
        std::fs::hard_link(folder.join(path.as_ref()), to).is_ok()
    }
}

/// The checksum of a file's bytes.
///
/// # Errors
///
/// When it cannot be read.
pub fn checksum_of(file: &FilePath) -> std::io::Result<Checksum> {
    let mut file = std::fs::File::open(file)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok(hasher.finish());
        };
        hasher.update(piece);
    }
}
