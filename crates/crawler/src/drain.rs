//! Waits, for a while, until what others have begun is written and what the source told is applied, so that orphans can
//! be judged.

use crawldb::{CrawlKind, CrawldbError};
use ledger::{INTENT_AGE, LIVE_GROUP};
use rustc_hash::FxHashSet;
use tokio::time::Instant;
use updates::topics;

use crate::conduct::TICK;
use crate::patience::WriteError;
use crate::run::{Run, Shared};

/// What is not done by the end of the patience is no harm: intents are carried out later, and where live updates are
/// not applied the sweep deletes nothing and says so.
pub(crate) async fn wait(shared: &Shared, run: &Run) -> Result<(), WriteError> {
    let deadline = Instant::now() + shared.options.drain_patience;
    intents(shared, run, deadline).await?;
    if run.crawl.kind == CrawlKind::Full && run.source.settings.live.enabled {
        live(shared, run, deadline).await?;
    }
    Ok(())
}

/// Waits for the intents that are open now; those that come later belong to others.
async fn intents(shared: &Shared, run: &Run, deadline: Instant) -> Result<(), WriteError> {
    let ledger = &shared.deps.ledger;
    let mut open = open_intents(shared, run).await?;
    while !open.is_empty() && Instant::now() < deadline {
        let now = shared.options.clock.now();
        ledger.recover(&run.source.id, INTENT_AGE, now).await?;
        let left = open_intents(shared, run).await?;
        open.retain(|id| left.contains(id));
        if !open.is_empty() {
            tokio::time::sleep(TICK).await;
        }
    }
    Ok(())
}

async fn open_intents(shared: &Shared, run: &Run) -> Result<FxHashSet<String>, WriteError> {
    let store = shared.deps.ledger.crawldb().store();
    let intents = store.list_intents(&run.source.id).await;
    let intents = intents.map_err(CrawldbError::from)?;
    Ok(intents.into_iter().map(|intent| intent.id).collect())
}

/// Waits until everything is applied that the source told before enumeration ended.
async fn live(shared: &Shared, run: &Run, deadline: Instant) -> Result<(), WriteError> {
    let (log, topic) = (shared.deps.ledger.log(), topics::live(&run.source.id));
    let marks = run.held().marks.live_enumerated.clone();
    while Instant::now() < deadline {
        let applied = log.committed(LIVE_GROUP, &topic).await?;
        if applied.iter().zip(&marks).all(|(applied, mark)| applied >= mark) {
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}
