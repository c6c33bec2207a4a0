//! The feed of a source, and the listeners that take what it tells.

use std::time::Duration;

use crawldb::{Outcome, Source};
use ledger::{LiveClock, LiveRead};
use model::{Rank, SourceId, Version};
use updates::{Batch, LiveChange, LiveUpdate, Record, Subscription, topics};

use super::End;
use crate::bug::Bug;
use crate::stage::Life;
use crate::truth::{applied, as_known, content_of};

/// Tells what has changed until the log has taken it.
pub(crate) async fn feed(life: &Life, site: usize) -> End {
    let id = life.stage.source_id(site);
    loop {
        let next = life.stage.sites()[site].outbox.front().cloned();
        let Some(update) = next else {
            life.sleep(300, 3_000).await;
            continue;
        };
        let told = async {
            let source = life.stage.crawldb.source(&id).await?;
            if let Some(source) = source {
                life.ledger.submit(&source, std::slice::from_ref(&update)).await?;
            }
            Ok::<_, End>(())
        };
        if let Err(end) = told.await {
            return end;
        }
        life.stage.sites()[site].outbox.pop_front();
    }
}

/// Reads what sources tell, looks into it, writes it, and only then moves on.
pub(crate) async fn listen(life: &Life) -> End {
    match listen_on(life).await {
        Ok(()) => End::Done,
        Err(end) => end,
    }
}

async fn listen_on(life: &Life) -> Result<(), End> {
    let ids: Vec<SourceId> = (0..2).map(|site| life.stage.source_id(site)).collect();
    let wants = Subscription::Topics(ids.iter().map(topics::live).collect());
    let mut group = life.stage.updates.group(ledger::LIVE_GROUP, wants).await?;
    loop {
        let batch = group.poll(3, Duration::ZERO).await?;
        if batch.next.is_empty() {
            life.sleep(500, 5_000).await;
            continue;
        }
        let commits_first = life.stage.world.has(Bug::CommitsBeforeApplying);
        if commits_first {
            group.commit_batch(&batch).await?;
        }
        for (site, id) in ids.iter().enumerate() {
            take(life, site, id, &batch).await?;
        }
        if !commits_first {
            group.commit_batch(&batch).await?;
        }
    }
}

async fn take(life: &Life, site: usize, id: &SourceId, batch: &Batch) -> Result<(), End> {
    let topic = topics::live(id);
    let mine: Vec<&Record> = batch
        .records
        .iter()
        .filter(|record| record.position.partition.topic == topic)
        .collect();
    if mine.is_empty() {
        return Ok(());
    }
    let Some(source) = life.stage.crawldb.source(id).await? else {
        return Ok(());
    };
    let clock = life.ledger.live_clock(&source).await?;
    let mut reads = Vec::new();
    for record in mine {
        if let Some(update) = record.decode::<LiveUpdate>()? {
            reads.push(read(life, site, &source, &clock, record, &update).await?);
        }
    }
    let jitter = life.stage.world.roll(crate::dice::Dice::part);
    life.ledger
        .apply_live(&source, &reads, life.now(), jitter)
        .await?;
    Ok(())
}

async fn read(
    life: &Life,
    site: usize,
    source: &Source,
    clock: &LiveClock,
    record: &Record,
    update: &LiveUpdate,
) -> Result<LiveRead, End> {
    let outcome = match &update.change {
        LiveChange::Upsert { content, .. } => applied(content_of(content)),
        LiveChange::Delete => Outcome::Gone {
            reason: "told".into(),
        },
        LiveChange::Fetch => fetch(life, site, source, update).await?,
    };
    let version = clock.version(record, update);
    if let Some(content) = content_read(&outcome) {
        life.stage
            .witness
            .read(&source.id, &update.item, version, content);
    }
    let arrival = Version::new(life.now(), Rank::Live, 0);
    let by_arrival = life.stage.world.has(Bug::VersionsByArrival);
    Ok(LiveRead {
        id: update.item.clone(),
        url: update.url.clone(),
        scope: record.scope.clone(),
        version: if by_arrival { arrival } else { version },
        outcome,
    })
}

/// "Not modified" means the content that was known when the question was put: it is written as such, because another
/// writer may be faster with another one.
async fn fetch(life: &Life, site: usize, source: &Source, update: &LiveUpdate) -> Result<Outcome, End> {
    let known = life.stage.crawldb.item(&source.id, &update.item).await?;
    let etag = known.as_ref().and_then(|item| item.etag.as_deref());
    let outcome = life.stage.fetch(site, &update.item, etag).await;
    match (&outcome, &known) {
        (Outcome::Unchanged { .. }, Some(known)) => Ok(as_known(known)),
        _ => Ok(outcome),
    }
}

/// What was read, where something was.
fn content_read(outcome: &Outcome) -> Option<Option<u32>> {
    match outcome {
        Outcome::Applied { content, .. } => Some(content.as_ref().map(content_of)),
        Outcome::Gone { .. } => Some(None),
        Outcome::Unchanged { .. } | Outcome::Failed { .. } | Outcome::Released => None,
    }
}
