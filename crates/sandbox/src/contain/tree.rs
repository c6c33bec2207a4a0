use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

use super::INSIDE_ID;
use crate::view;
use crate::wire::{Order, Place};

/// The arguments of bwrap, of which few are secret and all are kept from the list of processes: they go through a file.
#[derive(Default)]
pub(super) struct Arguments {
    /// Each ends with a zero byte.
    bytes: Vec<u8>,
    /// What the arguments name by number. They stay open until bwrap has them.
    files: Vec<OwnedFd>,
}

impl Arguments {
    fn add(&mut self, words: &[&str]) {
        for word in words {
            self.bytes.extend(word.as_bytes());
            self.bytes.push(0);
        }
    }

    /// A path may be any bytes.
    fn add_paths(&mut self, option: &str, from: &Path, to: &Path) {
        self.add(&[option]);
        for path in [from, to] {
            self.bytes.extend(path.as_os_str().as_encoded_bytes());
            self.bytes.push(0);
        }
    }

    /// The number of an open file with these contents.
    fn file(&mut self, contents: &[u8]) -> io::Result<String> {
        let file = inherited(contents)?;
        let number = file.as_raw_fd().to_string();
        self.files.push(file);
        Ok(number)
    }

    /// Everything as one file, and what it needs open.
    pub(super) fn finish(self) -> io::Result<(OwnedFd, Vec<OwnedFd>)> {
        Ok((inherited(&self.bytes)?, self.files))
    }
}

/// A file in memory that bwrap inherits.
fn inherited(contents: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("haul", MemfdFlags::CLOEXEC)?);
    file.write_all(contents)?;
    file.rewind()?;
    let file = OwnedFd::from(file);
    fcntl_setfd(&file, FdFlags::empty())?;
    Ok(file)
}

/// All that bwrap is told: namespaces, tree, environment, filters.
pub(super) fn arguments(
    order: &Order,
    tmp_bytes: u64,
    places: &[Place],
    filters: &[Vec<u8>],
) -> io::Result<Arguments> {
    let mut arguments = Arguments::default();
    arguments.add(&[
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
    ]);
    arguments.add(&[
        "--unshare-cgroup-try",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
    ]);
    arguments.add(&["--hostname", "haul", "--clearenv"]);
    for (name, value) in &order.environment {
        arguments.add(&["--setenv", name, value]);
    }
    base(&mut arguments, tmp_bytes);
    etc(&mut arguments, order.gateway)?;
    for place in places {
        let option = if place.writable { "--bind" } else { "--ro-bind" };
        arguments.add_paths(option, &place.from, &place.to);
    }
    arguments.add(&["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/app"]);
    for filter in filters {
        let number = arguments.file(filter)?;
        arguments.add(&["--add-seccomp-fd", &number]);
    }
    Ok(arguments)
}

fn base(arguments: &mut Arguments, tmp_bytes: u64) {
    arguments.add(&["--ro-bind", "/usr", "/usr"]);
    for (path, target) in view::root() {
        match target {
            Some(target) => arguments.add_paths("--symlink", &target, path),
            None => arguments.add_paths("--ro-bind-try", path, path),
        }
    }
    let tmp_bytes = tmp_bytes.max(1).to_string();
    arguments.add(&["--proc", "/proc", "--dev", "/dev"]);
    for folder in ["/dev/shm", "/tmp"] {
        arguments.add(&["--perms", "1777", "--size", &tmp_bytes, "--tmpfs", folder]);
    }
}

fn etc(arguments: &mut Arguments, gateway: bool) -> io::Result<()> {
    for path in view::etc() {
        arguments.add_paths("--ro-bind", &path, &path);
    }
    if let Some(zone) = view::zone() {
        arguments.add_paths("--symlink", &zone, Path::new(view::ZONE));
    }
    for (path, contents) in view::files(INSIDE_ID, gateway) {
        let number = arguments.file(contents.as_bytes())?;
        arguments.add(&["--perms", "0444", "--file", &number, path]);
    }
    Ok(())
}
