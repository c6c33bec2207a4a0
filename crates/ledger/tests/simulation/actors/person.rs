//! A person: decides about items that were given up, and lets deletions pass that a guard holds back.

use crawldb::{Approval, CrawlStatus, Decision, Item, ItemState, Ruling, Scan};
use model::{Rank, Version};

use super::End;
use crate::checks;
use crate::stage::Life;

pub(crate) async fn decide(life: &Life) -> End {
    loop {
        life.sleep(3_000, 9_000).await;
        for site in 0..2 {
            let decided = async {
                rule(life, site).await?;
                approve(life, site).await
            };
            if let Err(end) = decided.await {
                return end;
            }
        }
    }
}

async fn rule(life: &Life, site: usize) -> Result<(), End> {
    let source = life.stage.source_id(site);
    let scan = Scan {
        states: if life.stage.is_quiet() {
            &[ItemState::Escalated, ItemState::Ignored]
        } else {
            &[ItemState::Escalated]
        },
        ..Scan::all(&source, 10)
    };
    for item in life.stage.store.truth().items(&scan).await? {
        let is_there = life.stage.sites()[site]
            .page(&item.id)
            .is_some_and(|page| page.content.is_some());
        let decision = life.stage.world.roll(|dice| match dice.below(4) {
            _ if life.stage.is_quiet() => Decision::Requeue,
            0 if !is_there => Decision::Delete,
            0 | 1 => Decision::Requeue,
            _ => Decision::Ignore,
        });
        say(life, &item, decision).await?;
    }
    Ok(())
}

async fn say(life: &Life, item: &Item, decision: Decision) -> Result<(), End> {
    let now = life.now();
    let ruling = Ruling {
        decision,
        reason: "looked at it".into(),
        by: life.name.clone(),
        at: now,
    };
    if decision == Decision::Delete {
        let version = item.version.max(Version::new(now, Rank::Live, 0));
        life.stage.witness.read(&item.source, &item.id, version, None);
    }
    match life.ledger.rule(&item.source, &item.id, &ruling, now).await {
        Err(ledger::LedgerError::Refused(_)) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Approves what a guard held back where it is right: everything that is missed has left the source.
async fn approve(life: &Life, site: usize) -> Result<(), End> {
    let id = life.stage.source_id(site);
    let Some(crawl) = life.stage.store.truth().crawls(Some(&id), 1).await?.pop() else {
        return Ok(());
    };
    let is_blocked = crawl.status == CrawlStatus::Blocked && crawl.orphans.approval.is_none();
    if !is_blocked || !checks::missed_have_left(&life.stage, site, &crawl) {
        return Ok(());
    }
    let approval = Approval {
        by: life.name.clone(),
        reason: "they are gone".into(),
        at: life.now(),
    };
    match life.ledger.approve(&crawl.id, &approval).await {
        Err(ledger::LedgerError::Refused(_)) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}
