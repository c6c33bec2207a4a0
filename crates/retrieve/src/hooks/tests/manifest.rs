use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;

use super::{end, finish_file, meta, run};
use crate::hooks::{Hooks, Registry, Sha256Manifest};
use crate::outcome::Outcome;

const NAMES: [&str; 4] = ["b.txt", "a/c.txt", "new\nline", "back\\slash"];

/// Saves `name` with itself as its content.
fn save(registry: &Registry, folder: &Path, index: u64, name: &str) -> Outcome {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, name).unwrap();
    finish_file(registry, &meta(index, name), Some(&path))
}

#[test]
fn sha256sum_accepts_the_manifest_of_saved_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("SHA256SUMS");
    let registry = run(Sha256Manifest::of_saved_files(&path).register(Hooks::default()));
    assert!(
        registry.ordered(&meta(0, "x")).unwrap().is_empty(),
        "saved files may come in any order"
    );
    for (index, name) in (0..).zip(NAMES) {
        assert!(matches!(
            save(&registry, folder.path(), index, name),
            Outcome::Done(_)
        ));
    }
    assert!(!path.exists(), "it appears at the end");
    assert_eq!(end(&registry).hooks[1].failure, None);

    let text = fs::read_to_string(&path).unwrap();
    let names: Vec<_> = text
        .lines()
        .map(|line| line.split_once("  ").unwrap().1)
        .collect();
    assert_eq!(names, ["a/c.txt", "b.txt", "back\\\\slash", "new\\nline"]);
    let mut sha256sum = Command::new("sha256sum");
    let check = sha256sum
        .args(["--strict", "-c", "SHA256SUMS"])
        .current_dir(folder.path());
    let output = check.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn streams_are_hashed_as_they_flow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sums");
    let registry = run(Sha256Manifest::of_streams(&path).register(Hooks::default()));
    for (index, name) in [(0, "x"), (1, "refused")] {
        let meta = meta(index, name);
        let mut chain = registry.ordered(&meta).unwrap();
        assert_eq!(chain.push(Bytes::from_static(b"a")).unwrap(), "a");
        assert_eq!(chain.push(Bytes::from_static(b"bc")).unwrap(), "bc");
        assert_eq!(chain.finish().unwrap(), "");
        let outcome = if index == 0 {
            Outcome::Done(Default::default())
        } else {
            Outcome::Cancelled
        };
        registry.file_end(&meta, &outcome);
    }
    assert_eq!(end(&registry).hooks[0].failure, None);
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{abc}  x\n"));
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/folder/sums");
    let registry = run(Sha256Manifest::of_saved_files(&path).register(Hooks::default()));
    let gone = finish_file(&registry, &meta(0, "x"), Some(&folder.path().join("gone")));
    assert!(matches!(gone, Outcome::Failed(error) if error.to_string().contains("cannot read")));
    let stream = finish_file(&registry, &meta(1, "y"), None);
    assert!(matches!(stream, Outcome::Failed(error) if error.to_string().contains("it is not saved")));
    let failure = end(&registry).hooks[1].failure.clone().unwrap();
    assert!(failure.starts_with("cannot write the manifest"), "{failure}");
}

#[test]
fn a_second_run_keeps_the_lines_of_files_that_were_there_already() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sums");
    let manifest = || run(Sha256Manifest::of_saved_files(&path).register(Hooks::default()));
    let registry = manifest();
    for (index, name) in (0..).zip(NAMES) {
        save(&registry, folder.path(), index, name);
    }
    end(&registry);
    let first = fs::read_to_string(&path).unwrap();

    let registry = manifest();
    for (index, name) in (0..).zip(NAMES).skip(1) {
        registry.file_end(&meta(index, name), &Outcome::Cached);
    }
    save(&registry, folder.path(), 9, "z");
    end(&registry);
    let second = fs::read_to_string(&path).unwrap();
    let gone: Vec<_> = first.lines().filter(|line| !second.contains(line)).collect();
    assert!(
        matches!(gone[..], [line] if line.ends_with("  b.txt")),
        "{gone:?}"
    );
    assert_eq!(second.lines().count(), 4);
    assert!(!folder.path().join("sums.part").exists());
}
