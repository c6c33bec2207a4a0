//! What becomes of one missed item: mark, grace, the source's word, deletion.

use crawldb::transition::orphan;
use crawldb::{Finished, Item, ItemState, OrphanReport};
use futures::{StreamExt, stream};
use model::{ItemId, Timestamp};

use super::lineage::Standing;
use super::survey::{Survey, Suspect};
use super::{Presence, RETRY_DEFERRED};
use crate::LedgerError;
use crate::metrics::Origin;
use crate::write::MAX_ITEMS;

/// Items that a source is asked for at a time.
const ASKED_AT_ONCE: usize = 8;

/// An item that goes, and why.
pub(super) type Doomed = (ItemId, String);

/// What the source said of the items that it was asked for.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) present: Vec<ItemId>,
    pub(super) gone: Vec<Doomed>,
    pub(super) unknown: u64,
    /// It cannot be asked for these, and the crawl's word is not enough.
    pub(super) undecided: u64,
}

impl Survey<'_> {
    /// Goes as far with the suspects, at most a page of them, as may be gone now.
    pub(super) async fn judge(
        &self,
        suspects: Vec<Suspect>,
        found: &mut OrphanReport,
    ) -> Result<(), LedgerError> {
        let (begun, suspects) = split_begun(suspects);
        let mut candidates = self.mark(suspects).await?;
        if self.only_marks() {
            return Ok(());
        }
        candidates.retain(|suspect| !self.is_waiting(&suspect.item, found));
        let answers = if self.policy().verify {
            self.ask(candidates).await
        } else {
            let mut answers = Answers::default();
            candidates
                .into_iter()
                .for_each(|suspect| self.sort(&mut answers, suspect, None));
            answers
        };
        let mut doomed = self.settle(answers, found).await?;
        doomed.extend(begun.into_iter().map(|item| self.missed_by_crawl(item.id)));
        found.deleted += self.delete(doomed).await?;
        Ok(())
    }

    /// Whether the candidate's grace is not over; the report says so, and when it is.
    fn is_waiting(&self, item: &Item, found: &mut OrphanReport) -> bool {
        let policy = self.policy();
        if orphan::is_grace_over(item, policy, self.now()) {
            return false;
        }
        found.waiting += 1;
        let is_missed_enough = |orphan: &&crawldb::Orphan| orphan.misses >= policy.grace_crawls;
        if let Some(orphan) = item.orphan.as_ref().filter(is_missed_enough) {
            let over_at = orphan.since.as_millis().saturating_add(policy.grace_ms);
            go_on_at(found, Timestamp::from_millis(over_at));
        }
        true
    }

    /// Makes candidates of the suspects, once per crawl; those that somebody wrote meanwhile are none.
    pub(super) async fn mark(&self, suspects: Vec<Suspect>) -> Result<Vec<Suspect>, LedgerError> {
        let start = self.crawl.started_at;
        let is_marked = |suspect: &Suspect| {
            suspect.item.state == ItemState::OrphanCandidate
                && suspect
                    .item
                    .orphan
                    .as_ref()
                    .is_some_and(|orphan| orphan.last == start)
        };
        let (mut candidates, new): (Vec<_>, Vec<_>) = suspects.into_iter().partition(is_marked);
        let ids: Vec<ItemId> = new.iter().map(|suspect| suspect.item.id.clone()).collect();
        let marked = self.change(&ids, |item| orphan::mark(item, self.crawl)).await?;
        let remarked =
            |(suspect, marked): (Suspect, Option<Item>)| marked.map(|item| Suspect { item, ..suspect });
        candidates.extend(new.into_iter().zip(marked).filter_map(remarked));
        Ok(candidates)
    }

    /// Asks the source for each of them.
    pub(super) async fn ask(&self, candidates: Vec<Suspect>) -> Answers {
        let verify = self.verify;
        let mut told = stream::iter(candidates)
            .map(|suspect| async move {
                let presence = verify.verify(&suspect.item).await;
                (suspect, presence)
            })
            .buffer_unordered(ASKED_AT_ONCE);
        let mut answers = Answers::default();
        while let Some((suspect, presence)) = told.next().await {
            self.sort(&mut answers, suspect, presence);
        }
        answers
    }

    fn sort(&self, answers: &mut Answers, suspect: Suspect, presence: Option<Presence>) {
        let id = suspect.item.id;
        match presence {
            Some(Presence::Present) => answers.present.push(id),
            Some(Presence::Gone(how)) => answers.gone.push((id, how)),
            Some(Presence::Unknown(why)) => {
                tracing::debug!(item = %id, why, "the source could not tell whether the item is there");
                answers.unknown += 1;
            }
            None if suspect.standing == Standing::Clear => answers.gone.push(self.missed_by_crawl(id)),
            None => answers.undecided += 1,
        }
    }

    pub(super) fn missed_by_crawl(&self, id: ItemId) -> Doomed {
        (id, format!("the crawl {} no longer found it", self.crawl.id))
    }

    /// Keeps what is present and counts what must be asked for again; answers with what is gone.
    pub(super) async fn settle(
        &self,
        answers: Answers,
        found: &mut OrphanReport,
    ) -> Result<Vec<Doomed>, LedgerError> {
        let now = self.now();
        // Wherever the clock stands: what is present was not missed by this crawl.
        let kept_at = now.max(self.crawl.started_at);
        let kept = self
            .change(&answers.present, |item| orphan::keep(item, kept_at))
            .await?;
        found.present += kept.iter().flatten().count() as u64;
        found.protected += answers.undecided;
        found.deferred += answers.unknown;
        if answers.unknown > 0 {
            go_on_at(found, now.after(RETRY_DEFERRED));
        }
        Ok(answers.gone)
    }

    /// Deletes them, by way of DELETING, as far as the crawl still holds its lock and they are still missed. Answers how
    /// many there were.
    pub(super) async fn delete(&self, doomed: Vec<Doomed>) -> Result<u64, LedgerError> {
        let mut deleted = 0;
        for batch in doomed.chunks(MAX_ITEMS) {
            self.ledger.crawldb.holds(self.crawl).await?;
            let ids: Vec<ItemId> = batch.iter().map(|(id, _)| id.clone()).collect();
            self.change(&ids, |item| orphan::begin_delete(item, self.crawl))
                .await?;
            deleted += self.bury(ids, batch).await?;
        }
        Ok(deleted)
    }

    /// Makes tombstones of those that are DELETING; documents and the log follow.
    async fn bury(&self, ids: Vec<ItemId>, doomed: &[Doomed]) -> Result<u64, LedgerError> {
        let (version, now) = (orphan::version_of(self.crawl), self.now());
        let bury = |at: usize, stored: Option<&Item>| {
            let (id, reason) = &doomed[at];
            match stored {
                Some(item) => orphan::delete(item, version, reason, now),
                None => Finished::Stale(id.clone()),
            }
        };
        let change = self.ledger.crawldb.change_items(&self.source.id, &ids, bury);
        let written = self
            .ledger
            .write(Origin::Orphan, &self.source.id, ids.clone(), now, async {
                Ok(change.await?)
            });
        let is_deleted = |finished: &&Finished| matches!(finished, Finished::Deleted { .. });
        Ok(written.await?.iter().filter(is_deleted).count() as u64)
    }

    /// Changes those of the items that `change` has something to say about, as they are stored; answers with these, in
    /// the order of the ids.
    async fn change(
        &self,
        ids: &[ItemId],
        change: impl Fn(&Item) -> Option<Item> + Sync,
    ) -> Result<Vec<Option<Item>>, LedgerError> {
        let decide = |at: usize, stored: Option<&Item>| {
            let changed = stored.and_then(&change);
            changed.map_or_else(|| Finished::Stale(ids[at].clone()), Finished::Unchanged)
        };
        let finished = self.ledger.crawldb.change_items(&self.source.id, ids, decide);
        let changed = finished.await?.into_iter().map(|finished| match finished {
            Finished::Unchanged(item) => Some(item),
            _ => None,
        });
        Ok(changed.collect())
    }
}

/// Those whose deletion a killed sweep began, and the others.
pub(super) fn split_begun(suspects: Vec<Suspect>) -> (Vec<Item>, Vec<Suspect>) {
    let is_begun = |suspect: &Suspect| suspect.item.state == ItemState::Deleting;
    let (begun, suspects): (Vec<_>, Vec<_>) = suspects.into_iter().partition(is_begun);
    (begun.into_iter().map(|suspect| suspect.item).collect(), suspects)
}

fn go_on_at(found: &mut OrphanReport, at: Timestamp) {
    found.again_at = Some(found.again_at.map_or(at, |earlier| earlier.min(at)));
}
