use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use model::{Checksum, Host};

/// Files in the folder end so once they have been verified; before, they end with something else.
const EXTENSION: &str = "sqlite";

/// The verified packs in one folder. A file is there as long as it is current or somebody reads it.
#[derive(Clone)]
pub(crate) struct Files {
    folder: Arc<Path>,
    live: Arc<Mutex<HashMap<Checksum, Weak<PackFile>>>>,
}

/// A verified pack on disk. Once it is retired, its file goes with the last reference to it.
pub(crate) struct PackFile {
    pub(crate) host: Host,
    pub(crate) checksum: Checksum,
    pub(crate) path: PathBuf,
    retired: AtomicBool,
    files: Files,
}

impl Files {
    /// Uses `folder`, which belongs to this process alone, and removes what an earlier one left half fetched.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let files = Self {
            folder: folder.into(),
            live: Arc::default(),
        };
        files.sweep(|name| name.ends_with(EXTENSION))?;
        Ok(files)
    }

    /// Where a pack is put before it is verified.
    pub(crate) fn unverified(&self, checksum: &Checksum) -> PathBuf {
        self.folder.join(format!("{checksum}.new"))
    }

    /// The pack, where its file is here already.
    pub(crate) fn existing(&self, host: &Host, checksum: &Checksum) -> Option<Arc<PackFile>> {
        let mut live = self.lock();
        match live.get(checksum).and_then(Weak::upgrade) {
            Some(file) => {
                file.retired.store(false, Ordering::Relaxed);
                Some(file)
            }
            None if self.path(checksum).exists() => Some(self.register(&mut live, host, checksum)),
            None => None,
        }
    }

    /// Takes in the pack that was fetched to [`Self::unverified`] and found good.
    pub(crate) fn admit(&self, host: &Host, checksum: &Checksum) -> io::Result<Arc<PackFile>> {
        let mut live = self.lock();
        std::fs::rename(self.unverified(checksum), self.path(checksum))?;
        Ok(self.register(&mut live, host, checksum))
    }

    /// Removes verified files that nobody needs any more, from before this process.
    pub(crate) fn remove_strays(&self) -> io::Result<()> {
        let live = self.lock();
        self.sweep(|name| {
            let checksum = name
                .strip_suffix(EXTENSION)
                .and_then(|stem| stem.strip_suffix('.'));
            checksum.is_none_or(|text| {
                text.parse()
                    .is_ok_and(|checksum: Checksum| live.contains_key(&checksum))
            })
        })
    }

    fn register(
        &self,
        live: &mut HashMap<Checksum, Weak<PackFile>>,
        host: &Host,
        checksum: &Checksum,
    ) -> Arc<PackFile> {
        let file = Arc::new(PackFile {
            host: host.clone(),
            checksum: *checksum,
            path: self.path(checksum),
            retired: AtomicBool::new(false),
            files: self.clone(),
        });
        live.insert(*checksum, Arc::downgrade(&file));
        file
    }

    fn path(&self, checksum: &Checksum) -> PathBuf {
        self.folder.join(format!("{checksum}.{EXTENSION}"))
    }

    /// Removes the files whose names are not to be kept.
    fn sweep(&self, keep: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| !keep(name)) && entry.file_type()?.is_file() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Checksum, Weak<PackFile>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PackFile {
    /// Nobody needs this pack any more but those who are reading it.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

impl Drop for PackFile {
    fn drop(&mut self) {
        let mut live = self.files.lock();
        // The same pack may have come back between the last reader and here; then the file is not ours any more.
        let ours = live
            .get(&self.checksum)
            .is_some_and(|file| std::ptr::eq(file.as_ptr(), self));
        if ours {
            live.remove(&self.checksum);
            if self.is_retired()
                && let Err(error) = std::fs::remove_file(&self.path)
            {
                tracing::warn!(path = %self.path.display(), %error, "a pack that is not needed any more stays on disk");
            }
        }
    }
}
