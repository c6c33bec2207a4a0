use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use include_dir::{Dir, DirEntry, include_dir};
use sha2::Sha256;

use crate::folder::add;

static SHIMS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/shims");

/// Writes all shims below `to`, but what is there already.
pub(crate) fn unpack(to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    set_mode(to, 0o755)?;
    unpack_folder(&SHIMS, to)
}

/// Adds the names and contents of all shims.
pub(crate) fn digest(digest: &mut Sha256) {
    digest_folder(&SHIMS, digest);
}

fn unpack_folder(folder: &Dir<'_>, to: &Path) -> io::Result<()> {
    for entry in folder.entries() {
        let path = to.join(entry.path());
        match entry {
            DirEntry::Dir(inner) => {
                fs::create_dir_all(&path)?;
                set_mode(&path, 0o755)?;
                unpack_folder(inner, to)?;
            }
            DirEntry::File(file) => write(&path, file.contents())?,
        }
    }
    Ok(())
}

/// Puts the file in place whole, since a run may read it at this moment. Scrapers run as other users and have to read it.
fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&temporary, contents)?;
    set_mode(
        &temporary,
        if contents.starts_with(b"#!") { 0o755 } else { 0o644 },
    )?;
    fs::rename(&temporary, path)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn digest_folder(folder: &Dir<'_>, digest: &mut Sha256) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => digest_folder(inner, digest),
            DirEntry::File(file) => {
                add(digest, file.path().as_os_str().as_encoded_bytes());
                add(digest, file.contents());
            }
        }
    }
}
