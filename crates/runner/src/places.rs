//! Where things lie in the runner's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::{Checksum, RunId};

/// The runner's folder.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    root: PathBuf,
    builds: PathBuf,
}

impl Places {
    /// Makes the folders, readable by nobody else.
    pub(crate) fn open(root: &Path, builds: &Path) -> io::Result<Self> {
        let places = Self {
            root: root.to_owned(),
            builds: builds.to_owned(),
        };
        for folder in [
            places.work(),
            places.builds.clone(),
            places.data_cache(),
            places.logs(),
            places.shims(),
        ] {
            fs::create_dir_all(folder)?;
        }
        Ok(places)
    }

    /// Held by the one worker of this folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("worker.lock")
    }

    /// Work folders of runs.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// The work folder of one run.
    pub(crate) fn of_run(&self, run: RunId) -> PathBuf {
        self.work().join(run.to_string())
    }

    /// The dependencies that were built under `key`.
    pub(crate) fn build(&self, key: &str) -> PathBuf {
        self.builds.join(key)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn shims(&self) -> PathBuf {
        self.root.join("shims")
    }

    fn data_cache(&self) -> PathBuf {
        self.root.join("data")
    }

    /// A version of data, brought from the archive.
    pub(crate) fn data(&self, checksum: &Checksum) -> PathBuf {
        self.data_cache().join(format!("{checksum}.sqlite"))
    }

    /// Where something comes in before it has its name.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.data_cache()
    }

    /// Removes what a killed worker left. Only for who holds the lock.
    pub(crate) fn sweep_work(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.work())? {
            remove_tree(&entry?.path())?;
        }
        Ok(())
    }

    /// Removes data that nobody asked for in a day, and all builds but the `builds` that were used last.
    pub(crate) fn sweep_caches(&self, now: SystemTime, builds: usize) -> io::Result<()> {
        for (path, used) in entries_by_age(&self.data_cache())? {
            if now.duration_since(used).unwrap_or_default() > Duration::from_secs(24 * 3600) {
                remove_tree(&path)?;
            }
        }
        let all = entries_by_age(&self.builds)?;
        for (path, _) in all.iter().take(all.len().saturating_sub(builds)) {
            remove_tree(path)?;
        }
        Ok(())
    }
}

/// What is in `folder`, longest unused first.
fn entries_by_age(folder: &Path) -> io::Result<Vec<(PathBuf, SystemTime)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.path(), entry.metadata()?.modified()?));
    }
    entries.sort_by_key(|(_, used)| *used);
    Ok(entries)
}

/// Notes that a file or folder was used now.
pub(crate) fn touch(path: &Path, now: SystemTime) {
    // Only how long it stays in a cache depends on it.
    let _ = fs::File::open(path).and_then(|file| file.set_modified(now));
}

/// Removes a file or folder, whatever permissions a scraper gave to what is in it.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).or_else(|_| {
            open_up(path)?;
            fs::remove_dir_all(path)
        }),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Lets everybody read what is below `folder`, and its owner write: a program may have taken these permissions away.
pub(crate) fn open_up(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let mode = fs::symlink_metadata(&folder)?.permissions().mode();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode | 0o755))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                waiting.push(entry.path());
            } else if found.is_file() {
                let readable = fs::Permissions::from_mode(found.permissions().mode() | 0o444);
                fs::set_permissions(entry.path(), readable)?;
            }
        }
    }
    Ok(())
}
