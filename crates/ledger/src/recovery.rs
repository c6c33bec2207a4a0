//! What somebody began and did not end, and what is due without a crawl.

use std::time::Duration;

use crawldb::{DueQuery, Intent, Item, Source, Written};
use model::{CrawlId, SourceId, Timestamp};
use updates::{Entry, LiveUpdate, topics};

use crate::write::{MAX_ITEMS, was_ever_applied};
use crate::{Ledger, LedgerError, announce};

/// After so long it is taken for granted that whoever left an intent is dead: longer than anybody sleeps in the middle of
/// a write and then goes on, and than the clocks of processes differ.
pub const INTENT_AGE: Duration = Duration::from_secs(60);
/// How long an item that was asked for again waits before it is asked for once more.
pub const RETRY_STRANDED: Duration = Duration::from_secs(5 * 60);

/// What a recovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Intents that were carried out and removed.
    pub intents: u64,
    /// Items whose documents and announcements were made again.
    pub items: u64,
    /// Intents that are too young: somebody is at them.
    pub left: u64,
}

impl Ledger {
    /// Carries out what was begun for the source at least `age` ago and not ended: makes documents and announcements of
    /// the items say what their records say. Usually `age` is [`INTENT_AGE`].
    ///
    /// A writer whose intent was carried out while it slept still tells of what it writes, unless it dies just then:
    /// that alone would be found only by a [`replay`](Self::replay) into the index in force.
    ///
    /// Takes the 1,000 oldest intents; call it again while [`Recovered::intents`] is not 0.
    pub async fn recover(
        &self,
        source: &SourceId,
        age: Duration,
        now: Timestamp,
    ) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        for intent in self.crawldb.store().list_intents(source).await? {
            if now.since(intent.at) < age {
                recovered.left += 1;
                continue;
            }
            recovered.items += self.recover_intent(&intent).await?;
            recovered.intents += 1;
            self.metrics.intent_recovered();
        }
        Ok(recovered)
    }

    async fn recover_intent(&self, intent: &Intent) -> Result<u64, LedgerError> {
        let source = &intent.source;
        let stored = self.crawldb.store().get_items(source, &intent.items).await?;
        let items: Vec<Item> = stored.into_iter().flatten().collect();
        let applied = items.iter().filter(|item| was_ever_applied(item)).cloned();
        self.tell(source, applied.collect()).await?;
        self.tell_people(source, items.iter()).await?;
        self.end(source, &intent.id).await?;
        Ok(items.len() as u64)
    }

    /// Makes items whose lease has expired PENDING again, and says how many.
    pub async fn expire_leases(&self, source: &SourceId, now: Timestamp) -> Result<u64, LedgerError> {
        let expired = self.crawldb.expire_leases(source, now).await?;
        self.metrics.leases_expired(expired);
        Ok(expired)
    }

    /// Asks the live listener for items that are due and belong to no crawl: their live fetch failed, or a person wants
    /// them tried again. Says for how many, at most 1,000; each is asked for again after [`RETRY_STRANDED`].
    ///
    /// Nothing is asked for where the source takes no live updates: the next crawl takes those items. So it does with
    /// items that a crawl left open when it was cancelled or failed; nobody else touches them.
    pub async fn stranded(&self, source: &Source, now: Timestamp) -> Result<u64, LedgerError> {
        let crawl = CrawlId::live(&source.id);
        let query = DueQuery {
            source: &source.id,
            crawl: &crawl,
            scope: None,
            now,
            limit: MAX_ITEMS,
        };
        let due = self.crawldb.store().due(&query).await?;
        self.ask_again(source, due, now).await
    }

    /// The item moves on before it is asked for, so that two who find it at once ask once; a request that is lost in
    /// a crash is made again when the item is due again.
    pub(crate) async fn ask_again(
        &self,
        source: &Source,
        due: Vec<Item>,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        if due.is_empty() || source.deleting_since.is_some() || !source.settings.live.enabled {
            return Ok(0);
        }
        let next_attempt_at = now.after(RETRY_STRANDED);
        let moved: Vec<Item> = due
            .into_iter()
            .map(|item| Item {
                next_attempt_at,
                ..item
            })
            .collect();
        let written = self.crawldb.store().put_items(&moved).await?;
        let taken = moved
            .iter()
            .zip(written)
            .filter(|(_, written)| matches!(written, Written::Done(_)));
        let requests: Vec<Entry<LiveUpdate>> = taken.map(|(item, _)| announce::fetch(item)).collect();
        self.append(&topics::live(&source.id), &requests).await?;
        self.metrics.republished(requests.len() as u64);
        Ok(requests.len() as u64)
    }
}
