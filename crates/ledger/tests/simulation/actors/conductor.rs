//! The conductor of a crawl: starts it or takes it over, lists the source, waits for the workers, looks for orphans.

use async_trait::async_trait;
use crawldb::{Crawl, CrawlKind, CrawlStatus, Item, OrphanReport, Outcome, StartError, Work};
use ledger::{Presence, Sweep, Verify};
use model::Timestamp;
use updates::topics;

use super::End;
use crate::bug::Bug;
use crate::stage::Life;
use crate::truth::Site;

/// Sweeps that a conductor tries while updates are still on their way.
const MAX_SWEEPS: u32 = 20;

pub(crate) async fn conduct(life: &Life, site: usize) -> End {
    loop {
        let crawled = async {
            let Some(crawl) = begin(life, site).await? else {
                return Ok(false);
            };
            run(life, site, crawl).await?;
            Ok(true)
        };
        match crawled.await {
            Ok(true) => life.sleep(2_000, 8_000).await,
            Ok(false) => life.sleep(2_000, 6_000).await,
            Err(end) => return end,
        }
    }
}

/// A crawl in the hands of this life; none where another one has it, or none is wanted.
async fn begin(life: &Life, site: usize) -> Result<Option<Crawl>, End> {
    let crawldb = &life.stage.crawldb;
    let id = life.stage.source_id(site);
    if let Some(running) = life.stage.running(site) {
        let crawl = crawldb.crawl(&running).await?;
        if crawl.is_none_or(|crawl| crawl.alive_until >= life.now()) {
            return Ok(None);
        }
        return Ok(crawldb.take_over(&running, &life.name, life.now()).await?);
    }
    if !life.stage.may_crawl(site) {
        return Ok(None);
    }
    match crawldb
        .start_crawl(&id, CrawlKind::Full, &life.name, life.now())
        .await
    {
        Ok(started) => {
            life.stage.has_begun_crawl(site);
            Ok(started.crawl())
        }
        Err(StartError::Running(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn run(life: &Life, site: usize, crawl: Crawl) -> Result<(), End> {
    let crawl = mark_start(life, crawl).await?;
    let crawl = enumerate(life, site, crawl).await?;
    let fails = !life.stage.is_quiet() && life.stage.world.roll(|dice| dice.chance(30));
    if fails {
        return end(life, &crawl, CrawlStatus::Failed).await;
    }
    wait_until_processed(life, &crawl).await?;
    if !life.stage.world.has(Bug::NeverRecovers) {
        life.ledger
            .recover(&crawl.id.source(), life.stage.recover_age(), life.now())
            .await?;
    }
    let crawl = life
        .stage
        .crawldb
        .set_status(&crawl, CrawlStatus::Orphans)
        .await?;
    sweep_and_end(life, site, crawl).await
}

/// What lies behind these marks is newer than the crawl, because nothing was read for it yet.
async fn mark_start(life: &Life, crawl: Crawl) -> Result<Crawl, End> {
    if !crawl.marks.live_start.is_empty() {
        return Ok(crawl);
    }
    let live = ends(life, &topics::live(&crawl.id.source())).await?;
    let applied = ends(life, &topics::applied(&crawl.id.source())).await?;
    let marked = life.stage.crawldb.update_crawl(&crawl, |crawl| {
        crawl.marks.live_start.clone_from(&live);
        crawl.marks.applied_start.clone_from(&applied);
        crawl.status = CrawlStatus::Enumerating;
    });
    Ok(marked.await?)
}

async fn ends(life: &Life, topic: &str) -> Result<Vec<u64>, End> {
    let marks = life.stage.updates.watermarks(topic).await?;
    Ok(marks.iter().map(|marks| marks.high).collect())
}

async fn enumerate(life: &Life, site: usize, crawl: Crawl) -> Result<Crawl, End> {
    if crawl.enumeration.ended_at.is_some() {
        return Ok(crawl);
    }
    let mut incomplete = Vec::new();
    for host in Site::hosts() {
        let answers = life.reaches("lists a host").await;
        let now = life.stage.world.now();
        let listed = life.stage.sites()[site].list(host, now).filter(|_| answers);
        match listed {
            Some(found) if found.is_empty() => {}
            Some(found) => {
                life.ledger.sight(&crawl, &found, life.now()).await?;
            }
            None if life.stage.world.has(Bug::ForgetsIncompleteScopes) => {}
            None => incomplete.push((*host).to_owned()),
        }
    }
    let live = ends(life, &topics::live(&crawl.id.source())).await?;
    let now = life.now();
    let listed = life.stage.crawldb.update_crawl(&crawl, |crawl| {
        let reasons = incomplete
            .iter()
            .map(|scope| (scope.clone(), "the listing failed".to_owned()));
        crawl.enumeration.incomplete = reasons.collect();
        crawl.enumeration.ended_at = Some(now);
        crawl.marks.live_enumerated.clone_from(&live);
        crawl.status = CrawlStatus::Processing;
    });
    Ok(listed.await?)
}

/// Items say whether they are done; messages about them may get lost.
async fn wait_until_processed(life: &Life, crawl: &Crawl) -> Result<(), End> {
    let crawldb = &life.stage.crawldb;
    loop {
        crawldb.store().refresh().await?;
        let totals = crawldb.totals(&crawl.id).await?;
        if totals.open + totals.failed == 0 {
            return Ok(());
        }
        life.sleep(1_000, 4_000).await;
        crawldb.add_work(crawl, Work::default(), life.now()).await?;
        crawldb.set_status(crawl, CrawlStatus::Processing).await?;
    }
}

/// Judges what the crawl missed and ends it; live updates that are on their way are waited for.
pub(crate) async fn sweep_and_end(life: &Life, site: usize, crawl: Crawl) -> Result<(), End> {
    if life.stage.world.has(Bug::NeverSweeps) {
        return end(life, &crawl, CrawlStatus::Completed).await;
    }
    let mut sweeps = 0;
    let report = loop {
        let report = sweep(life, site, &crawl).await?;
        sweeps += 1;
        if report.withheld.is_none() || sweeps == MAX_SWEEPS {
            break report;
        }
        life.stage.world.note(|| format!("withheld: {report:?}"));
        life.sleep(1_000, 4_000).await;
        life.stage
            .crawldb
            .add_work(&crawl, Work::default(), life.now())
            .await?;
    };
    life.stage.world.note(|| format!("swept: {report:?}"));
    end(life, &crawl, report.ending()).await
}

async fn sweep(life: &Life, site: usize, crawl: &Crawl) -> Result<OrphanReport, End> {
    let Some(source) = life.stage.crawldb.source(&crawl.id.source()).await? else {
        return Err(End::Done);
    };
    let Some(crawl) = life
        .stage
        .crawldb
        .crawl(&crawl.id)
        .await?
        .filter(|stored| stored.epoch == crawl.epoch)
    else {
        return Err(End::Done);
    };
    let sweep = Sweep {
        crawl: &crawl,
        source: &source,
        verify: &Asking { life, site },
        clock: &|| -> Timestamp { life.now() },
    };
    Ok(life.ledger.sweep(&sweep).await?)
}

async fn end(life: &Life, crawl: &Crawl, status: CrawlStatus) -> Result<(), End> {
    let counts = life.stage.store.truth().totals(&crawl.id).await?;
    life.stage.witness.ends(&crawl.id, counts);
    life.stage
        .crawldb
        .end_crawl(crawl, status, None, life.now())
        .await?;
    Ok(())
}

struct Asking<'a> {
    life: &'a Life,
    site: usize,
}

#[async_trait]
impl Verify for Asking<'_> {
    async fn verify(&self, item: &Item) -> Option<Presence> {
        if !self.life.stage.sites()[self.site].verifies() {
            return None;
        }
        let presence = match self.life.stage.fetch(self.site, &item.id, None).await {
            Outcome::Gone { reason } => Presence::Gone(reason),
            Outcome::Applied { .. } | Outcome::Unchanged { .. } => Presence::Present,
            Outcome::Failed { .. } | Outcome::Released => Presence::Unknown("it did not answer".into()),
        };
        Some(presence)
    }
}
