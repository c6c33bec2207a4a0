//! How long it takes with as many packages as Debian has.

use std::fmt::Write;
use std::time::{Duration, Instant};

use pkgindex::store::Store;

use crate::{NoPackages, applied, commit, open};

/// How many packages; 63000 is Debian.
const PACKAGES: &str = "PKGINDEX_TEST_PACKAGES";

/// Four dependencies each, mostly on few.
fn packages(count: usize) -> String {
    let mut lines = String::new();
    for number in 0..count {
        write!(lines, "INDEX|p{number}|").unwrap();
        let names: Vec<_> = (1..=4)
            .filter(|place| number >= place * 7)
            .map(|place| format!("p{}", number / (place * 7)))
            .collect();
        writeln!(lines, "{}", names.join(",")).unwrap();
    }
    lines
}

#[test]
fn a_large_commit_is_brought_into_the_tree_in_pieces() {
    let count = std::env::var(PACKAGES).map_or(500, |count| count.parse().unwrap());
    // On a disk, because that is what is measured.
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let begun = Instant::now();
    commit(&mut store, 0, &packages(count));
    println!("commit of {count} packages: {:?}", begun.elapsed());
    let (begun, mut pieces, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while applied(folder.path()) != Some(1) {
        let piece = Instant::now();
        store.tend(&NoPackages).unwrap();
        longest = longest.max(piece.elapsed());
        pieces += 1;
    }
    println!(
        "into the tree: {:?} in {pieces} pieces, the longest {longest:?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    let loaded = store.load().unwrap();
    println!("load: {:?}", begun.elapsed());
    assert_eq!(loaded.lines.iter().filter(|&&byte| byte == b'\n').count(), count);
    let begun = Instant::now();
    for base in 1..=200 {
        commit(&mut store, base, "INDEX|p0|\n");
    }
    println!("commit of one change: {:?}", begun.elapsed() / 200);
    let begun = Instant::now();
    for _ in 0..200 {
        store.commit(pkgindex::Revision(201), &[]).unwrap();
    }
    println!("is it the newest: {:?}", begun.elapsed() / 200);
}
