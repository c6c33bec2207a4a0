use axum::extract::State;
use crawldb::{DueQuery, Item, Scan, Written};
use model::{ItemId, SourceId, Timestamp};

use crate::schema::ItemRecord;
use crate::server::extract::{Answer, Json, Named};
use crate::server::{Failures, Stores};
use crate::wire::{
    Batch, CountQuestion, DueQuestion, NextDueQuestion, ScanQuestion, ScopeFigures, ScopesQuestion,
    StateCount, Verdict, to_state_counts,
};

/// The items with these ids, in their order; at most 1,000 ids.
#[utoipa::path(
    post, path = "/sources/{source}/items/read", tag = "store", operation_id = "store_get_items",
    params(("source" = String, Path, description = "Its name")),
    request_body = Vec<String>,
    responses((status = 200, description = "An item or null for each id", body = Vec<Option<ItemRecord>>), Failures),
)]
pub(super) async fn read(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(Batch(ids)): Json<Batch<ItemId>>,
) -> Answer<Vec<Option<Item>>> {
    Ok(Json(stores.records.get_items(&source, &ids).await?))
}

/// Writes each item if its revision is the stored one; at most 1,000 items, each judged alone.
#[utoipa::path(
    post, path = "/items/write", tag = "store", operation_id = "store_put_items",
    request_body = Vec<ItemRecord>,
    responses((status = 200, description = "What became of each item", body = Vec<Verdict>), Failures),
)]
pub(super) async fn write(
    State(stores): State<Stores>,
    Json(Batch(items)): Json<Batch<Item>>,
) -> Answer<Vec<Verdict>> {
    Ok(Json(verdicts(stores.records.put_items(&items).await?)))
}

/// Removes each item if its revision is the stored one; at most 1,000 items, each judged alone.
#[utoipa::path(
    post, path = "/items/delete", tag = "store", operation_id = "store_delete_items",
    request_body = Vec<ItemRecord>,
    responses((status = 200, description = "What became of each item", body = Vec<Verdict>), Failures),
)]
pub(super) async fn delete(
    State(stores): State<Stores>,
    Json(Batch(items)): Json<Batch<Item>>,
) -> Answer<Vec<Verdict>> {
    Ok(Json(verdicts(stores.records.delete_items(&items).await?)))
}

pub(super) fn verdicts(written: Vec<Written>) -> Vec<Verdict> {
    written.into_iter().map(Verdict::from).collect()
}

/// Items that may be claimed, longest due first.
#[utoipa::path(
    post, path = "/sources/{source}/items/due", tag = "store", operation_id = "store_due",
    params(("source" = String, Path, description = "Its name")),
    request_body = DueQuestion,
    responses((status = 200, description = "The items", body = Vec<ItemRecord>), Failures),
)]
pub(super) async fn due(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(question): Json<DueQuestion>,
) -> Answer<Vec<Item>> {
    let query = DueQuery {
        source: &source,
        crawl: &question.crawl,
        scope: question.scope.as_ref(),
        now: question.now,
        limit: question.limit.into(),
    };
    Ok(Json(stores.records.due(&query).await?))
}

/// When the next item of a crawl (and scope) that is pending or failed is due.
#[utoipa::path(
    post, path = "/sources/{source}/items/next-due", tag = "store", operation_id = "store_next_due",
    params(("source" = String, Path, description = "Its name")),
    request_body = NextDueQuestion,
    responses((status = 200, description = "The instant, or null", body = Option<u64>), Failures),
)]
pub(super) async fn next_due(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(question): Json<NextDueQuestion>,
) -> Answer<Option<Timestamp>> {
    let NextDueQuestion { crawl, scope } = question;
    Ok(Json(
        stores.records.next_due(&source, &crawl, scope.as_ref()).await?,
    ))
}

/// Items in the order of their ids.
#[utoipa::path(
    post, path = "/sources/{source}/items/scan", tag = "store", operation_id = "store_scan",
    params(("source" = String, Path, description = "Its name")),
    request_body = ScanQuestion,
    responses((status = 200, description = "The items", body = Vec<ItemRecord>), Failures),
)]
pub(super) async fn scan(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(question): Json<ScanQuestion>,
) -> Answer<Vec<Item>> {
    let scan = Scan {
        source: &source,
        states: &question.states,
        crawl: question.crawl.as_ref(),
        updated_since: question.updated_since,
        missed_by: question.missed_by,
        lease_expired_at: question.lease_expired_at,
        after: question.after.as_ref(),
        limit: question.limit.into(),
    };
    Ok(Json(stores.records.scan(&scan).await?))
}

/// How many items of a source, or of one crawl of it, are in which state.
#[utoipa::path(
    post, path = "/sources/{source}/items/count", tag = "store", operation_id = "store_count_items",
    params(("source" = String, Path, description = "Its name")),
    request_body = CountQuestion,
    responses((status = 200, description = "The states that items are in", body = Vec<StateCount>), Failures),
)]
pub(super) async fn count(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(question): Json<CountQuestion>,
) -> Answer<Vec<StateCount>> {
    let counts = stores.records.counts(&source, question.crawl.as_ref()).await?;
    Ok(Json(to_state_counts(&counts)))
}

/// The scopes of a crawl, with their items.
#[utoipa::path(
    post, path = "/sources/{source}/items/scopes", tag = "store", operation_id = "store_list_scopes",
    params(("source" = String, Path, description = "Its name")),
    request_body = ScopesQuestion,
    responses((status = 200, description = "The scopes", body = Vec<ScopeFigures>), Failures),
)]
pub(super) async fn scopes(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(question): Json<ScopesQuestion>,
) -> Answer<Vec<ScopeFigures>> {
    let scopes = stores.records.scopes(&source, &question.crawl).await?;
    let figures = |(scope, items, open)| ScopeFigures { scope, items, open };
    Ok(Json(scopes.into_iter().map(figures).collect()))
}
