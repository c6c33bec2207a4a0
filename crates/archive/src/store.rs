use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use model::{ArchiveKey, Checksum, Host};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use url::Url;

use crate::bucket::{Bucket, FetchError};
use crate::bundle::{Bundle, Kind, Part, decompress};
use crate::manifest::{Manifest, Swap};

/// A part is at most this large when decompressed: 1 GiB.
pub const MAX_PART_BYTES: u64 = 1 << 30;

/// Why the archive did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// There is no such thing in the archive.
    #[error("{what} is not in the archive at {place}")]
    NotFound {
        /// The key or object.
        what: String,
        /// The archive.
        place: String,
    },
    /// What was read is not what was written.
    #[error("{what} in the archive at {place} is damaged: {reason}")]
    Damaged {
        /// The key or object.
        what: String,
        /// The archive.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address of the archive is not understood.
    #[error("{0:?} is not the address of an archive: use file:///folder, s3://bucket/prefix or memory:///")]
    InvalidAddress(String),
    /// The server overwrites where it was asked to create only: manifests would get lost.
    #[error(
        "the archive at {0} ignores conditional writes (If-None-Match), so two packers could overwrite each other; \
         use a server that honours them"
    )]
    Unconditional(String),
    /// The store failed.
    #[error("the archive at {place} could not {what}: {source}")]
    Store {
        /// What was tried.
        what: String,
        /// The archive.
        place: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One archive: a folder, a bucket prefix or memory. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    pub(crate) store: Arc<dyn ObjectStore>,
    place: String,
    /// Where the archive is a folder of this machine.
    pub(crate) folder: Option<PathBuf>,
    /// Where it is a bucket: what objects are fetched with.
    pub(crate) bucket: Option<Arc<Bucket>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Archive({})", self.place)
    }
}

impl Archive {
    /// Opens the archive at `address`: `file:///folder` (made where it is missing), `s3://bucket/prefix` or
    /// `memory:///`. `options` are the store's own, by the names that `object_store` gives them, such as
    /// `aws_endpoint` or `aws_secret_access_key`; unknown ones are ignored, so a process's whole environment will do.
    ///
    /// # Errors
    ///
    /// When the address is not understood or the folder cannot be made.
    pub fn open<I, K, V>(address: &str, options: I) -> Result<Self, ArchiveError>
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<str>,
        V: Into<String>,
    {
        let url = Url::parse(address).map_err(|_| ArchiveError::InvalidAddress(address.to_owned()))?;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ArchiveError::Store {
            what: "be opened".into(),
            place: address.to_owned(),
            source,
        };
        let options: Vec<(String, String)> = options
            .into_iter()
            .map(|(name, value)| (name.as_ref().to_owned(), value.into()))
            .collect();
        if url.scheme() == "file" {
            let folder = url
                .to_file_path()
                .map_err(|()| ArchiveError::InvalidAddress(address.to_owned()))?;
            std::fs::create_dir_all(&folder).map_err(|error| failed(error.into()))?;
            let local = LocalFileSystem::new_with_prefix(&folder).map_err(|error| failed(error.into()))?;
            let store = Arc::new(local.with_automatic_cleanup(true));
            return Ok(Self {
                store,
                place: address.to_owned(),
                folder: Some(folder),
                bucket: None,
            });
        }
        let opened = object_store::parse_url_opts(&url, options.iter().cloned());
        let (store, prefix) = opened.map_err(|error| failed(error.into()))?;
        let bucket = match url.scheme() {
            "memory" => None,
            _ => Some(Bucket::open(address, options).map_err(|error| failed(error.into()))?),
        };
        Ok(Self {
            store: Arc::new(PrefixStore::new(store, prefix)),
            place: address.to_owned(),
            folder: None,
            bucket: bucket.map(Arc::new),
        })
    }

    /// An archive in the memory of this process.
    pub fn memory() -> Self {
        Self {
            store: Arc::new(object_store::memory::InMemory::new()),
            place: "memory:///".into(),
            folder: None,
            bucket: None,
        }
    }

