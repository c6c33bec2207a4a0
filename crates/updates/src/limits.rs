use crate::port::{LogError, NewRecord, Topic};

/// Bytes of one record's value at most: 1 MiB.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Bytes of one record's key, and of its scope, at most: 4 KiB.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// Records of one append or one poll at most.
pub const MAX_BATCH: usize = 10_000;
/// Partitions of one topic at most.
pub const MAX_PARTITIONS: u32 = 1_024;
/// Bytes of the name of a topic or a group at most (Kafka's rule).
const MAX_NAME_BYTES: usize = 249;

pub(crate) fn check_topic(topic: &Topic) -> Result<(), LogError> {
    check_name("topic", &topic.name)?;
    if (1..=MAX_PARTITIONS).contains(&topic.partitions) {
        return Ok(());
    }
    Err(LogError::Invalid(format!(
        "topic {:?} cannot have {} partitions; use 1 to {MAX_PARTITIONS}",
        topic.name, topic.partitions
    )))
}

pub(crate) fn check_group(name: &str) -> Result<(), LogError> {
    check_name("group", name)
}

fn check_name(what: &str, name: &str) -> Result<(), LogError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed) {
        return Ok(());
    }
    let name: String = name.chars().take(100).collect();
    Err(LogError::Invalid(format!(
        "{what} name {name:?} is not valid: use 1 to 249 of a-z, A-Z, 0-9, '.', '_', '-'"
    )))
}

pub(crate) fn check_records(records: &[NewRecord]) -> Result<(), LogError> {
    if records.len() > MAX_BATCH {
        let count = records.len();
        return Err(LogError::Invalid(format!(
            "{count} records are too many for one append; send at most {MAX_BATCH}"
        )));
    }
    records.iter().try_for_each(check_record)
}

fn check_record(record: &NewRecord) -> Result<(), LogError> {
    let within = |what, bytes, limit| {
        if bytes <= limit {
            return Ok(());
        }
        let key: String = record.key.chars().take(100).collect();
        Err(LogError::Invalid(format!(
            "the {what} of record {key:?} has {bytes} bytes; at most {limit} are allowed"
        )))
    };
    within("key", record.key.len(), MAX_KEY_BYTES)?;
    within("scope", record.scope.len(), MAX_KEY_BYTES)?;
    within(
        "value",
        record.value.as_ref().map_or(0, bytes::Bytes::len),
        MAX_VALUE_BYTES,
    )
}
