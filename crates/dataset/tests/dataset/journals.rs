//! Writers that were killed.

use std::fs;
use std::os::unix::fs::symlink;

use dataset::Rejected;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::folder::{Folder, number};

/// The format that the header says a database is in: 1 for a rollback journal, 2 for a write-ahead log.
fn format(path: &std::path::Path) -> [u8; 2] {
    let bytes = fs::read(path).unwrap();
    [bytes[18], bytes[19]]
}

/// A database whose writer was killed in the middle of a transaction that had reached the disk.
fn killed_in_a_transaction() -> Folder {
    let folder = Folder::with("CREATE TABLE data(x); INSERT INTO data VALUES ('before')");
    let writer = folder.open();
    writer
        .execute_batch(
            "PRAGMA cache_size=2; BEGIN; UPDATE data SET x = 'after'; \
            INSERT INTO data WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000) SELECT x FROM n",
        )
        .unwrap();
    let killed = folder.killed();
    assert!(fs::metadata(killed.work("data.sqlite-journal")).unwrap().len() > 512);
    killed
}

#[test]
fn what_the_log_of_a_killed_writer_holds_is_kept() {
    let folder = Folder::with("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE data(x)");
    let writer = folder.open();
    writer
        .execute_batch("PRAGMA wal_autocheckpoint=0; INSERT INTO data VALUES (1), (2), (3)")
        .unwrap();
    let killed = folder.killed();
    assert!(killed.work("data.sqlite-wal").exists());
    assert_eq!(killed.collect().unwrap().rows, 3);
    assert_eq!(format(&killed.to()), [1, 1]);
    assert_eq!(number(&killed.to(), "SELECT sum(x) FROM data"), 6);
}

#[test]
fn the_shared_memory_of_another_process_is_not_looked_at() {
    let folder = Folder::with("PRAGMA journal_mode=WAL; CREATE TABLE data(x)");
    let writer = folder.open();
    writer.execute_batch("INSERT INTO data VALUES (1)").unwrap();
    let killed = folder.killed();
    fs::write(killed.work("data.sqlite-shm"), [0xff; 32768]).unwrap();
    assert_eq!(killed.collect().unwrap().rows, 1);
}

#[test]
fn half_a_transaction_is_rolled_back() {
    let killed = killed_in_a_transaction();
    assert_eq!(killed.collect().unwrap().rows, 1);
    assert_eq!(
        number(&killed.to(), "SELECT count(*) FROM data WHERE x = 'before'"),
        1
    );
}

#[test]
fn journals_that_are_no_files_are_none() {
    let folder = Folder::with("CREATE TABLE data(x); INSERT INTO data VALUES (1)");
    symlink("/etc/passwd", folder.work("data.sqlite-journal")).unwrap();
    mknodat(CWD, folder.work("data.sqlite-wal"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    assert_eq!(folder.collect().unwrap().rows, 1);
}

/// Ends the journal as one that belongs to a transaction over several files, whose journal is at `superior`.
fn subordinate(folder: &Folder, superior: &str) {
    let mut journal = fs::read(folder.work("data.sqlite-journal")).unwrap();
    let sum: u32 = superior.bytes().map(u32::from).sum();
    journal.extend(superior.as_bytes());
    journal.extend(u32::try_from(superior.len()).unwrap().to_be_bytes());
    journal.extend(sum.to_be_bytes());
    journal.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    fs::write(folder.work("data.sqlite-journal"), journal).unwrap();
}

#[test]
fn a_journal_cannot_have_a_file_elsewhere_removed() {
    let killed = killed_in_a_transaction();
    let victim = killed.root().join("victim-mj0123456789");
    fs::write(&victim, "of somebody else").unwrap();
    subordinate(&killed, victim.to_str().unwrap());
    // Its own journal is gone from the work folder, so the transaction was done.
    let _ = killed.collect();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "of somebody else");
    fs::write(killed.work("victim-mj0123456789"), "").unwrap();
    let _ = fs::remove_file(killed.to());
    assert_eq!(killed.collect().unwrap().rows, 1);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "of somebody else");
}

#[test]
fn a_journal_cannot_make_the_database_huge() {
    let killed = killed_in_a_transaction();
    let path = killed.work("data.sqlite-journal");
    let mut journal = fs::read(&path).unwrap();
    // Pages before the transaction.
    journal[16..20].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    fs::write(&path, journal).unwrap();
    let rejected = killed.collect().unwrap_err();
    assert!(
        matches!(rejected, Rejected::TooLarge { .. } | Rejected::Damaged(_)),
        "{rejected:?}"
    );
}
