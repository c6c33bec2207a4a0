use axum::extract::State;
use crawldb::Crawl;
use model::CrawlId;

use crate::schema::CrawlRecord;
use crate::server::extract::{Answer, Json, Named};
use crate::server::{Failures, Stores};
use crate::wire::{CrawlsQuestion, Verdict};

/// Writes a crawl if its revision is the stored one.
#[utoipa::path(
    post, path = "/crawls", tag = "store", operation_id = "store_put_crawl",
    request_body = CrawlRecord,
    responses((status = 200, description = "Whether it was taken", body = Verdict), Failures),
)]
pub(super) async fn put(State(stores): State<Stores>, Json(crawl): Json<Crawl>) -> Answer<Verdict> {
    Ok(Json(stores.records.put_crawl(&crawl).await?.into()))
}

/// One crawl.
#[utoipa::path(
    get, path = "/crawls/{crawl}", tag = "store", operation_id = "store_get_crawl",
    params(("crawl" = String, Path, description = "Its id, `<source>@<start>`")),
    responses((status = 200, description = "The crawl, or null", body = Option<CrawlRecord>), Failures),
)]
pub(super) async fn get(State(stores): State<Stores>, Named(id): Named<CrawlId>) -> Answer<Option<Crawl>> {
    Ok(Json(stores.records.get_crawl(&id).await?))
}

/// The newest crawls, of one source or of all, newest first.
#[utoipa::path(
    post, path = "/crawls/list", tag = "store", operation_id = "store_list_crawls",
    request_body = CrawlsQuestion,
    responses((status = 200, description = "The crawls", body = Vec<CrawlRecord>), Failures),
)]
pub(super) async fn list(
    State(stores): State<Stores>,
    Json(question): Json<CrawlsQuestion>,
) -> Answer<Vec<Crawl>> {
    let CrawlsQuestion { source, limit } = question;
    Ok(Json(
        stores.records.list_crawls(source.as_ref(), limit.into()).await?,
    ))
}
