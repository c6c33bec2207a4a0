//! Works along on crawls that other processes lead, and takes over those whose process is gone.

use std::sync::Arc;
use std::time::Duration;

use crawldb::{Crawl, CrawlStatus, Source};
use model::CrawlId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::crawler::{CrawlError, Crawler};
use crate::patience::{WriteError, with_causes};
use crate::run::{Run, Shared};

/// How often it is looked for crawls, and at those that are worked on.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for crawls until the crawler stops.
pub(crate) async fn follow(crawler: Crawler, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(EVERY))
        .await
        .is_some()
    {
        if let Some(Err(error)) = stop.run_until_cancelled(look_around(&crawler)).await {
            tracing::warn!(
                error = with_causes(&error),
                "crawls of other processes could not be looked for"
            );
        }
    }
}

async fn look_around(crawler: &Crawler) -> Result<(), CrawlError> {
    for source in crawler.sources().await? {
        for id in &source.active_crawls {
            if let Err(error) = look_at(crawler, &source, id).await {
                tracing::warn!(crawl = %id, error = with_causes(&error), "the crawl is left to others for now");
            }
        }
    }
    Ok(())
}

async fn look_at(crawler: &Crawler, source: &Source, id: &CrawlId) -> Result<(), CrawlError> {
    if crawler.conducts(id) {
        return Ok(());
    }
    let shared = crawler.shared();
    let Some(crawl) = shared.deps.ledger.crawldb().crawl(id).await? else {
        return Ok(());
    };
    if crawler.is_abandoned(&crawl) {
        return crawler.take_over(&crawl, source).await.map(drop);
    }
    // What bears this process's own name is being started, or was left by an earlier life of it.
    let is_idle = crawler.run(id).is_none_or(|run| run.is_over());
    if is_idle && is_worked_on(&crawl) && crawl.service != shared.deps.service {
        crawler.join(crawl, source).await?;
    }
    Ok(())
}

fn is_worked_on(crawl: &Crawl) -> bool {
    matches!(
        crawl.status,
        CrawlStatus::Pending | CrawlStatus::Enumerating | CrawlStatus::Processing
    )
}

/// Works on the hosts of this process until everything is processed, or this process takes the lead.
pub(crate) async fn work_along(shared: Arc<Shared>, run: Arc<Run>) {
    tracing::info!(crawl = %run.crawl.id, "works along");
    let mut measured = (Instant::now(), 0);
    while !run.stop.is_cancelled() && !run.conducts() {
        match look(&shared, &run, &mut measured).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.is_fence() => drop(run.fenced(&shared).await),
            Err(error) => tracing::warn!(crawl = %run.crawl.id, error = with_causes(&error), "trying again"),
        }
        run.stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
    if run.conducts() {
        return;
    }
    shared.wind_down(&run).await;
    if let Err(error) = run.record_work(&shared).await {
        tracing::warn!(crawl = %run.crawl.id, %error, "what was done for the crawl could not be recorded");
    }
    run.progress.send_modify(|progress| progress.is_final = true);
}

/// Whether there is still something to do.
async fn look(
    shared: &Arc<Shared>,
    run: &Arc<Run>,
    measured: &mut (Instant, u64),
) -> Result<bool, WriteError> {
    let crawldb = shared.deps.ledger.crawldb();
    let Some(crawl) = crawldb.crawl(&run.crawl.id).await? else {
        return Ok(false);
    };
    let status = crawl.status;
    run.hold(crawl.clone());
    let totals = crawldb.totals(&run.crawl.id).await?;
    run.items
        .fetch_max(totals.seen, std::sync::atomic::Ordering::AcqRel);
    run.show(status, totals, rate(run, measured));
    if !is_worked_on(&crawl) {
        return Ok(false);
    }
    run.record_gaps(shared).await?;
    run.record_work(shared).await?;
    let scopes = crawldb.scopes(&run.crawl.id).await?;
    run.open_lanes(shared, &scopes);
    Ok(true)
}

fn rate(run: &Run, measured: &mut (Instant, u64)) -> f64 {
    let (since, then) = *measured;
    let now = run.work.fetches.load(std::sync::atomic::Ordering::Relaxed);
    *measured = (Instant::now(), now);
    (now - then) as f64 / since.elapsed().as_secs_f64().max(0.001)
}
