//! What every engine of the log must pass.

use std::time::Duration;

use bytes::Bytes;

use crate::handle::{Group, UpdateLog};
use crate::port::{Cleanup, LogError, NewRecord, Partition, Record, Subscription, Topic};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a check waits for something that happens soon.
const SOON: Duration = Duration::from_secs(10);

/// Checks the contract of [`LogStore`](crate::LogStore) on an empty log and panics where it does not hold.
pub async fn conformance(log: &UpdateLog) -> Result<(), LogError> {
    topics_are_created_once_and_compared(log).await?;
    limits_are_kept(log).await?;
    records_keep_their_order_per_partition(log).await?;
    a_group_continues_where_it_committed(log).await?;
    a_poll_keeps_the_newest_of_each_key(log).await?;
    a_poll_waits_for_the_first_record(log).await?;
    members_share_the_partitions(log).await?;
    suffixes_include_topics_of_the_future(log).await?;
    seeking_reads_again(log).await?;
    compaction_keeps_the_newest(log).await?;
    old_records_go(log).await
}

async fn topics_are_created_once_and_compared(log: &UpdateLog) -> Result<(), LogError> {
    let topic = compacted("created", 3);
    log.ensure_topic(&topic).await?;
    log.ensure_topic(&topic).await?;
    assert!(log.topics().await?.contains(&topic));
    let other = Topic {
        partitions: 4,
        ..topic.clone()
    };
    assert!(matches!(
        log.ensure_topic(&other).await,
        Err(LogError::TopicMismatch { .. })
    ));
    assert_eq!(log.watermarks("created").await?.len(), 3);
    log.delete_topic("created").await?;
    log.delete_topic("created").await?;
    assert!(matches!(
        log.watermarks("created").await,
        Err(LogError::NoTopic(_))
    ));
    assert!(matches!(
        log.append_records("created", &[record("a", "1")]).await,
        Err(LogError::NoTopic(_))
    ));
    Ok(())
}

async fn limits_are_kept(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("limits", 1)).await?;
    let large = NewRecord {
        value: Some(vec![0; crate::MAX_VALUE_BYTES + 1].into()),
        ..record("a", "")
    };
    let fits = NewRecord {
        value: Some(vec![0; crate::MAX_VALUE_BYTES].into()),
        ..record("a", "")
    };
    assert!(matches!(
        log.append_records("limits", &[fits.clone(), large]).await,
        Err(LogError::Invalid(_))
    ));
    assert_eq!(log.watermarks("limits").await?[0].high, 0, "all or nothing");
    log.append_records("limits", &[fits]).await?;
    let long_key = NewRecord {
        key: "k".repeat(crate::MAX_KEY_BYTES + 1),
        ..record("a", "")
    };
    assert!(matches!(
        log.append_records("limits", &[long_key]).await,
        Err(LogError::Invalid(_))
    ));
    let many = vec![record("a", ""); crate::MAX_BATCH + 1];
    assert!(matches!(
        log.append_records("limits", &many).await,
        Err(LogError::Invalid(_))
    ));
    assert!(matches!(
        log.ensure_topic(&compacted("no spaces", 1)).await,
        Err(LogError::Invalid(_))
    ));
    assert!(matches!(
        log.ensure_topic(&compacted("none", 0)).await,
        Err(LogError::Invalid(_))
    ));
    Ok(())
}

async fn records_keep_their_order_per_partition(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("ordered", 4)).await?;
    let records: Vec<NewRecord> = (0..100)
        .map(|n| record(&format!("scope-{}", n % 7), &n.to_string()))
        .collect();
    let positions = log.append_records("ordered", &records).await?;
    assert_eq!(positions.len(), 100);
    for (new, position) in records.iter().zip(&positions) {
        let at = log.read(&position.partition, position.offset, 1).await?;
        assert_eq!(
            (&at[0].key, &at[0].scope, &at[0].value),
            (&new.key, &new.scope, &new.value)
        );
        assert_eq!(position.partition.number, crate::partition_of(&new.scope, 4));
    }
    for number in 0..4 {
        let numbers: Vec<u32> = read_all(log, "ordered", number)
            .await?
            .iter()
            .map(number_of)
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    let high: u64 = log
        .watermarks("ordered")
        .await?
        .iter()
        .map(|marks| marks.high)
        .sum();
    assert_eq!(high, 100);
    Ok(())
}

