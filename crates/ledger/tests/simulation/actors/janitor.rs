//! The janitor: leases that expired, work that somebody left, items that nobody asks for, and orphans that had to wait.

use super::End;
use crate::actors::conductor;
use crate::bug::Bug;
use crate::stage::Life;

pub(crate) async fn tidy(life: &Life) -> End {
    loop {
        life.sleep(5_000, 15_000).await;
        for site in 0..2 {
            if let Err(end) = tidy_site(life, site).await {
                return end;
            }
        }
        if let Err(end) = sweep_again(life).await {
            return end;
        }
    }
}

async fn tidy_site(life: &Life, site: usize) -> Result<(), End> {
    let id = life.stage.source_id(site);
    life.stage.crawldb.expire_leases(&id, life.now()).await?;
    if !life.stage.world.has(Bug::NeverRecovers) {
        life.ledger
            .recover(&id, life.stage.recover_age(), life.now())
            .await?;
    }
    if let Some(source) = life.stage.crawldb.source(&id).await? {
        life.ledger.stranded(&source, life.now()).await?;
    }
    Ok(())
}

/// Orphans whose grace ends after their crawl, and those that a person lets go.
async fn sweep_again(life: &Life) -> Result<(), End> {
    for crawl in life.ledger.orphans_due(life.now()).await? {
        let site = usize::from(crawl.source() != life.stage.source_id(0));
        if let Some(crawl) = life
            .stage
            .crawldb
            .reopen_for_orphans(&crawl, &life.name, life.now())
            .await?
        {
            conductor::sweep_and_end(life, site, crawl).await?;
        }
    }
    Ok(())
}
