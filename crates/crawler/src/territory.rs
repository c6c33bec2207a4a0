//! Which hosts are this process's to work on: those whose requests lie in the partitions that its member of the group
//! owns. When that changes, hosts are handed over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crawldb::{CrawldbError, Item, Scope};
use tokio::sync::watch;
use tokio::time::Instant;
use updates::{Assignment, partition_of, topics};

use crate::leases::{self, is_foreign};
use crate::run::{Run, Shared};

/// How often it is looked whether those who had a host before have let go of it.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What this process owns of the requests of all sources.
#[derive(Debug, Default)]
pub(crate) struct Territory(watch::Sender<Assignment>);

impl Territory {
    pub(crate) fn set(&self, assignment: &Assignment) {
        self.0.send_if_modified(|known| {
            let has_changed = known != assignment;
            if has_changed {
                known.clone_from(assignment);
            }
            has_changed
        });
    }
}

/// The partitions of one source's requests.
#[derive(Debug)]
pub(crate) struct Ground {
    partitions: u32,
    /// Those that are worked on.
    open: BTreeSet<u32>,
}

impl Ground {
    pub(crate) fn new(partitions: u32) -> Self {
        Self {
            partitions,
            open: BTreeSet::new(),
        }
    }

    pub(crate) fn has(&self, scope: &str) -> bool {
        self.open.contains(&self.partition(scope))
    }

    fn partition(&self, scope: &str) -> u32 {
        partition_of(scope, self.partitions)
    }
}

/// Keeps the lanes of a crawl on the hosts that are this process's, until the crawl ends here.
pub(crate) async fn keep(shared: Arc<Shared>, run: Arc<Run>) {
    let mut changes = shared.territory.0.subscribe();
    let topic = topics::crawl(&run.source.id);
    loop {
        let owned = numbers(&changes.borrow_and_update(), &topic);
        run.leave_all_but(&owned);
        let gained: BTreeSet<u32> = owned.difference(&run.ground().open).copied().collect();
        let taken_in = tokio::select! {
            taken_in = take_in(&shared, &run, &gained) => taken_in,
            changed = changes.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let has_changed = match taken_in {
            Ok(()) => changes.changed().await.is_ok(),
            Err(error) => {
                tracing::warn!(crawl = %run.crawl.id, %error, "hosts could not be taken over, trying again");
                tokio::time::sleep(LOOK_AGAIN * 4).await;
                true
            }
        };
        if !has_changed {
            return;
        }
    }
}

fn numbers(assignment: &Assignment, topic: &str) -> BTreeSet<u32> {
    let of_topic = assignment
        .partitions
        .iter()
        .filter(|partition| partition.topic == topic);
    of_topic.map(|partition| partition.number).collect()
}

/// Begins to work on these partitions as soon as those who did before have let go.
async fn take_in(shared: &Arc<Shared>, run: &Arc<Run>, gained: &BTreeSet<u32>) -> Result<(), CrawldbError> {
    if gained.is_empty() {
        return Ok(());
    }
    clear(shared, run, gained).await?;
    run.ground().open.extend(gained);
    let scopes = shared.deps.ledger.crawldb().scopes(&run.crawl.id).await?;
    run.open_lanes(shared, &scopes);
    Ok(())
}

/// Waits until nobody else holds leases here. Who is alive and lost these partitions gives back what it has not begun
/// and ends what it has; who still holds something after that is gone, and loses it.
async fn clear(shared: &Shared, run: &Run, gained: &BTreeSet<u32>) -> Result<(), CrawldbError> {
    let patience = Instant::now() + run.request_timeout() + shared.options.stop_grace;
    let crawldb = shared.deps.ledger.crawldb();
    let partitions = run.ground().partitions;
    let of_others =
        |item: &Item| is_foreign(item, &run.owner) && gained.contains(&partition_of(&item.scope, partitions));
    loop {
        let held = leases::leased(crawldb, &run.crawl.id, of_others).await?;
        if held.is_empty() {
            return Ok(());
        }
        if Instant::now() >= patience {
            let released =
                leases::release(crawldb, &run.source.id, &held, shared.options.clock.now()).await?;
            shared.metrics.expired.inc_by(released);
            tracing::info!(crawl = %run.crawl.id, released, "took items from a process that is gone");
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

impl Run {
    /// Whether this process works on the scope.
    pub(crate) fn has_ground(&self, scope: &str) -> bool {
        self.ground().has(scope)
    }

    /// Lanes of other partitions end: what they have not begun is given back.
    fn leave_all_but(&self, owned: &BTreeSet<u32>) {
        let mut ground = self.ground();
        ground.open.retain(|number| owned.contains(number));
        let mut lanes = self.lanes();
        let lost: Vec<Scope> = lanes.keys().filter(|scope| !ground.has(scope)).cloned().collect();
        for scope in lost {
            if let Some(lane) = lanes.remove(&scope) {
                lane.end.cancel();
            }
        }
    }
}
