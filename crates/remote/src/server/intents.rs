use axum::extract::State;
use crawldb::Intent;
use model::SourceId;

use crate::schema::IntentRecord;
use crate::server::extract::{Answer, Json, Named};
use crate::server::{Failures, Stores};
use crate::wire::IntentOver;

/// Writes an intent; one with this id is replaced.
#[utoipa::path(
    post, path = "/intents", tag = "store", operation_id = "store_put_intent",
    request_body = IntentRecord,
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn put(State(stores): State<Stores>, Json(intent): Json<Intent>) -> Answer<()> {
    Ok(Json(stores.records.put_intent(&intent).await?))
}

/// At most 1,000 intents of a source, oldest first.
#[utoipa::path(
    get, path = "/sources/{source}/intents", tag = "store", operation_id = "store_list_intents",
    params(("source" = String, Path, description = "Its name")),
    responses((status = 200, description = "The intents", body = Vec<IntentRecord>), Failures),
)]
pub(super) async fn list(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
) -> Answer<Vec<Intent>> {
    Ok(Json(stores.records.list_intents(&source).await?))
}

/// Removes an intent; nothing where there is none.
#[utoipa::path(
    post, path = "/sources/{source}/intents/delete", tag = "store", operation_id = "store_delete_intent",
    params(("source" = String, Path, description = "Its name")),
    request_body = IntentOver,
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn delete(
    State(stores): State<Stores>,
    Named(source): Named<SourceId>,
    Json(over): Json<IntentOver>,
) -> Answer<()> {
    Ok(Json(stores.records.delete_intent(&source, &over.id).await?))
}
