use axum::extract::State;

use crate::server::extract::{Answer, Json};
use crate::server::{Failures, Stores};

/// After this, scans, counts and due see every write that was acknowledged before.
#[utoipa::path(
    post, path = "/refresh", tag = "store", operation_id = "store_refresh",
    responses((status = 200, description = "Done"), Failures),
)]
pub(super) async fn refresh(State(stores): State<Stores>) -> Answer<()> {
    Ok(Json(stores.records.refresh().await?))
}

/// Reads everything and says what is broken. Takes minutes on a large store.
#[utoipa::path(
    get, path = "/check", tag = "store", operation_id = "store_check",
    responses((status = 200, description = "What is broken; nothing where all is well", body = Vec<String>), Failures),
)]
pub(super) async fn check(State(stores): State<Stores>) -> Answer<Vec<String>> {
    Ok(Json(stores.records.check().await?))
}
