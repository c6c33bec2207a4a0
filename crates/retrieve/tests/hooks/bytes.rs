//! The rows of bytes: as they come, and in their order.

use std::sync::atomic::{AtomicU64, Ordering};

use ::bytes::Bytes;
use retrieve::hooks::{FunctionalHook, OrderedHook, StatefulHook};
use retrieve::{ErrorKind, FileMeta, Hooks};

use crate::*;

/// Compares what comes with what the origin holds; refuses one file in its middle.
#[derive(Default)]
struct Inspect {
    bytes: AtomicU64,
}

impl FunctionalHook for Inspect {
    fn name(&self) -> &str {
        "inspect"
    }

    fn on_bytes(&self, meta: &FileMeta, offset: u64, bytes: &[u8]) -> Result<(), String> {
        assert_eq!(origin::verify(meta.index, offset, bytes), Ok(()));
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match meta.name == "bad" && offset >= CHUNK {
            true => Err(format!("a bad byte at {offset}")),
            false => Ok(()),
        }
    }
}

#[test]
fn bytes_are_seen_as_they_come_and_end_their_file() {
    let origin = origin_with(&[("bad", 4 * CHUNK), ("good", 4 * CHUNK + 1)]);
    let inspect = Arc::new(Inspect::default());
    let hooks = || Hooks::default().functional(Arc::clone(&inspect));
    let folder = tempfile::tempdir().unwrap();
    let report = save(&origin, "s3://b/", folder.path(), hooks());
    check_failed(&report, "bad", ErrorKind::Hook);
    assert_eq!(saved(folder.path()), ["good"]);
    check_saved(folder.path(), "good", 1, 4 * CHUNK + 1);

    let (files, report) = read(&origin, "s3://b/", hooks());
    check_failed(&report, "bad", ErrorKind::Hook);
    assert!(
        files[0].1 == Err(ErrorKind::Hook)
            && files[1]
                .1
                .as_ref()
                .is_ok_and(|bytes| *bytes == content(1, 0..4 * CHUNK + 1))
    );
    assert!(inspect.bytes.load(Ordering::Relaxed) >= 2 * (4 * CHUNK + 1));
}

/// Flips all bits, or writes every byte twice and a last one at the end.
#[derive(Clone, Copy)]
enum Rewrite {
    Flip,
    Double,
}

impl StatefulHook for Rewrite {
    fn name(&self) -> &str {
        "rewrite"
    }

    fn ordered(&mut self, _meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        Some(Box::new(*self))
    }
}

impl OrderedHook for Rewrite {
    fn on_ordered(&mut self, bytes: Bytes) -> Result<Bytes, String> {
        Ok(match self {
            Self::Flip => bytes.iter().map(|byte| !byte).collect(),
            Self::Double => bytes.iter().flat_map(|byte| [*byte, *byte]).collect(),
        })
    }

    fn finish(&mut self) -> Result<Bytes, String> {
        Ok(match self {
            Self::Flip => Bytes::new(),
            Self::Double => Bytes::from_static(b"."),
        })
    }
}

#[test]
fn bytes_in_order_are_replaced_for_readers_and_files() {
    for size in [0, 5, 3 * CHUNK + 1, 40 * CHUNK] {
        let origin = origin_with(&[("one", size)]);
        let hooks = || Hooks::default().stateful(Rewrite::Flip).stateful(Rewrite::Double);
        let original = content(0, 0..size);
        let mut expected: Vec<u8> = original.iter().flat_map(|byte| [!byte, !byte]).collect();
        expected.push(b'.');
        let folder = tempfile::tempdir().unwrap();
        let report = save(&origin, "s3://b/one", folder.path(), hooks());
        assert!(report.is_complete(), "{report:?}");
        assert!(
            fs::read(folder.path().join("one")).unwrap() == expected,
            "{size} bytes, saved"
        );
        let (files, report) = read(&origin, "s3://b/one", hooks());
        assert!(report.is_complete(), "{report:?}");
        assert!(files[0].1.as_ref() == Ok(&expected), "{size} bytes, read");
    }
}

/// Refuses what it has seen some of.
struct Picky;

impl StatefulHook for Picky {
    fn name(&self) -> &str {
        "picky"
    }

    fn ordered(&mut self, meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        (meta.name == "bad").then(|| Box::new(Picky) as _)
    }
}

impl OrderedHook for Picky {
    fn on_ordered(&mut self, _bytes: Bytes) -> Result<Bytes, String> {
        Err("it does not begin well".into())
    }
}

#[test]
fn an_ordered_hook_ends_its_file() {
    let origin = origin_with(&[("bad", 3 * CHUNK), ("good", 3 * CHUNK)]);
    let folder = tempfile::tempdir().unwrap();
    let report = save(
        &origin,
        "s3://b/",
        folder.path(),
        Hooks::default().stateful(Picky),
    );
    check_failed(&report, "bad", ErrorKind::Hook);
    assert_eq!(saved(folder.path()), ["good"]);
    let (files, report) = read(&origin, "s3://b/", Hooks::default().stateful(Picky));
    check_failed(&report, "bad", ErrorKind::Hook);
    assert!(files[0].1 == Err(ErrorKind::Hook) && files[1].1.is_ok());
}
