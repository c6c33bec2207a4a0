//! Why a crawl's word may not be enough to delete anything.

use crawldb::{Crawl, CrawlKind, DeletionCapability, OrphanReport, Source};
use model::Timestamp;
use updates::{LogError, topics};

use super::{LIVE_GROUP, RETRY_DEFERRED};
use crate::{Ledger, LedgerError};

/// Why nothing that the crawl missed may be taken for gone.
pub(super) struct Doubt {
    reason: String,
    /// Whether time alone may remove it.
    passes: bool,
}

impl Doubt {
    fn lasting(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            passes: false,
        }
    }

    fn passing(reason: impl Into<String>) -> Self {
        Self {
            passes: true,
            ..Self::lasting(reason)
        }
    }

    /// What a sweep reports that did not even look for orphans.
    pub(super) fn report(self, now: Timestamp) -> OrphanReport {
        OrphanReport {
            again_at: self.passes.then(|| now.after(RETRY_DEFERRED)),
            withheld: Some(self.reason),
            ..OrphanReport::default()
        }
    }
}

impl Ledger {
    /// The first reason to doubt the crawl's word; none where there is none. The store must have been refreshed.
    pub(super) async fn doubt(&self, crawl: &Crawl, source: &Source) -> Result<Option<Doubt>, LedgerError> {
        if let Some(reason) = unfinished(crawl, source.settings.deletion) {
            return Ok(Some(Doubt::lasting(reason)));
        }
        let totals = self.crawldb.totals(&crawl.id).await?;
        let left = totals.open + totals.failed;
        if left > 0 {
            return Ok(Some(Doubt::lasting(format!(
                "{left} items of the crawl are not settled"
            ))));
        }
        if !source.settings.live.enabled {
            return Ok(None);
        }
        self.live_lag(crawl, source).await
    }

    async fn live_lag(&self, crawl: &Crawl, source: &Source) -> Result<Option<Doubt>, LedgerError> {
        let marks = &crawl.marks.live_enumerated;
        let committed = match self.log.committed(LIVE_GROUP, &topics::live(&source.id)).await {
            Err(LogError::NoTopic(_)) if marks.is_empty() => return Ok(None),
            Err(LogError::NoTopic(topic)) => {
                return Ok(Some(Doubt::lasting(format!(
                    "the topic {topic} is gone, so nobody knows which live updates were applied"
                ))));
            }
            committed => committed?,
        };
        if marks.len() < committed.len() {
            let reason = "the crawl did not note where live updates stood when its enumeration ended";
            return Ok(Some(Doubt::lasting(reason)));
        }
        let applied = |partition: usize| committed.get(partition).copied().unwrap_or(0);
        let behind = marks.iter().enumerate();
        let behind = behind
            .filter(|(partition, mark)| applied(*partition) < **mark)
            .count();
        Ok((behind > 0).then(|| {
            Doubt::passing(format!(
                "live updates from before the end of the enumeration are not applied yet in {behind} partitions"
            ))
        }))
    }
}

/// Where single items are asked for, it does not matter how much of the source was enumerated.
fn unfinished(crawl: &Crawl, deletion: DeletionCapability) -> Option<String> {
    if crawl.kind == CrawlKind::Incremental {
        return Some("an incremental crawl does not look at everything, so it never deletes".into());
    }
    if crawl.enumeration.ended_at.is_none() {
        return Some("the enumeration did not end".into());
    }
    let cut = crawl.enumeration.cut.as_ref();
    cut.filter(|_| deletion != DeletionCapability::FetchOnly)
        .map(|cut| format!("the enumeration was cut: {cut}"))
}
