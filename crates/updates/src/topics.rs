//! The topics of Haul: their names and how they are configured.

use std::time::Duration;

use model::SourceId;

use crate::handle::UpdateLog;
use crate::port::{Cleanup, LogError, Topic};

/// What stages tell each other about crawls and packs.
pub const CONTROL: &str = "control";
/// Partitions of a source's topics, unless it asks for another number.
pub const DEFAULT_PARTITIONS: u32 = 12;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// "Process this item for this crawl": [`CrawlRequest`](crate::CrawlRequest).
pub fn crawl(source: &SourceId) -> String {
    format!("{source}.crawl")
}

/// What became of items: [`Applied`](crate::Applied). Packers and replay read it.
pub fn applied(source: &SourceId) -> String {
    format!("{source}.applied")
}

/// How listeners answer requests: [`Receipt`](crate::Receipt).
pub fn receipts(source: &SourceId) -> String {
    format!("{source}.receipts")
}

/// Updates that the source itself tells of.
pub fn live(source: &SourceId) -> String {
    format!("{source}.live")
}

/// Items for people, with what went wrong.
pub fn escalated(source: &SourceId) -> String {
    format!("{source}.escalated")
}

/// The topics of a source.
pub fn of_source(source: &SourceId, partitions: u32) -> Vec<Topic> {
    let short = Cleanup::CompactDelete {
        retention: 7 * DAY,
        tombstones: DAY,
    };
    let long = Cleanup::CompactDelete {
        retention: 90 * DAY,
        tombstones: 30 * DAY,
    };
    let state = Cleanup::Compact { tombstones: 30 * DAY };
    let topic = |name, cleanup| Topic {
        name,
        partitions,
        cleanup,
    };
    vec![
        topic(live(source), state),
        topic(crawl(source), short),
        topic(applied(source), state),
        topic(receipts(source), Cleanup::Delete { retention: 7 * DAY }),
        topic(escalated(source), long),
    ]
}

/// The control topic. One partition: its records are few, and every reader wants them in one order.
pub fn control() -> Topic {
    Topic {
        name: CONTROL.into(),
        partitions: 1,
        cleanup: Cleanup::Compact { tombstones: 30 * DAY },
    }
}

/// Creates the control topic and the topics of a source where they do not exist.
pub async fn ensure_source(log: &UpdateLog, source: &SourceId, partitions: u32) -> Result<(), LogError> {
    log.ensure_topic(&control()).await?;
    for topic in of_source(source, partitions) {
        log.ensure_topic(&topic).await?;
    }
    Ok(())
}
