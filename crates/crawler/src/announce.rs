//! What the log is told of the course of crawls.

use model::{CrawlId, Host};
use updates::{Control, Ended, Entry, LogError, UpdateLog, topics};

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