async fn a_group_continues_where_it_committed(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("continued", 1)).await?;
    let records: Vec<NewRecord> = (0..6)
        .map(|n| keyed(&format!("key-{n}"), "a", &n.to_string()))
        .collect();
    log.append_records("continued", &records).await?;
    let mut group = join(log, "continuing", "continued").await?;
    let batch = group.poll(4, Duration::ZERO).await?;
    assert_eq!(numbers(&batch.records), [0, 1, 2, 3]);
    group.commit_batch(&batch).await?;
    assert_eq!(
        numbers(&group.poll(4, Duration::ZERO).await?.records),
        [4, 5],
        "not committed"
    );
    drop(group);
    assert_eq!(log.committed("continuing", "continued").await?, [4]);
    let mut group = alone(log, "continuing", "continued").await?;
    assert_eq!(
        numbers(&group.poll(4, SOON).await?.records),
        [4, 5],
        "asked again"
    );
    let mut other = join(log, "another", "continued").await?;
    assert_eq!(
        other.poll(10, Duration::ZERO).await?.records.len(),
        6,
        "groups are independent"
    );
    Ok(())
}

async fn a_poll_keeps_the_newest_of_each_key(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("superseded", 1)).await?;
    let records =
        [("a", "0"), ("b", "1"), ("a", "2"), ("c", "3"), ("a", "4")].map(|(key, n)| keyed(key, "s", n));
    log.append_records("superseded", &records).await?;
    let mut group = join(log, "newest", "superseded").await?;
    let batch = group.poll(10, Duration::ZERO).await?;
    assert_eq!(numbers(&batch.records), [1, 3, 4], "in the order of the log");
    assert_eq!(batch.superseded, 2);
    assert_eq!(batch.next[&partition("superseded", 0)], 5);
    Ok(())
}

async fn a_poll_waits_for_the_first_record(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("awaited", 2)).await?;
    let mut group = join(log, "waiting", "awaited").await?;
    assert_eq!(group.poll(10, Duration::from_millis(1)).await?.records, []);
    let records = [record("a", "7")];
    let (batch, appended) = tokio::join!(group.poll(10, SOON), log.append_records("awaited", &records));
    appended?;
    assert_eq!(numbers(&batch?.records), [7]);
    Ok(())
}

async fn members_share_the_partitions(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("shared", 5)).await?;
    let mut first = join(log, "sharing", "shared").await?;
    assert_eq!(first.assignment().partitions.len(), 5);
    let before = first.assignment().generation;
    let mut second = join(log, "sharing", "shared").await?;
    first.poll(1, Duration::ZERO).await?;
    assert!(
        first.assignment().generation > before,
        "a rebalance is a new generation"
    );
    assert_eq!(first.assignment().generation, second.assignment().generation);
    let mut owned = [
        first.assignment().partitions.clone(),
        second.assignment().partitions.clone(),
    ]
    .concat();
    owned.sort();
    assert_eq!(
        owned,
        (0..5)
            .map(|number| partition("shared", number))
            .collect::<Vec<_>>()
    );
    let foreign = second.assignment().partitions[0].clone();
    assert!(matches!(
        first.commit(&foreign, 1).await,
        Err(LogError::NotAssigned(_))
    ));
    second.commit(&foreign, 1).await?;
    assert_eq!(log.members("sharing").await?.len(), 2);
    drop(first);
    wait_for_partitions(&mut second, 5).await
}

async fn suffixes_include_topics_of_the_future(log: &UpdateLog) -> Result<(), LogError> {
    let mut group = log
        .group("suffixes", Subscription::Suffixes(vec![".later".into()]))
        .await?;
    assert_eq!(group.poll(10, Duration::ZERO).await?.records, []);
    log.ensure_topic(&compacted("docs.later", 2)).await?;
    log.append_records("docs.later", &[record("a", "3")]).await?;
    assert_eq!(numbers(&group.poll(10, SOON).await?.records), [3]);
    log.delete_topic("docs.later").await?;
    wait_for_partitions(&mut group, 0).await
}

async fn seeking_reads_again(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("sought", 1)).await?;
    let records: Vec<NewRecord> = (0..5)
        .map(|n| keyed(&format!("key-{n}"), "a", &n.to_string()))
        .collect();
    log.append_records("sought", &records).await?;
    let mut group = join(log, "seeking", "sought").await?;
    group.poll(10, Duration::ZERO).await?;
    group.seek(&partition("sought", 0), 3).await?;
    assert_eq!(numbers(&group.poll(10, Duration::ZERO).await?.records), [3, 4]);
    assert!(matches!(
        group.seek(&partition("other", 0), 3).await,
        Err(LogError::NotAssigned(_))
    ));
    Ok(())
}

