use async_trait::async_trait;
use crawldb::{Document, DocumentStore, IndexName, StoreError, Written};
use model::PageUrl;

use crate::client::RemoteStore;
use crate::wire::{DocumentsQuestion, IndexSwap, Limit};

#[async_trait]
impl DocumentStore for RemoteStore {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.exchange.get("indexes/in-force").await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        let swap = IndexSwap {
            current: current.clone(),
            next: next.clone(),
        };
        self.exchange.tell("indexes/in-force", &swap).await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.exchange.delete(&format!("indexes/{index}")).await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        let path = format!("indexes/{index}/documents/read");
        self.exchange.ask_each(&path, urls).await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let path = format!("indexes/{index}/documents/write");
        self.exchange.tell_each(&path, documents).await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let path = format!("indexes/{index}/documents/delete");
        self.exchange.tell_each(&path, documents).await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let path = format!("indexes/{index}/documents/scan");
        let mut question = DocumentsQuestion {
            after: after.cloned(),
            limit: Limit::clamped(limit),
        };
        let mut documents: Vec<Document> = Vec::new();
        loop {
            let page: Vec<Document> = self.exchange.ask(&path, &question).await?;
            let is_last = page.len() < question.limit.into();
            documents.extend(page);
            if is_last || documents.len() >= limit {
                return Ok(documents);
            }
            question.after = documents.last().map(|document| document.url.clone());
            question.limit = Limit::clamped(limit - documents.len());
        }
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.exchange
            .get(&format!("indexes/{index}/documents/count"))
            .await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.exchange.ask("documents/refresh", &()).await
    }
}
