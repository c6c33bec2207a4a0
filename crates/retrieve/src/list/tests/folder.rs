use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::list::Folder;

fn write(root: &Path, names: &[&str]) {
    for name in names {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
}

fn keys(root: &Path) -> Result<Vec<String>, Error> {
    Folder::open(root)?.map(|listed| Ok(listed?.key)).collect()
}

#[test]
fn files_come_in_the_byte_order_of_their_paths() {
    let root = tempfile::tempdir().unwrap();
    let names = [
        "a-b",
        "a.txt",
        "a/b/c",
        "a/c",
        "a0",
        "b",
        "empty/../z",
        "ä/1",
        "😀",
    ];
    write(root.path(), &["empty/x"]);
    fs::remove_file(root.path().join("empty/x")).unwrap();
    write(root.path(), &names);
    let found = keys(root.path()).unwrap();
    assert_eq!(
        found,
        ["a-b", "a.txt", "a/b/c", "a/c", "a0", "b", "z", "ä/1", "😀"]
    );
    let first = Folder::open(root.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(first.size, 3);
    assert!(first.last_modified.is_some());
}

#[test]
fn links_to_files_are_followed_and_links_to_folders_are_not() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &["folder/file"]);
    symlink("folder/file", root.path().join("link")).unwrap();
    symlink("folder", root.path().join("circle")).unwrap();
    symlink("nowhere", root.path().join("broken")).unwrap();
    assert_eq!(keys(root.path()).unwrap(), ["folder/file", "link"]);
}

#[test]
fn a_name_that_is_not_utf8_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    let error = keys(root.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("caf\u{fffd}"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let error = keys(&root.path().join("none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
