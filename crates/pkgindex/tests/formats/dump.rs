use pkgindex::Revision;
use pkgindex::formats::{read_dump, write_dump};
use proptest::prelude::*;

use crate::{snapshot, text};

/// What the program wrote when the format was made; it must read it for ever.
const FIXTURE: &str = include_str!("../data/dump");

fn dumped(lines: &[u8]) -> Vec<u8> {
    let mut dump = Vec::new();
    write_dump(&snapshot(lines), &mut dump).unwrap();
    dump
}

#[test]
fn dump_is_the_fixture() {
    let dump =
        dumped(b"INDEX|zlib1g|libc6\nINDEX|libc6|libgcc-s1\nINDEX|libgcc-s1|libc6\nINDEX|git|zlib1g,libc6\n");
    assert_eq!(str::from_utf8(&dump).unwrap(), FIXTURE);
}

#[test]
fn dump_is_read() {
    let read = read_dump(FIXTURE.as_bytes()).unwrap();
    assert_eq!(
        text(&read),
        "INDEX|git|libc6,zlib1g\nINDEX|libc6|libgcc-s1\nINDEX|libgcc-s1|libc6\nINDEX|zlib1g|libc6\n"
    );
    let report = read.report;
    assert_eq!(
        (report.revision, report.packages, report.edges),
        (Some(Revision(1)), 4, 5)
    );
}

#[test]
fn every_cut_is_noticed() {
    for end in 0..FIXTURE.len() {
        assert!(read_dump(&FIXTURE.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for at in 0..FIXTURE.len() {
        let mut changed = FIXTURE.as_bytes().to_vec();
        changed[at] ^= 1;
        assert!(read_dump(&*changed).is_err(), "changed at {at}");
    }
}

/// A dump of these lines with the right checksum, which a program has made that writes dumps of its own.
fn sealed(body: &str) -> String {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, body.as_bytes());
    format!("{body}end {sum:016x}\n")
}

#[test]
fn errors_say_what_and_where() {
    let check = |dump: &str, message: &str| {
        assert_eq!(read_dump(dump.as_bytes()).unwrap_err().to_string(), message);
    };
    let header = "pkgindex dump 1 revision 7 packages 2\n";
    check(
        "",
        "line 1: a dump begins with `pkgindex dump 1 revision NUMBER packages NUMBER`",
    );
    check(
        "pkgindex dump 2 revision 1 packages 0\n",
        "line 1: a dump begins with `pkgindex dump 1 revision NUMBER packages NUMBER`",
    );
    check(
        header,
        "line 2: the dump ends without its last line; it was cut off",
    );
    check(
        &format!("{header}REMOVE|a|\n"),
        "line 2: a dump has INDEX lines only",
    );
    check(
        &format!("{header}INDEX|a\n"),
        "line 2: a dump has INDEX lines only: a command is verb|package|dependencies, with exactly two pipes",
    );
    check(
        &format!("{header}INDEX|b|\nINDEX|a|\n"),
        "line 3: the packages of a dump are in the order of their names, each once",
    );
    check(
        &sealed(&format!("{header}INDEX|a|\n")),
        "line 3: the checksum or the number of packages is not that of the dump; it was changed",
    );
    let whole = sealed(&format!("{header}INDEX|a|\nINDEX|b|\n"));
    assert!(read_dump(whole.as_bytes()).is_ok());
    check(
        &format!("{whole}\n"),
        "line 5: something follows the last line of the dump",
    );
}

proptest! {
    #[test]
    fn dumps_lead_back(graph in proptest::collection::btree_map("[a-d]{1,2}", proptest::collection::btree_set(0..20_usize, 0..4), 0..20)) {
        let names: Vec<_> = graph.keys().collect();
        let mut lines = String::new();
        for (name, needs) in &graph {
            let needs: Vec<_> = needs.iter().filter_map(|&at| names.get(at)).map(|name| name.as_str()).collect();
            lines.push_str(&format!("INDEX|{name}|{}\n", needs.join(",")));
        }
        let read = read_dump(&*dumped(lines.as_bytes())).unwrap();
        prop_assert_eq!(text(&read), &*lines);
    }
}
