use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::wire::{Order, Place};

/// The links of `/` into `/usr`; folders where the two are not merged.
const ROOT: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// What programs read of `/etc`, and nothing that tells of this machine or its people.
const ETC: [&str; 13] = [
    "alternatives",
    "crypto-policies",
    "fonts",
    "ld.so.cache",
    "mime.types",
    "perl",
    "php",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
];
const PASSWD: &str = "scraper:x:1000:1000::/app:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
const GROUP: &str = "scraper:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n";
const NAME_SERVICES: &str = "passwd: files\ngroup: files\nhosts: files dns\n";
const RESOLVER: &str = "nameserver 127.0.0.1\n";

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
pub(super) fn arguments(order: &Order, places: &[Place], filters: &[Vec<u8>]) -> io::Result<Arguments> {
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
    base(&mut arguments, order.tmp_bytes);
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
    for path in ROOT {
        match fs::read_link(path) {
            Ok(target) => arguments.add_paths("--symlink", &target, Path::new(path)),
            Err(_) => arguments.add(&["--ro-bind-try", path, path]),
        }
    }
    let tmp_bytes = tmp_bytes.max(1).to_string();
    arguments.add(&["--proc", "/proc", "--dev", "/dev"]);
    for folder in ["/dev/shm", "/tmp"] {
        arguments.add(&["--perms", "1777", "--size", &tmp_bytes, "--tmpfs", folder]);
    }
}

fn etc(arguments: &mut Arguments, gateway: bool) -> io::Result<()> {
    for path in ETC.iter().map(PathBuf::from).chain(pythons()) {
        let path = Path::new("/etc").join(path);
        if path.exists() {
            arguments.add_paths("--ro-bind", &path, &path);
        }
    }
    if let Ok(zone) = fs::read_link("/etc/localtime") {
        arguments.add_paths("--symlink", &zone, Path::new("/etc/localtime"));
    }
    let resolver = if gateway { RESOLVER } else { "" };
    let files = [
        ("/etc/passwd", PASSWD),
        ("/etc/group", GROUP),
        ("/etc/hosts", HOSTS),
        ("/etc/nsswitch.conf", NAME_SERVICES),
        ("/etc/resolv.conf", resolver),
    ];
    for (path, contents) in files {
        let number = arguments.file(contents.as_bytes())?;
        arguments.add(&["--perms", "0444", "--file", &number, path]);
    }
    Ok(())
}

/// `python3.11` and the like: Debian's standard library links there.
fn pythons() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let names = entries.map(|entry| PathBuf::from(entry.file_name()));
    names.filter(|name| name.as_os_str().as_encoded_bytes().starts_with(b"python3."))
}
