use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::{meta, run};
use crate::entry::FileMeta;
use crate::hooks::{CacheCheck, FileStart, Hooks, Undated};

fn changed_at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 250)
}

/// Whether an object is taken from a folder that holds `dir/x`, of 1000 bytes and changed at 5000 s.
fn is_cached(undated: Undated, change: impl FnOnce(&mut FileMeta)) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dir")).unwrap();
    let file = File::create(folder.path().join("dir/x")).unwrap();
    file.set_len(1000).unwrap();
    file.set_modified(changed_at(5000)).unwrap();
    let registry = run(Hooks::default().stateful(CacheCheck::new(folder.path(), undated)));
    let mut meta = meta(0, "dir/x");
    meta.last_modified = Some(changed_at(5000));
    change(&mut meta);
    registry.file_start(&meta).unwrap() == FileStart::UseCache
}

#[test]
fn the_same_size_and_time_is_there_already() {
    assert!(is_cached(Undated::Fetch, |_| {}));
    assert!(is_cached(Undated::Fetch, |meta| {
        meta.last_modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(5000));
    }));
}

#[test]
fn anything_else_is_fetched() {
    let changes: [fn(&mut FileMeta); 6] = [
        |meta| meta.last_modified = Some(changed_at(5001)),
        |meta| (meta.size, meta.range) = (Some(999), 0..999),
        |meta| meta.size = None,
        |meta| meta.range = 0..10,
        |meta| meta.name = "dir/y".to_owned(),
        |meta| meta.name = "dir/../dir/x".to_owned(),
    ];
    for change in changes {
        assert!(!is_cached(Undated::CompareSize, change));
    }
}

#[test]
fn an_object_without_a_time_is_compared_by_size_where_the_user_wants_it() {
    assert!(!is_cached(Undated::Fetch, |meta| meta.last_modified = None));
    assert!(is_cached(Undated::CompareSize, |meta| meta.last_modified = None));
}