async fn compaction_keeps_the_newest(log: &UpdateLog) -> Result<(), LogError> {
    log.ensure_topic(&compacted("compact", 1)).await?;
    let tombstone = NewRecord {
        value: None,
        ..keyed("gone", "s", "")
    };
    let records = [
        keyed("a", "s", "0"),
        keyed("gone", "s", "1"),
        keyed("a", "s", "2"),
        tombstone,
    ];
    let positions = log.append_records("compact", &records).await?;
    let appended_at = log.read(&positions[0].partition, 0, 1).await?[0].appended_at;
    log.clean_up(appended_at).await?;
    let offsets = |records: &[Record]| {
        records
            .iter()
            .map(|record| record.position.offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        offsets(&read_all(log, "compact", 0).await?),
        [2, 3],
        "young tombstones stay"
    );
    log.clean_up(appended_at.after(2 * DAY)).await?;
    assert_eq!(offsets(&read_all(log, "compact", 0).await?), [2]);
    assert_eq!(
        log.clean_up(appended_at.after(2 * DAY)).await?,
        0,
        "nothing is left to do"
    );
    assert_eq!(
        log.watermarks("compact").await?[0].high,
        4,
        "offsets are never used again"
    );
    Ok(())
}

async fn old_records_go(log: &UpdateLog) -> Result<(), LogError> {
    let cleanup = Cleanup::Delete { retention: DAY };
    log.ensure_topic(&Topic {
        name: "aging".into(),
        partitions: 1,
        cleanup,
    })
    .await?;
    let positions = log
        .append_records("aging", &[record("a", "0"), record("a", "1")])
        .await?;
    let appended_at = log.read(&positions[0].partition, 0, 1).await?[0].appended_at;
    log.clean_up(appended_at).await?;
    assert_eq!(read_all(log, "aging", 0).await?.len(), 2);
    log.clean_up(appended_at.after(3 * DAY)).await?;
    assert_eq!(read_all(log, "aging", 0).await?, []);
    let marks = log.watermarks("aging").await?[0];
    assert_eq!((marks.low, marks.high), (2, 2));
    let mut group = join(log, "late", "aging").await?;
    log.append_records("aging", &[record("a", "2")]).await?;
    assert_eq!(numbers(&group.poll(10, SOON).await?.records), [2]);
    Ok(())
}

/// Polls until the member owns so many partitions.
async fn wait_for_partitions(group: &mut Group, count: usize) -> Result<(), LogError> {
    let deadline = tokio::time::Instant::now() + SOON;
    while group.assignment().partitions.len() != count {
        assert!(
            tokio::time::Instant::now() < deadline,
            "still {:?}",
            group.assignment()
        );
        group.poll(1, Duration::from_millis(5)).await?;
    }
    Ok(())
}

/// Joins, and waits until those who left are gone.
async fn alone(log: &UpdateLog, name: &str, topic: &str) -> Result<Group, LogError> {
    let mut group = join(log, name, topic).await?;
    let partitions = log.watermarks(topic).await?.len();
    wait_for_partitions(&mut group, partitions).await?;
    let owned = group.assignment().partitions.clone();
    for (partition, offset) in owned.iter().zip(log.committed(name, topic).await?) {
        group.seek(partition, offset).await?;
    }
    Ok(group)
}

async fn join(log: &UpdateLog, group: &str, topic: &str) -> Result<Group, LogError> {
    log.group(group, Subscription::Topics(vec![topic.to_owned()]))
        .await
}

async fn read_all(log: &UpdateLog, topic: &str, number: u32) -> Result<Vec<Record>, LogError> {
    log.read(&partition(topic, number), 0, crate::MAX_BATCH).await
}

fn partition(topic: &str, number: u32) -> Partition {
    Partition {
        topic: topic.to_owned(),
        number,
    }
}

fn compacted(name: &str, partitions: u32) -> Topic {
    Topic {
        name: name.into(),
        partitions,
        cleanup: Cleanup::Compact { tombstones: DAY },
    }
}

fn record(scope: &str, value: &str) -> NewRecord {
    keyed(scope, scope, value)
}

fn keyed(key: &str, scope: &str, value: &str) -> NewRecord {
    NewRecord {
        key: key.into(),
        scope: scope.into(),
        value: Some(Bytes::from(value.to_owned())),
    }
}

fn number_of(record: &Record) -> u32 {
    let text = record
        .value
        .as_deref()
        .and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
}

fn numbers(records: &[Record]) -> Vec<u32> {
    records.iter().map(number_of).collect()
}
