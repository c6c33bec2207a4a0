//! What processes hold that can be found by no name: files that were removed while they are open or mapped, and files on their way from one
//! process to another.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the processes of a job hold. All threads of a process have the same open files: the filter of system calls sees to that.
#[derive(Default)]
pub(crate) struct Held {
    /// Regular files without a name.
    pub(crate) files: Vec<Metadata>,
    /// Open files are in a socket: sent, not yet received, and maybe open nowhere else.
    pub(crate) is_in_flight: bool,
    /// Removed files are mapped where nobody can see how large they are.
    pub(crate) is_hidden: bool,
}

impl Held {
    pub(crate) fn by(processes: &[i32]) -> Self {
        let mut held = Self::default();
        for &process in processes {
            let task = living_task(process);
            held.add_open(&task);
            let mapped = entries(&Path::new("/proc").join(process.to_string()).join("map_files"));
            held.add_nameless(mapped.iter().filter_map(|path| fs::metadata(path).ok()));
            held.is_hidden |= mapped.is_empty() && has_mapped_removed_file(&task);
        }
        held
    }

    fn add_open(&mut self, task: &Path) {
        for path in entries(&task.join("fd")) {
            let Ok(open) = fs::metadata(&path) else { continue };
            if open.file_type().is_socket() {
                let number = path.file_name().unwrap_or_default();
                self.is_in_flight |= carries_files(&task.join("fdinfo").join(number));
            }
            self.add_nameless(Some(open));
        }
    }

    fn add_nameless(&mut self, files: impl IntoIterator<Item = Metadata>) {
        let nameless = files
            .into_iter()
            .filter(|file| file.nlink() == 0 && file.is_file());
        self.files.extend(nameless);
    }
}

/// Where the kernel tells of a thread that lives: the first one may have ended before the others, and shows nothing any more.
pub(crate) fn living_task(process: i32) -> PathBuf {
    let first = Path::new("/proc").join(process.to_string());
    let lives = |task: &PathBuf| fs::metadata(task.join("ns/net")).is_ok();
    if lives(&first) {
        return first;
    }
    let other = entries(&first.join("task")).into_iter().find(lives);
    other.unwrap_or(first)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// See proc_pid_fdinfo(5); kernels before 5.10 do not tell.
fn carries_files(information: &Path) -> bool {
    let text = fs::read_to_string(information).unwrap_or_default();
    let mut numbers = text.lines().filter_map(|line| line.strip_prefix("scm_fds:"));
    numbers.any(|number| number.trim() != "0")
}

/// Looks at the map of a thread whose process shows no files any more (see proc_pid_maps(5)). Memory that is shared is a removed file, too, of a device without a major number.
fn has_mapped_removed_file(task: &Path) -> bool {
    let text = fs::read_to_string(task.join("maps")).unwrap_or_default();
    let is_on_disk = |line: &str| {
        line.split_whitespace()
            .nth(3)
            .is_some_and(|device| !device.starts_with("00:"))
    };
    text.lines()
        .any(|line| line.ends_with(" (deleted)") && is_on_disk(line))
}
