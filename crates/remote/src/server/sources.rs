use axum::extract::State;
use crawldb::{Configuration, Source};
use model::SourceId;

use crate::schema::{ConfigurationRecord, SourceRecord};
use crate::server::extract::{Answer, Json, Named};
use crate::server::{Failures, Stores};
use crate::wire::Verdict;

/// All sources by id.
#[utoipa::path(
    get, path = "/sources", tag = "store", operation_id = "store_list_sources",
    responses((status = 200, description = "The sources", body = Vec<SourceRecord>), Failures),
)]
pub(super) async fn list(State(stores): State<Stores>) -> Answer<Vec<Source>> {
    Ok(Json(stores.records.list_sources().await?))
}

/// Writes a source if its revision is the stored one.
#[utoipa::path(
    post, path = "/sources", tag = "store", operation_id = "store_put_source",
    request_body = SourceRecord,
    responses((status = 200, description = "Whether it was taken", body = Verdict), Failures),
)]
pub(super) async fn put(State(stores): State<Stores>, Json(source): Json<Source>) -> Answer<Verdict> {
    Ok(Json(stores.records.put_source(&source).await?.into()))
}

/// One source.
#[utoipa::path(
    get, path = "/sources/{source}", tag = "store", operation_id = "store_get_source",
    params(("source" = String, Path, description = "Its name")),
    responses((status = 200, description = "The source, or null", body = Option<SourceRecord>), Failures),
)]
pub(super) async fn get(State(stores): State<Stores>, Named(id): Named<SourceId>) -> Answer<Option<Source>> {
    Ok(Json(stores.records.get_source(&id).await?))
}

/// Removes a source, its configurations, its crawls, its intents and its items. Documents stay.
#[utoipa::path(
    delete, path = "/sources/{source}", tag = "store", operation_id = "store_delete_source",
    params(("source" = String, Path, description = "Its name")),
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn delete(State(stores): State<Stores>, Named(id): Named<SourceId>) -> Answer<()> {
    Ok(Json(stores.records.delete_source(&id).await?))
}

/// Keeps a configuration for ever; the first one with this source and number stays.
#[utoipa::path(
    post, path = "/configurations", tag = "store", operation_id = "store_put_configuration",
    request_body = ConfigurationRecord,
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn put_configuration(
    State(stores): State<Stores>,
    Json(configuration): Json<Configuration>,
) -> Answer<()> {
    Ok(Json(stores.records.put_configuration(&configuration).await?))
}

/// The configurations of a source by number.
#[utoipa::path(
    get, path = "/sources/{source}/configurations", tag = "store", operation_id = "store_list_configurations",
    params(("source" = String, Path, description = "Its name")),
    responses((status = 200, description = "The configurations", body = Vec<ConfigurationRecord>), Failures),
)]
pub(super) async fn list_configurations(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
) -> Answer<Vec<Configuration>> {
    Ok(Json(stores.records.list_configurations(&source).await?))
}
