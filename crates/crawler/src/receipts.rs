//! Reads how the listeners answered the requests of a crawl: a reason to look whether it is complete, and figures. Whether
//! it is complete, the items' records say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use updates::{Group, LogError, Partition, Receipt, ReceiptOutcome, Record, Subscription, topics};

use crate::run::{Run, Shared};

const MAX_RECORDS: usize = 5_000;
const WAIT: Duration = Duration::from_secs(5);
/// Between two tries to read a log that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the receipts of the crawl from now on until those of its end; `news` hears of each batch.
pub(crate) async fn read(shared: Arc<Shared>, run: Arc<Run>, news: Arc<Notify>, end: CancellationToken) {
    while let Err(error) = follow(&shared, &run, &news, &end).await {
        tracing::warn!(crawl = %run.crawl.id, %error, "receipts could not be read, trying again");
        if end.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

/// Every crawl has a group of its own, so that each one reads all receipts. It commits nothing: when the crawl is over,
/// nothing of the group is left.
async fn follow(shared: &Shared, run: &Run, news: &Notify, end: &CancellationToken) -> Result<(), LogError> {
    let topic = topics::receipts(&run.source.id);
    let log = shared.deps.ledger.log();
    let marks: Vec<u64> = log
        .watermarks(&topic)
        .await?
        .iter()
        .map(|marks| marks.high)
        .collect();
    let name = format!("receipts.{}.{}", run.source.id, run.crawl.started_at.as_millis());
    let mut group = log.group(&name, Subscription::Topics(vec![topic])).await?;
    let mut placed = BTreeSet::new();
    loop {
        place(&mut group, &marks, &mut placed).await?;
        let batch = match end.run_until_cancelled(group.poll(MAX_RECORDS, WAIT)).await {
            Some(batch) => batch?,
            None => group.poll(MAX_RECORDS, Duration::ZERO).await?,
        };
        let fresh = |record: &&Record| {
            let position = &record.position;
            marks
                .get(position.partition.number as usize)
                .is_some_and(|mark| position.offset >= *mark)
        };
        for record in batch.records.iter().filter(fresh) {
            count(shared, run, record);
        }
        if !batch.records.is_empty() {
            news.notify_one();
        } else if end.is_cancelled() {
            return Ok(());
        }
    }
}

/// Partitions that are new to the member are read from their marks on.
async fn place(group: &mut Group, marks: &[u64], placed: &mut BTreeSet<Partition>) -> Result<(), LogError> {
    for partition in group.assignment().partitions.clone() {
        let mark = marks.get(partition.number as usize).copied().unwrap_or(0);
        if placed.insert(partition.clone()) {
            group.seek(&partition, mark).await?;
        }
    }
    Ok(())
}

fn count(shared: &Shared, run: &Run, record: &Record) {
    match record.decode::<Receipt>() {
        Ok(Some(receipt)) if receipt.crawl == run.crawl.id => shared.metrics.receipt(name(&receipt.outcome)),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "a receipt is skipped"),
    }
}

fn name(outcome: &ReceiptOutcome) -> &'static str {
    match outcome {
        ReceiptOutcome::Success => "success",
        ReceiptOutcome::Failure(_) => "failure",
        ReceiptOutcome::Superseded => "superseded",
        ReceiptOutcome::Stale => "stale",
    }
}
