//! Where things lie in the runner's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::{Checksum, OwnerName, RunId};

/// With what the name of a build begins that is on its way out. No owner's name does.
const GONE: &str = ".gone-";

/// The runner's folder.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    root: PathBuf,
    builds: PathBuf,
}

impl Places {
    /// Makes the folders.
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

    /// The work folder of a run under one lease: what is left of an older one must not get into it.
    pub(crate) fn of_run(&self, run: RunId, epoch: u64) -> PathBuf {
        self.work().join(format!("{run}-{epoch}"))
    }

    /// The dependencies that were built under `key` for scrapers of `owner`. Installing runs code that these scrapers name, so others never see what it left.
    pub(crate) fn build(&self, owner: &OwnerName, key: &str) -> PathBuf {
        self.builds.join(format!("{owner}.{key}"))
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
    pub(crate) fn sweep_work(&self) {
        for (path, _) in entries_by_age(&self.work()).unwrap_or_default() {
            if let Err(error) = remove_tree(&path) {
                tracing::warn!(%error, path = %path.display(), "what a run left cannot be removed; remove it by hand");
            }
        }
    }

    /// Removes data that nobody asked for in a day.
    pub(crate) fn sweep_data(&self, now: SystemTime) -> io::Result<()> {
        for (path, used) in entries_by_age(&self.data_cache())? {
            if now.duration_since(used).unwrap_or_default() > Duration::from_secs(24 * 3600) {
                remove_tree(&path)?;
            }
        }
        Ok(())
    }

    /// All builds but the `kept` that were used last.
    pub(crate) fn old_builds(&self, kept: usize) -> io::Result<Vec<PathBuf>> {
        let mut all = entries_by_age(&self.builds)?;
        all.retain(|(path, _)| !is_gone(path));
        all.truncate(all.len().saturating_sub(kept));
        Ok(all.into_iter().map(|(path, _)| path).collect())
    }

    /// Removes the builds that were set aside, also those of a sweep that was killed.
    pub(crate) fn sweep_builds(&self) -> io::Result<()> {
        for (path, _) in entries_by_age(&self.builds)? {
            if is_gone(&path) {
                remove_tree(&path)?;
            }
        }
        Ok(())
    }
}

/// Takes a build out of use in one step: one that is removed in part must never count as whole.
pub(crate) fn set_aside(build: &Path) -> io::Result<()> {
    let name = build.file_name().unwrap_or_default().to_string_lossy();
    fs::rename(build, build.with_file_name(format!("{GONE}{name}")))
}

fn is_gone(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(GONE))
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
