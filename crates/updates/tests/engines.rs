//! Both engines keep the contract of the log; the SQLite file is shared, survives, and says what is wrong with it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Timestamp;
use updates::testkit::conformance;
use updates::{Cleanup, Entry, Group, LogError, LogOptions, Partition, Subscription, Topic, UpdateLog};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_memory_engine_conforms() {
    conformance(&UpdateLog::memory()).await.unwrap();
}

#[tokio::test]
async fn the_sqlite_engine_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance(&UpdateLog::open(&folder.path().join("new/updates.db")).unwrap())
        .await
        .unwrap();
}

fn topic(partitions: u32) -> Topic {
    Topic {
        name: "docs.applied".into(),
        partitions,
        cleanup: Cleanup::Compact { tombstones: SOON },
    }
}

fn entry(key: &str, value: u32) -> Entry<u32> {
    Entry {
        key: key.into(),
        scope: key.into(),
        value: Some(value),
    }
}

async fn join(log: &UpdateLog) -> Group {
    log.group("packers", Subscription::Suffixes(vec![".applied".into()]))
        .await
        .unwrap()
}

async fn poll_one(group: &mut Group) -> Option<u32> {
    let batch = group.poll(1, SOON).await.unwrap();
    batch.records.first().expect("a record comes").decode().unwrap()
}

#[tokio::test]
async fn two_processes_share_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.db");
    let (writer, reader) = (UpdateLog::open(&path).unwrap(), UpdateLog::open(&path).unwrap());
    writer.ensure_topic(&topic(2)).await.unwrap();
    let mut group = join(&reader).await;
    let entries = [entry("a", 1)];
    let (got, appended) = tokio::join!(poll_one(&mut group), writer.append("docs.applied", &entries));
    appended.unwrap();
    assert_eq!(got, Some(1));

    let second = join(&writer).await;
    group.poll(1, Duration::ZERO).await.unwrap();
    assert_eq!(
        (
            group.assignment().partitions.len(),
            second.assignment().partitions.len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_member_that_was_killed_does_not_keep_the_only_process_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.db");
    let killed = UpdateLog::open(&path).unwrap();
    killed.ensure_topic(&topic(2)).await.unwrap();
    let mut left_behind = join(&killed).await;
    left_behind.poll(1, Duration::ZERO).await.unwrap();
    std::mem::forget(left_behind);

    let alone = UpdateLog::open_alone(&path).unwrap();
    let mut group = join(&alone).await;
    group.poll(1, Duration::ZERO).await.unwrap();
    assert_eq!(group.assignment().partitions.len(), 2);
}

#[tokio::test]
async fn what_was_appended_and_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.db");
    let log = UpdateLog::open(&path).unwrap();
    log.ensure_topic(&topic(1)).await.unwrap();
    log.append("docs.applied", &[entry("a", 1), entry("b", 2)])
        .await
        .unwrap();
    let mut group = join(&log).await;
    assert_eq!(poll_one(&mut group).await, Some(1));
    group
        .commit(
            &Partition {
                topic: "docs.applied".into(),
                number: 0,
            },
            1,
        )
        .await
        .unwrap();
    // As after kill -9: the member does not leave, the files stay as they are.
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&path), name(&copy)).unwrap();
    }
    let log = UpdateLog::open(&copy).unwrap();
    assert_eq!(log.committed("packers", "docs.applied").await.unwrap(), [1]);
    assert_eq!(log.watermarks("docs.applied").await.unwrap()[0].high, 2);
    assert_eq!(log.topics().await.unwrap(), [topic(1)]);
}

/// A clock that the test moves.
fn manual_clock() -> (Arc<AtomicU64>, LogOptions) {
    let millis = Arc::new(AtomicU64::new(1_000_000));
    let clock = Arc::clone(&millis);
    let now = move || Timestamp::from_millis(clock.load(Ordering::SeqCst));
    (
        millis,
        LogOptions {
            clock: Arc::new(now),
            ..LogOptions::default()
        },
    )
}

async fn a_dead_member_loses_its_partitions(log: UpdateLog, clock: Arc<AtomicU64>) {
    log.ensure_topic(&topic(4)).await.unwrap();
    let mut dead = join(&log).await;
    let mut living = join(&log).await;
    assert_eq!(living.assignment().partitions.len(), 2);
    let lost = living.assignment().partitions[0].clone();
    let kept: Vec<Partition> = (0..4)
        .map(|number| Partition {
            number,
            ..lost.clone()
        })
        .filter(|p| !living.assignment().partitions.contains(p))
        .collect();
    for _ in 0..3 {
        clock.fetch_add(4_000, Ordering::SeqCst);
        living.poll(1, Duration::ZERO).await.unwrap();
    }
    assert_eq!(
        living.assignment().partitions.len(),
        4,
        "12 s without a poll: the other member is dead"
    );
    assert!(
        matches!(dead.commit(&kept[0], 1).await, Err(LogError::NotAssigned(_))),
        "and its commits are refused"
    );
    dead.poll(1, Duration::ZERO).await.unwrap();
    assert_eq!(dead.assignment().partitions.len(), 2, "until it comes back");
}

#[tokio::test]
async fn a_dead_member_loses_its_partitions_in_memory() {
    let (clock, options) = manual_clock();
    a_dead_member_loses_its_partitions(UpdateLog::memory_with(options), clock).await;
}

#[tokio::test]
async fn a_dead_member_loses_its_partitions_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, options) = manual_clock();
    let log = UpdateLog::open_with(&folder.path().join("updates.db"), options).unwrap();
    a_dead_member_loses_its_partitions(log, clock).await;
}

#[test]
fn a_file_that_is_no_log_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.db");
    std::fs::write(&path, "this is a letter, not a database ".repeat(100)).unwrap();
    let refusal = UpdateLog::open(&path).expect_err("must be refused").to_string();
    assert!(refusal.contains("move it away"), "{refusal}");
}

#[test]
fn a_newer_format_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.db");
    drop(UpdateLog::open(&path).unwrap());
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let refusal = UpdateLog::open(&path).expect_err("must be refused").to_string();
    assert!(refusal.contains("has format 99"), "{refusal}");
}
