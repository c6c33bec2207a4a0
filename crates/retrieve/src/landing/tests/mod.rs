use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use super::file::Begun;
use super::*;
use crate::entry::{Algorithm, FileMeta};
use crate::error::{Error, ErrorKind};
use crate::location::Location;

mod folders;
mod full;
mod names;
mod resume;
mod save;

fn destination() -> (TempDir, Folder) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = open(scratch.path());
    (scratch, folder)
}

fn open(path: &Path) -> Folder {
    Folder::open(&Destination::Folder(path.to_owned())).unwrap()
}

/// The place of a file's name.
fn place(folder: &Folder, name: &str) -> Place {
    match folder.claim(name).unwrap() {
        Claim::File(place) => place,
        Claim::Folder(path) => panic!("{path:?} is a folder"),
    }
}

/// Saves a file of which all bytes are there.
fn save_whole(
    folder: &Folder,
    place: &Place,
    bytes: &[u8],
    modified: Option<SystemTime>,
) -> Result<PathBuf, Error> {
    let mut stream = folder.stream(place)?;
    stream.append(bytes)?;
    stream.commit(modified)
}

fn meta(size: u64) -> FileMeta {
    FileMeta {
        index: 0,
        location: Location::parse("s3://bucket/key").unwrap(),
        name: "file".to_owned(),
        size: Some(size),
        range: 0..size,
        etag: Some("\"tag\"".to_owned()),
        last_modified: None,
        checksum: None,
    }
}

fn identity(size: u64) -> Identity {
    Identity::of(&meta(size), Some(Algorithm::Crc32C))
}

#[track_caller]
fn check_kind<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

/// All names in a folder, sorted.
fn listed(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
