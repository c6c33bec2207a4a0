//! What the log is told: requests, applied items, receipts, and the course of crawls.

use std::time::Duration;

use crawldb::{Crawldb, CrawldbError, Disposition, Finished, Item, Scan};
use model::{CrawlId, Host, SourceId, Timestamp};
use updates::{
    Applied, Change, Control, CrawlRequest, Ended, Entry, LogError, Partition, Receipt, ReceiptOutcome,
    UpdateLog, topics,
};

/// Records of one append at most.
const MAX_APPEND: usize = 500;
/// Items of one append share their time, and clocks of one machine do not go back further than this.
const MARGIN: Duration = Duration::from_secs(5);

/// What the readers of `applied` learn of an item: the document that it has, or that it has none any more. Nothing
/// where there was none before.
pub(crate) fn applied(item: &Item, was_indexed: bool) -> Option<Entry<Applied>> {
    let change = match (&item.disposition, &item.checksum, &item.extract) {
        (Some(Disposition::Indexed), Some(checksum), Some(extract)) => Change::Upsert {
            url: item.url.clone(),
            checksum: *checksum,
            extract: extract.clone(),
        },
        _ if was_indexed => Change::Delete,
        _ => return None,
    };
    let applied = Applied {
        source: item.source.clone(),
        item: item.id.clone(),
        crawl: item.crawl.clone(),
        version: item.version,
        host: item.url.host(),
        at: item.last_updated.unwrap_or_default(),
        change,
    };
    Some(Entry {
        key: item.id.to_string(),
        scope: item.scope.clone(),
        value: Some(applied),
    })
}

pub(crate) fn request(crawl: &CrawlId, item: &model::ItemId, scope: &str) -> Entry<CrawlRequest> {
    let request = CrawlRequest {
        item: item.clone(),
        crawl: crawl.clone(),
    };
    Entry {
        key: item.to_string(),
        scope: scope.to_owned(),
        value: Some(request),
    }
}

/// Nothing for what was only given back.
pub(crate) fn receipt(crawl: &CrawlId, finished: &Finished, scope: &str) -> Option<Entry<Receipt>> {
    let failure = |item: &Item| {
        let message = item.last_error.as_ref().map(|error| error.message.clone());
        ReceiptOutcome::Failure(message.unwrap_or_default())
    };
    let (item, outcome) = match finished {
        Finished::Applied(item) | Finished::Unchanged(item) | Finished::Deleted { item, .. } => {
            (&item.id, ReceiptOutcome::Success)
        }
        Finished::Retry(item) | Finished::Escalated(item) => (&item.id, failure(item)),
        Finished::Stale(id) => (id, ReceiptOutcome::Stale),
        Finished::Released(_) => return None,
    };
    let receipt = Receipt {
        item: item.clone(),
        crawl: crawl.clone(),
        outcome,
    };
    Some(Entry {
        key: item.to_string(),
        scope: scope.to_owned(),
        value: Some(receipt),
    })
}

/// One scope for all that is said of a crawl, so that it is read in this order.
async fn control(log: &UpdateLog, crawl: &CrawlId, key: String, value: Control) -> Result<(), LogError> {
    let entry = Entry {
        scope: crawl.to_string(),
        key,
        value: Some(value),
    };
    log.append(topics::CONTROL, &[entry]).await.map(drop)
}

pub(crate) async fn started(log: &UpdateLog, crawl: &CrawlId, hosts: &[String]) -> Result<(), LogError> {
    let hosts = hosts.iter().filter_map(|host| Host::new(host).ok()).collect();
    control(
        log,
        crawl,
        crawl.to_string(),
        Control::CrawlStarted {
            crawl: crawl.clone(),
            hosts,
        },
    )
    .await
}

pub(crate) async fn host_done(
    log: &UpdateLog,
    crawl: &CrawlId,
    host: &Host,
    items: u64,
) -> Result<(), LogError> {
    let done = Control::HostDone {
        crawl: crawl.clone(),
        host: host.clone(),
        items,
    };
    control(log, crawl, format!("{crawl} {host}"), done).await
}

pub(crate) async fn ended(log: &UpdateLog, crawl: &CrawlId, ended: Ended) -> Result<(), LogError> {
    control(
        log,
        crawl,
        crawl.to_string(),
        Control::CrawlEnded {
            crawl: crawl.clone(),
            ended,
        },
    )
    .await
}

/// Why applied items could not be announced again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReannounceError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Crawldb(#[from] CrawldbError),
}

/// After a crash: items may be applied in the crawl database and missing in the log. Announces everything again that
/// was applied since the newest announcement; records carry versions, so twice does no harm.
pub(crate) async fn reannounce(
    log: &UpdateLog,
    crawldb: &Crawldb,
    source: &SourceId,
) -> Result<u64, ReannounceError> {
    let topic = topics::applied(source);
    let newest = newest_applied(log, &topic).await?;
    let since = Timestamp::from_millis(newest.as_millis().saturating_sub(MARGIN.as_millis() as u64));
    let (mut after, mut announced) = (None, 0);
    loop {
        let scan = Scan {
            source,
            states: &[],
            crawl: None,
            updated_since: Some(since),
            lease_expired_at: None,
            after: after.as_ref(),
            limit: MAX_APPEND,
        };
        let items = crawldb.items(&scan).await?;
        let entries: Vec<_> = items.iter().filter_map(|item| applied(item, true)).collect();
        log.append(&topic, &entries).await?;
        announced += entries.len() as u64;
        let Some(last) = items.last() else {
            return Ok(announced);
        };
        after = Some(last.id.clone());
    }
}

async fn newest_applied(log: &UpdateLog, topic: &str) -> Result<Timestamp, LogError> {
    let mut newest = Timestamp::default();
    for (number, marks) in (0..).zip(log.watermarks(topic).await?) {
        if marks.high == 0 {
            continue;
        }
        let partition = Partition {
            topic: topic.to_owned(),
            number,
        };
        for record in log.read(&partition, marks.high - 1, 1).await? {
            let applied: Option<Applied> = record.decode()?;
            newest = newest.max(applied.map(|applied| applied.at).unwrap_or_default());
        }
    }
    Ok(newest)
}
