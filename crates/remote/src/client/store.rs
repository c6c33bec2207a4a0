use std::time::Duration;

use async_trait::async_trait;
use crawldb::{
    Configuration, Counts, Crawl, DueQuery, Intent, Item, Scan, Scope, Source, Store, StoreError, Written,
};
use model::{CrawlId, ItemId, SourceId, Timestamp};

use crate::client::RemoteStore;
use crate::wire::{
    CountQuestion, CrawlsQuestion, DueQuestion, IntentOver, Limit, NextDueQuestion, ScanQuestion,
    ScopeFigures, ScopesQuestion, StateCount, Verdict, from_state_counts,
};

/// For a check, which reads the whole store.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3_600);

#[async_trait]
impl Store for RemoteStore {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.exchange.get(&format!("sources/{id}")).await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.exchange.get("sources").await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        let verdict: Verdict = self.exchange.tell("sources", source).await?;
        Ok(verdict.into())
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        self.exchange.tell("configurations", configuration).await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        self.exchange
            .get(&format!("sources/{source}/configurations"))
            .await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.exchange.delete(&format!("sources/{id}")).await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.exchange.get(&format!("crawls/{id}")).await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        let question = CrawlsQuestion {
            source: source.cloned(),
            limit: Limit::clamped(limit),
        };
        self.exchange.ask("crawls/list", &question).await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        let verdict: Verdict = self.exchange.tell("crawls", crawl).await?;
        Ok(verdict.into())
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        let path = format!("sources/{source}/items/read");
        self.exchange.ask_each(&path, ids).await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.exchange.tell_each("items/write", items).await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.exchange.tell_each("items/delete", items).await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        self.exchange.tell("intents", intent).await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        let path = format!("sources/{source}/intents/delete");
        self.exchange.tell(&path, &IntentOver { id: id.to_owned() }).await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        self.exchange.get(&format!("sources/{source}/intents")).await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        let question = DueQuestion {
            crawl: query.crawl.clone(),
            scope: query.scope.cloned(),
            now: query.now,
            limit: Limit::clamped(query.limit),
        };
        let path = format!("sources/{}/items/due", query.source);
        self.exchange.ask(&path, &question).await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let question = NextDueQuestion {
            crawl: crawl.clone(),
            scope: scope.cloned(),
        };
        let path = format!("sources/{source}/items/next-due");
        self.exchange.ask(&path, &question).await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        let path = format!("sources/{}/items/scan", scan.source);
        let mut question = ScanQuestion {
            states: scan.states.to_vec(),
            crawl: scan.crawl.cloned(),
            updated_since: scan.updated_since,
            missed_by: scan.missed_by,
            lease_expired_at: scan.lease_expired_at,
            after: scan.after.cloned(),
            limit: Limit::clamped(scan.limit),
        };
        let mut items: Vec<Item> = Vec::new();
        loop {
            let page: Vec<Item> = self.exchange.ask(&path, &question).await?;
            let is_last = page.len() < question.limit.into();
            items.extend(page);
            if is_last || items.len() >= scan.limit {
                return Ok(items);
            }
            question.after = items.last().map(|item| item.id.clone());
            question.limit = Limit::clamped(scan.limit - items.len());
        }
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        let question = CountQuestion {
            crawl: crawl.cloned(),
        };
        let path = format!("sources/{source}/items/count");
        let counts: Vec<StateCount> = self.exchange.ask(&path, &question).await?;
        Ok(from_state_counts(&counts))
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        let question = ScopesQuestion { crawl: crawl.clone() };
        let path = format!("sources/{source}/items/scopes");
        let scopes: Vec<ScopeFigures> = self.exchange.ask(&path, &question).await?;
        let plain = |figures: ScopeFigures| (figures.scope, figures.items, figures.open);
        Ok(scopes.into_iter().map(plain).collect())
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.exchange.ask("refresh", &()).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.exchange.get_within(CHECK_TIMEOUT, "check").await
    }
}
