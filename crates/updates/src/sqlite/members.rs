use model::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::topics::{self, Found};
use super::{integer, natural};
use crate::engine::Beat;
use crate::groups::{self, Members};
use crate::port::{Assignment, Partition, Subscription};

fn member(row: &Row<'_>) -> rusqlite::Result<(String, Subscription)> {
    let text: String = row.get(1)?;
    let broken = |error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error));
    Ok((row.get(0)?, serde_json::from_str(&text).map_err(broken)?))
}

/// Members whose time is not over.
pub(super) fn living(connection: &Connection, group: &str, now: Timestamp) -> rusqlite::Result<Members> {
    connection
        .prepare_cached("SELECT id, subscription FROM members WHERE in_group = ?1 AND expires_at > ?2")?
        .query_map(params![group, integer(now.as_millis())], member)?
        .collect()
}

pub(super) fn heartbeat(transaction: &Transaction<'_>, beat: &Beat<'_>) -> rusqlite::Result<Assignment> {
    transaction
        .prepare_cached("DELETE FROM members WHERE in_group = ?1 AND expires_at <= ?2")?
        .execute(params![beat.group, integer(beat.now.as_millis())])?;
    let subscription = serde_json::to_string(beat.subscription)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO members (in_group, id, subscription, expires_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            beat.group,
            beat.member,
            subscription,
            integer(beat.expires_at.as_millis())
        ])?;
    let members = living(transaction, beat.group, beat.now)?;
    let topics = topics::list(transaction)?;
    let generation = generation(transaction, beat.group, &groups::fingerprint(&members, &topics))?;
    Ok(Assignment {
        generation,
        partitions: groups::partitions_of(beat.member, &members, &topics),
    })
}

/// The group's generation; the next one where its assignment follows from something else than before.
fn generation(transaction: &Transaction<'_>, group: &str, fingerprint: &str) -> rusqlite::Result<u64> {
    let stored: Option<(i64, String)> = transaction
        .prepare_cached("SELECT generation, fingerprint FROM groups WHERE name = ?1")?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (generation, before) = stored.unwrap_or_default();
    if before == fingerprint {
        return Ok(natural(generation));
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO groups (name, generation, fingerprint) VALUES (?1, ?2, ?3)")?
        .execute(params![group, generation + 1, fingerprint])?;
    topics::change_layout(transaction)?;
    Ok(natural(generation + 1))
}

pub(super) fn leave(transaction: &Transaction<'_>, group: &str, member: &str) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM members WHERE in_group = ?1 AND id = ?2",
        [group, member],
    )?;
    topics::change_layout(transaction)
}

pub(super) fn committed(connection: &Connection, group: &str, found: &Found) -> rusqlite::Result<Vec<u64>> {
    let offsets = topics::offsets(connection, group, found)?;
    let offset = |number| offsets.get(&found.log(number)).copied().map_or(0, natural);
    Ok((0..found.topic.partitions).map(offset).collect())
}

/// Stores the offset if the member owns the partition; says whether it does. A member whose time is over keeps its
/// partitions until another member notices.
pub(super) fn commit(
    transaction: &Transaction<'_>,
    group: &str,
    member: &str,
    partition: &Partition,
    found: &Found,
    next: u64,
) -> rusqlite::Result<bool> {
    let members = living(transaction, group, Timestamp::default())?;
    let topics = std::slice::from_ref(&found.topic);
    if !groups::partitions_of(member, &members, topics).contains(partition) {
        return Ok(false);
    }
    topics::store_offset(transaction, group, found.log(partition.number), next)?;
    Ok(true)
}
