//! What jobs see of the machine, beside their own folders.

use std::fs;
use std::path::{Path, PathBuf};

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
/// The link that tells the time zone.
pub(crate) const ZONE: &str = "/etc/localtime";
/// Where users and hosts are looked up.
const NAME_SERVICES: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// The files that tell who the job is, by its number inside, and who answers for names of hosts.
pub(crate) fn files(user: u32, gateway: bool) -> [(&'static str, String); 5] {
    let resolver = if gateway { "nameserver 127.0.0.1\n" } else { "" };
    [
        (
            "/etc/passwd",
            format!("scraper:x:{user}:{user}::/app:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"),
        ),
        ("/etc/group", format!("scraper:x:{user}:\nnogroup:x:65534:\n")),
        ("/etc/hosts", "127.0.0.1 localhost\n".to_owned()),
        ("/etc/nsswitch.conf", NAME_SERVICES.to_owned()),
        ("/etc/resolv.conf", resolver.to_owned()),
    ]
}

/// What of `/` leads into `/usr`: a link with its target, or a folder of its own, which may be missing.
pub(crate) fn root() -> impl Iterator<Item = (&'static Path, Option<PathBuf>)> {
    ROOT.iter()
        .map(|path| (Path::new(*path), fs::read_link(path).ok()))
}

/// Where the zone of this machine is.
pub(crate) fn zone() -> Option<PathBuf> {
    fs::read_link(ZONE).ok()
}

/// The files and folders of `/etc` that are shown.
pub(crate) fn etc() -> impl Iterator<Item = PathBuf> {
    let all = ETC.iter().map(PathBuf::from).chain(pythons());
    let paths = all.map(|path| Path::new("/etc").join(path));
    paths.filter(|path| path.exists())
}

/// `python3.11` and the like: Debian's standard library links there.
fn pythons() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let names = entries.map(|entry| PathBuf::from(entry.file_name()));
    names.filter(|name| name.as_os_str().as_encoded_bytes().starts_with(b"python3."))
}
