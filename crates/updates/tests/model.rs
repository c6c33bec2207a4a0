//! Random appends and clean-ups, against a model that remembers everything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use model::Timestamp;
use proptest::prelude::*;
use updates::{Cleanup, NewRecord, Partition, Record, Subscription, Topic, UpdateLog};

const TOPIC: &str = "docs.applied";
const PARTITIONS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Keys, each with a value or a tombstone.
    Append(Vec<(u8, Option<u8>)>),
    CleanUp,
    Poll(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec((0..8_u8, any::<Option<u8>>()), 1..12).prop_map(Step::Append),
        1 => Just(Step::CleanUp),
        2 => (1..10_usize).prop_map(Step::Poll),
    ]
}

fn record((key, value): (u8, Option<u8>)) -> NewRecord {
    let value = value.map(|value| Bytes::from(vec![value]));
    NewRecord {
        key: format!("key-{key}"),
        scope: format!("scope-{}", key % 4),
        value,
    }
}

fn newest<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<String, Option<Bytes>> {
    records
        .into_iter()
        .map(|record| (record.key.clone(), record.value.clone()))
        .collect()
}

async fn read_all(log: &UpdateLog) -> Vec<Record> {
    let mut records = Vec::new();
    for number in 0..PARTITIONS {
        let partition = Partition {
            topic: TOPIC.into(),
            number,
        };
        records.extend(log.read(&partition, 0, 1_000).await.unwrap());
    }
    records
}

fn check_order(records: &[Record], last: &mut BTreeMap<Partition, u64>) {
    for record in records {
        let before = last.insert(record.position.partition.clone(), record.position.offset);
        assert!(
            before.is_none_or(|before| before < record.position.offset),
            "{record:?} after {before:?}"
        );
    }
}

async fn run(log: UpdateLog, steps: Vec<Step>) {
    let cleanup = Cleanup::Compact {
        tombstones: Duration::from_secs(3_600),
    };
    log.ensure_topic(&Topic {
        name: TOPIC.into(),
        partitions: PARTITIONS,
        cleanup,
    })
    .await
    .unwrap();
    let mut group = log
        .group("readers", Subscription::Topics(vec![TOPIC.into()]))
        .await
        .unwrap();
    let mut model: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
    let mut read: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
    let mut order = BTreeMap::new();
    for step in steps {
        match step {
            Step::Append(entries) => {
                let records: Vec<NewRecord> = entries.into_iter().map(record).collect();
                log.append_records(TOPIC, &records).await.unwrap();
                model.extend(records.into_iter().map(|record| (record.key, record.value)));
            }
            Step::CleanUp => {
                log.clean_up(Timestamp::default()).await.unwrap();
                assert_eq!(
                    read_all(&log).await.len(),
                    model.len(),
                    "one record per key is left"
                );
            }
            Step::Poll(max) => {
                let batch = group.poll(max, Duration::ZERO).await.unwrap();
                check_order(&batch.records, &mut order);
                read.extend(newest(&batch.records));
            }
        }
        assert_eq!(
            newest(&read_all(&log).await),
            model,
            "the newest of every key is never lost"
        );
    }
    loop {
        let batch = group.poll(100, Duration::ZERO).await.unwrap();
        check_order(&batch.records, &mut order);
        read.extend(newest(&batch.records));
        if batch.records.is_empty() {
            break;
        }
    }
    assert_eq!(
        read, model,
        "a reader that follows ends with the newest of every key"
    );
    log.clean_up(Timestamp::from_millis(u64::MAX)).await.unwrap();
    model.retain(|_, value| value.is_some());
    assert_eq!(newest(&read_all(&log).await), model, "old tombstones go");
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn compaction_and_polls_in_memory(steps in prop::collection::vec(step(), 1..30)) {
        block_on(run(UpdateLog::memory(), steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30) })]

    #[test]
    fn compaction_and_polls_in_sqlite(steps in prop::collection::vec(step(), 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        block_on(run(UpdateLog::open(&folder.path().join("updates.db")).unwrap(), steps));
    }
}
