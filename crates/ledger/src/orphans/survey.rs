//! One sweep: what the crawl missed is counted, then judged.

use crawldb::{Crawl, DeletionCapability, Item, OrphanPolicy, OrphanReport, Source};
use model::Timestamp;

use super::lineage::{Lineage, Standing, standing};
use super::missed::Missed;
use super::{Sweep, Verify};
use crate::{Ledger, LedgerError};

/// What a sweep is about.
pub(super) struct Survey<'a> {
    pub(super) ledger: &'a Ledger,
    /// As stored when the sweep began.
    pub(super) crawl: &'a Crawl,
    pub(super) source: &'a Source,
    pub(super) verify: &'a dyn Verify,
    clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
}

/// A missed item that nothing protects.
pub(super) struct Suspect {
    pub(super) item: Item,
    /// The worst above it; where that is [`Standing::Overtaken`], only the source's word counts.
    pub(super) standing: Standing,
}

/// How many items the crawl missed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    missed: u64,
    /// Of these, those that an error may only hide.
    protected: u64,
}

impl Census {
    pub(super) fn report(self) -> OrphanReport {
        OrphanReport {
            candidates: self.missed,
            protected: self.protected,
            ..OrphanReport::default()
        }
    }
}

impl<'a> Survey<'a> {
    pub(super) fn new(ledger: &'a Ledger, sweep: &Sweep<'a>, crawl: &'a Crawl) -> Self {
        Self {
            ledger,
            crawl,
            source: sweep.source,
            verify: sweep.verify,
            clock: sweep.clock,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn policy(&self) -> &'a OrphanPolicy {
        &self.source.settings.orphans
    }

    /// Whether nothing is deleted without a person's word.
    pub(super) fn only_marks(&self) -> bool {
        self.source.settings.deletion == DeletionCapability::None
    }

    pub(super) fn missed(&self) -> Missed<'a> {
        Missed::new(&self.ledger.crawldb, self.crawl)
    }

    pub(super) fn is_approved(&self) -> bool {
        self.crawl.orphans.approval.is_some()
    }

    /// Counts what the crawl missed; nothing is written.
    pub(super) async fn census(&self) -> Result<Census, LedgerError> {
        let mut census = Census::default();
        let mut missed = self.missed();
        let mut lineage = Lineage::new(&self.ledger.crawldb, self.crawl);
        while let Some(page) = missed.next().await? {
            let all = page.len();
            let suspects = self.suspects(page, &mut lineage).await?;
            census.missed += all as u64;
            census.protected += (all - suspects.len()) as u64;
        }
        Ok(census)
    }

    /// Judges everything that the crawl missed, unless the guard objects.
    pub(super) async fn diff(&self) -> Result<OrphanReport, LedgerError> {
        let census = self.census().await?;
        let candidates = census.missed - census.protected;
        if !self.is_approved() {
            // Once it has objected, only a person lets the crawl go on, whatever came meanwhile.
            let objection = match &self.crawl.orphans.blocked {
                Some(reason) => Some(reason.clone()),
                None => {
                    let objection = self.ledger.objection(self.crawl, candidates, self.policy());
                    objection.await?
                }
            };
            if let Some(reason) = objection {
                return Ok(self.blocked(census.report(), reason));
            }
        }
        let mut found = OrphanReport {
            candidates: census.missed,
            ..OrphanReport::default()
        };
        let mut missed = self.missed();
        let mut lineage = Lineage::new(&self.ledger.crawldb, self.crawl);
        while let Some(page) = missed.next().await? {
            let all = page.len();
            let suspects = self.suspects(page, &mut lineage).await?;
            found.protected += (all - suspects.len()) as u64;
            self.judge(suspects, &mut found).await?;
            self.record(&found, None).await?;
        }
        Ok(found)
    }

    pub(super) fn blocked(&self, found: OrphanReport, reason: String) -> OrphanReport {
        tracing::warn!(crawl = %self.crawl.id, reason, "the deletion of orphans waits for a person's approval");
        OrphanReport {
            blocked: Some(reason),
            ..found
        }
    }

    /// The items of the page that no error protects.
    async fn suspects(
        &self,
        page: Vec<Item>,
        lineage: &mut Lineage<'_>,
    ) -> Result<Vec<Suspect>, LedgerError> {
        let above = lineage.above(&page).await?;
        let suspects = page.into_iter().zip(above).map(|(item, above)| Suspect {
            standing: standing(&item, self.crawl).max(above),
            item,
        });
        Ok(suspects.filter(|suspect| !self.is_protected(suspect)).collect())
    }

    fn is_protected(&self, suspect: &Suspect) -> bool {
        match suspect.standing {
            Standing::Clear => false,
            Standing::Overtaken => !self.policy().verify || self.only_marks(),
            Standing::Unread => true,
        }
    }

    /// Writes what this sweep found so far into the crawl's record, on top of what the sweeps before it did.
    pub(super) async fn record(
        &self,
        found: &OrphanReport,
        swept_at: Option<Timestamp>,
    ) -> Result<OrphanReport, LedgerError> {
        let before = &self.crawl.orphans;
        let report = OrphanReport {
            candidates: found.candidates + before.present + before.deleted,
            present: found.present + before.present,
            deleted: found.deleted + before.deleted,
            swept_at: swept_at.or(before.swept_at),
            ..found.clone()
        };
        let stored = self.ledger.crawldb.update_crawl(self.crawl, |crawl| {
            crawl.orphans = OrphanReport {
                approval: crawl.orphans.approval.take(),
                ..report.clone()
            };
        });
        Ok(stored.await?.orphans)
    }
}
