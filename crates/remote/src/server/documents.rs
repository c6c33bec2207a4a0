use axum::extract::State;
use crawldb::{Document, IndexName};
use model::PageUrl;

use crate::schema::DocumentRecord;
use crate::server::extract::{Answer, Json, Named};
use crate::server::items::verdicts;
use crate::server::{Failures, Stores};
use crate::wire::{Batch, DocumentsQuestion, IndexSwap, Verdict};

/// The index that is searched and written.
#[utoipa::path(
    get, path = "/indexes/in-force", tag = "store", operation_id = "store_index_in_force",
    responses((status = 200, description = "Its name", body = String), Failures),
)]
pub(super) async fn in_force(State(stores): State<Stores>) -> Answer<IndexName> {
    Ok(Json(stores.documents.index_in_force().await?))
}

/// Puts `next` in force if `current` is.
#[utoipa::path(
    post, path = "/indexes/in-force", tag = "store", operation_id = "store_swap_index",
    request_body = IndexSwap,
    responses((status = 200, description = "Whether it did", body = bool), Failures),
)]
pub(super) async fn swap(State(stores): State<Stores>, Json(swap): Json<IndexSwap>) -> Answer<bool> {
    Ok(Json(
        stores.documents.swap_index(&swap.current, &swap.next).await?,
    ))
}

/// Removes an index with its documents; nothing where there is none. The one in force is refused.
#[utoipa::path(
    delete, path = "/indexes/{index}", tag = "store", operation_id = "store_drop_index",
    params(("index" = String, Path, description = "Its name")),
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn drop_index(State(stores): State<Stores>, Named(index): Named<IndexName>) -> Answer<()> {
    Ok(Json(stores.documents.drop_index(&index).await?))
}

/// The documents with these URLs, in their order; at most 1,000 URLs.
#[utoipa::path(
    post, path = "/indexes/{index}/documents/read", tag = "store", operation_id = "store_get_documents",
    params(("index" = String, Path, description = "Its name")),
    request_body = Vec<String>,
    responses((status = 200, description = "A document or null for each URL", body = Vec<Option<DocumentRecord>>), Failures),
)]
pub(super) async fn read(
    State(stores): State<Stores>,
    Named(index): Named<IndexName>,
    Json(Batch(urls)): Json<Batch<PageUrl>>,
) -> Answer<Vec<Option<Document>>> {
    Ok(Json(stores.documents.get_documents(&index, &urls).await?))
}

/// Writes each document if its revision is the stored one; at most 1,000 documents, each judged alone.
#[utoipa::path(
    post, path = "/indexes/{index}/documents/write", tag = "store", operation_id = "store_put_documents",
    params(("index" = String, Path, description = "Its name")),
    request_body = Vec<DocumentRecord>,
    responses((status = 200, description = "What became of each document", body = Vec<Verdict>), Failures),
)]
pub(super) async fn write(
    State(stores): State<Stores>,
    Named(index): Named<IndexName>,
    Json(Batch(documents)): Json<Batch<Document>>,
) -> Answer<Vec<Verdict>> {
    let written = stores.documents.put_documents(&index, &documents).await?;
    Ok(Json(verdicts(written)))
}

/// Removes each document if its revision is the stored one; at most 1,000 documents, each judged alone.
#[utoipa::path(
    post, path = "/indexes/{index}/documents/delete", tag = "store", operation_id = "store_delete_documents",
    params(("index" = String, Path, description = "Its name")),
    request_body = Vec<DocumentRecord>,
    responses((status = 200, description = "What became of each document", body = Vec<Verdict>), Failures),
)]
pub(super) async fn delete(
    State(stores): State<Stores>,
    Named(index): Named<IndexName>,
    Json(Batch(documents)): Json<Batch<Document>>,
) -> Answer<Vec<Verdict>> {
    let written = stores.documents.delete_documents(&index, &documents).await?;
    Ok(Json(verdicts(written)))
}

/// Documents in the order of their URLs.
#[utoipa::path(
    post, path = "/indexes/{index}/documents/scan", tag = "store", operation_id = "store_scan_documents",
    params(("index" = String, Path, description = "Its name")),
    request_body = DocumentsQuestion,
    responses((status = 200, description = "The documents", body = Vec<DocumentRecord>), Failures),
)]
pub(super) async fn scan(
    State(stores): State<Stores>,
    Named(index): Named<IndexName>,
    Json(question): Json<DocumentsQuestion>,
) -> Answer<Vec<Document>> {
    let DocumentsQuestion { after, limit } = question;
    let documents = stores
        .documents
        .scan_documents(&index, after.as_ref(), limit.into());
    Ok(Json(documents.await?))
}

/// How many documents are alive.
#[utoipa::path(
    get, path = "/indexes/{index}/documents/count", tag = "store", operation_id = "store_count_documents",
    params(("index" = String, Path, description = "Its name")),
    responses((status = 200, description = "So many", body = u64), Failures),
)]
pub(super) async fn count(State(stores): State<Stores>, Named(index): Named<IndexName>) -> Answer<u64> {
    Ok(Json(stores.documents.count_documents(&index).await?))
}

/// After this, scans and counts of documents see every write that was acknowledged before.
#[utoipa::path(
    post, path = "/documents/refresh", tag = "store", operation_id = "store_refresh_documents",
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn refresh(State(stores): State<Stores>) -> Answer<()> {
    Ok(Json(stores.documents.refresh_documents().await?))
}