    /// The address that it was opened with.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Writes and reads a small object and checks that "create only if absent" is honoured.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unconditional`] where the server overwrites, [`ArchiveError::Store`] where it cannot be
    /// written or read.
    pub async fn probe(&self) -> Result<(), ArchiveError> {
        let path = Path::from("probe");
        let create = || {
            self.store
                .put_opts(&path, Bytes::from_static(b"haul").into(), PutMode::Create.into())
        };
        match create().await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(self.failed("write a test object", error)),
        }
        match create().await {
            Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Ok(_) => Err(ArchiveError::Unconditional(self.place.clone())),
            Err(error) => Err(self.failed("write a test object", error)),
        }
    }

    /// Stores `parts` as one object and says where each lies, in their order. All of them are there, or none.
    pub async fn put_bundle(&self, kind: Kind, parts: Vec<Vec<u8>>) -> Result<Vec<ArchiveKey>, ArchiveError> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let encoded = tokio::task::spawn_blocking(move || Bundle::of(kind, &parts)).await;
        let bundle = encoded
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| self.failed("compress a bundle", error))?;
        let path = Path::from(bundle.object.as_str());
        let written = self.store.put(&path, bundle.bytes.into()).await;
        written.map_err(|error| self.failed(&format!("write {path}"), error))?;
        Ok(bundle.keys)
    }

    /// The bytes that were stored under `key`.
    pub async fn get(&self, key: &ArchiveKey) -> Result<Vec<u8>, ArchiveError> {
        let mut parts = self.get_many(std::slice::from_ref(key)).await?;
        parts.pop().ok_or_else(|| self.not_found(key.as_str()))
    }

    /// What was stored under each of `keys`, in their order. Keys that follow each other in one object are one read,
    /// so ask for neighbours together; everything asked for is in memory at once.
    pub async fn get_many(&self, keys: &[ArchiveKey]) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let parts = keys.iter().map(|key| {
            let damaged = || self.damaged(key.as_str(), "the key has no object#offset+length");
            Part::parse(key).ok_or_else(damaged)
        });
        let parts: Vec<Part> = parts.collect::<Result<_, _>>()?;
        let frames = match &self.bucket {
            Some(bucket) => bucket
                .ranges(&parts)
                .await
                .map_err(|error| self.unfetched(error))?,
            None => self.ranges(&parts).await?,
        };
        let whole = |(part, frame): (&Part, Bytes)| {
            decompress(&frame, MAX_PART_BYTES).map_err(|error| self.damaged(&part.object, &error.to_string()))
        };
        parts.iter().zip(frames).map(whole).collect()
    }

    /// Ranges of objects that are as near as this process's memory or disk.
    async fn ranges(&self, parts: &[Part]) -> Result<Vec<Bytes>, ArchiveError> {
        let mut all = Vec::with_capacity(parts.len());
        for group in parts.chunk_by(|a, b| a.object == b.object) {
            let Some(first) = group.first() else { continue };
            let ranges: Vec<_> = group.iter().map(|part| part.range.clone()).collect();
            let read = self
                .store
                .get_ranges(&Path::from(first.object.as_str()), &ranges)
                .await;
            all.extend(read.map_err(|error| self.unreadable(&first.object, error))?);
        }
        Ok(all)
    }

    /// Removes a pack that no manifest names any more; nothing where there is none.
    pub async fn delete_pack(&self, host: &Host, checksum: &Checksum) -> Result<(), ArchiveError> {
        self.delete(&pack_path(host, checksum)).await
    }

    /// Every host that has a manifest, in order.
    pub async fn hosts(&self) -> Result<Vec<Host>, ArchiveError> {
        let listed = self
            .store
            .list_with_delimiter(Some(&Path::from("manifest")))
            .await;
        let listed = listed.map_err(|error| self.failed("list the manifests", error))?;
        let name = |path: &Path| {
            path.filename()
                .map(|name| name.replace("%5B", "[").replace("%5D", "]"))
        };
        let mut hosts: Vec<Host> = listed
            .common_prefixes
            .iter()
            .filter_map(name)
            .filter_map(|name| Host::new(&name).ok())
            .collect();
        hosts.sort();
        Ok(hosts)
    }

    /// The manifest in force of `host`, where there is one.
    pub async fn manifest(&self, host: &Host) -> Result<Option<Manifest>, ArchiveError> {
        let folder = Path::from_iter(["manifest", host.as_str()]);
        loop {
            let Some(newest) = self.manifest_numbers(&folder).await?.last().copied() else {
                return Ok(None);
            };
            let path = manifest_path(host, newest);
            let bytes = match self.store.get(&path).await {
                Ok(answer) => answer.bytes().await,
                Err(error) => Err(error),
            };
            match bytes {
                Ok(bytes) => {
                    let manifest = serde_json::from_slice(&bytes);
                    return manifest
                        .map(Some)
                        .map_err(|error| self.damaged(path.as_ref(), &error.to_string()));
                }
                // A newer one came between the listing and the reading, and this one was swept away.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(self.failed(&format!("read {path}"), error)),
            }
        }
    }

    /// Puts `manifest` in force, unless somebody else already wrote one with its number.
    pub async fn swap_manifest(&self, manifest: &Manifest) -> Result<Swap, ArchiveError> {
        let path = manifest_path(&manifest.host, manifest.number);
        let bytes = serde_json::to_vec_pretty(manifest)
            .map_err(|error| self.failed("write a manifest as JSON", error))?;
        let create = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&path, bytes.into(), create).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(Swap::Lost),
            Err(error) => return Err(self.failed(&format!("write {path}"), error)),
        }
        self.sweep_manifests(&manifest.host, manifest.number).await?;
        Ok(Swap::Done)
    }

    /// Removes the packs of `host`, where there are any. A crash in the middle leaves the one in force as it is, or nothing.
    pub async fn withdraw(&self, host: &Host) -> Result<(), ArchiveError> {
        let manifest = self.manifest(host).await?;
        let folder = Path::from_iter(["manifest", host.as_str()]);
        // The newest goes last: as long as one is there, it is the one in force.
        for number in self.manifest_numbers(&folder).await? {
            self.delete(&manifest_path(host, number)).await?;
        }
        for version in manifest.iter().flat_map(Manifest::versions) {
            self.delete_pack(host, &version.checksum).await?;
        }
        Ok(())
    }

    /// Removes manifests long out of force; the few before the current one stay for readers that just listed them.
    async fn sweep_manifests(&self, host: &Host, current: u64) -> Result<(), ArchiveError> {
        let folder = Path::from_iter(["manifest", host.as_str()]);
        for number in self.manifest_numbers(&folder).await? {
            if number + 3 < current {
                self.delete(&manifest_path(host, number)).await?;
            }
        }
        Ok(())
    }

    async fn manifest_numbers(&self, folder: &Path) -> Result<Vec<u64>, ArchiveError> {
        let listed: Result<Vec<_>, _> = self.store.list(Some(folder)).try_collect().await;
        let listed = listed.map_err(|error| self.failed(&format!("list {folder}"), error))?;
        let number = |path: &Path| path.filename()?.strip_suffix(".json")?.parse::<u64>().ok();
        let mut numbers: Vec<u64> = listed.iter().filter_map(|meta| number(&meta.location)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) async fn delete(&self, path: &Path) -> Result<(), ArchiveError> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(&format!("delete {path}"), error)),
        }
    }

    pub(crate) fn failed(
        &self,
        what: &str,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ArchiveError {
        ArchiveError::Store {
            what: what.to_owned(),
            place: self.place.clone(),
            source: error.into(),
        }
    }

    /// What is not there is told apart from what could not be read.
    pub(crate) fn unreadable(&self, object: &str, error: object_store::Error) -> ArchiveError {
        match error {
            object_store::Error::NotFound { .. } => self.not_found(object),
            error => self.failed(&format!("read {object}"), error),
        }
    }

    pub(crate) fn unfetched(&self, error: FetchError) -> ArchiveError {
        match error.source.kind() {
            retrieve::ErrorKind::NotFound => self.not_found(&error.object),
            _ => self.failed(&format!("read {}", error.object), error.source),
        }
    }

    pub(crate) fn damaged(&self, what: &str, reason: &str) -> ArchiveError {
        ArchiveError::Damaged {
            what: what.to_owned(),
            place: self.place.clone(),
            reason: reason.to_owned(),
        }
    }

    fn not_found(&self, what: &str) -> ArchiveError {
        ArchiveError::NotFound {
            what: what.to_owned(),
            place: self.place.clone(),
        }
    }
}

pub(crate) fn pack_path(host: &Host, checksum: &Checksum) -> Path {
    Path::from_iter(["pack", host.as_str(), &format!("{checksum}.sqlite")])
}

fn manifest_path(host: &Host, number: u64) -> Path {
    Path::from_iter(["manifest", host.as_str(), &format!("{number:08}.json")])
}
