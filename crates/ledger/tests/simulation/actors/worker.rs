//! A worker: claims what is due, fetches it, tells of what it links to, and settles it.

use std::time::Duration;

use crawldb::transition::version_of;
use crawldb::{Attempt, Crawl, Finished, Item, Outcome, RetryPolicy};
use ledger::LedgerError;

use super::End;
use crate::bug::Bug;
use crate::stage::Life;
use crate::truth::{content_of, seconds};

const LEASE: Duration = seconds(10);

pub(crate) async fn work(life: &Life) -> End {
    let mut known = Known::default();
    loop {
        let site = life.stage.world.roll(|dice| dice.index(2));
        let worked = match work_on(life, site, &mut known).await {
            Ok(worked) => worked,
            Err(end) => return end,
        };
        if !worked {
            life.sleep(500, 4_000).await;
        }
    }
}

/// The crawl of each site as it was read once: it may be another process's by now.
type Known = [Option<Crawl>; 2];

async fn crawl_of<'a>(life: &Life, site: usize, known: &'a mut Known) -> Result<Option<&'a Crawl>, End> {
    let running = life.stage.running(site);
    if known[site].as_ref().map(|crawl| &crawl.id) != running.as_ref() {
        known[site] = match running {
            Some(id) => life.stage.crawldb.crawl(&id).await?,
            None => None,
        };
    }
    Ok(known[site].as_ref())
}

/// Whether there was anything to do.
async fn work_on(life: &Life, site: usize, known: &mut Known) -> Result<bool, End> {
    let crawldb = &life.stage.crawldb;
    let id = life.stage.source_id(site);
    let Some(crawl) = crawl_of(life, site, known).await? else {
        return Ok(false);
    };
    let limit = life.stage.world.roll(|dice| dice.between(1, 4)) as usize;
    let mut claimed = crawldb
        .claim(crawl, None, &life.name, LEASE, limit, life.now())
        .await?;
    if life.stage.world.has(Bug::TrustsRequests) {
        let topic = updates::topics::crawl(&id);
        let requested = life.stage.log.records(&topic);
        claimed.retain(|item| {
            requested.iter().any(|record| {
                let request = record.decode::<updates::CrawlRequest>().ok().flatten();
                request.is_some_and(|request| request.item == item.id && request.crawl == crawl.id)
            })
        });
    }
    if claimed.is_empty() {
        return Ok(false);
    }
    let mut attempts = Vec::new();
    for item in claimed {
        let outcome = life.stage.fetch(site, &item.id, item.etag.as_deref()).await;
        note_read(life, crawl, &item, &outcome);
        attempts.push(Attempt { item, outcome });
    }
    settle(life, site, crawl, attempts).await?;
    Ok(true)
}

/// What the witness must know before anything is written.
fn note_read(life: &Life, crawl: &Crawl, item: &Item, outcome: &Outcome) {
    let content = match outcome {
        Outcome::Applied { content, .. } => content.as_ref().map(content_of),
        Outcome::Unchanged { .. } => item.content.as_ref().map(content_of),
        Outcome::Gone { .. } => None,
        Outcome::Failed { .. } | Outcome::Released => return,
    };
    life.stage
        .witness
        .read(&item.source, &item.id, version_of(crawl), content);
}

/// Links are told before the page that has them is settled: a crash between the two leaves the page to be read again.
async fn settle(life: &Life, site: usize, crawl: &Crawl, attempts: Vec<Attempt>) -> Result<(), End> {
    let was_read = |attempt: &&Attempt| {
        matches!(
            attempt.outcome,
            Outcome::Applied { .. } | Outcome::Unchanged { .. }
        )
    };
    let links: Vec<_> = {
        let sites = life.stage.sites();
        attempts
            .iter()
            .filter(was_read)
            .flat_map(|attempt| sites[site].links(&attempt.item.id))
            .collect()
    };
    let settles_first = life.stage.world.has(Bug::SettlesBeforeSighting);
    if !settles_first && !links.is_empty() {
        life.ledger.sight(crawl, &links, life.now()).await?;
    }
    let mut retry = life.stage.sites()[site].retry.clone();
    if life.stage.world.has(Bug::RetriesTooOften) {
        retry.max_retries += 2;
    }
    finish(life, crawl, attempts, &retry).await?;
    if settles_first && !links.is_empty() {
        life.sleep(0, 5_000).await;
        life.ledger.sight(crawl, &links, life.now()).await?;
    }
    Ok(())
}

/// Settling may be tried again: what was taken the first time is stale then.
async fn finish(
    life: &Life,
    crawl: &Crawl,
    attempts: Vec<Attempt>,
    retry: &RetryPolicy,
) -> Result<Vec<Finished>, LedgerError> {
    let world = &life.stage.world;
    let mut jitter = || world.roll(crate::dice::Dice::part);
    let first = life
        .ledger
        .settle(crawl, attempts.clone(), retry, life.now(), &mut jitter)
        .await;
    match first {
        Err(LedgerError::Crawldb(crawldb::CrawldbError::Store(_))) => {
            life.ledger
                .settle(crawl, attempts, retry, life.now(), &mut jitter)
                .await
        }
        other => other,
    }
}
