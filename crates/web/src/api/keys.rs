//! Keys for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::Timestamp;
use registry::{Scope, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::refusals::{Guarded, Missing, TooLarge, Wrong};
use crate::api::wire::{IssuedKeyBody, KeyBody};
use crate::keys::{Keys, Which, Whose};
use crate::params::{Segments, Unread};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Every path about keys.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, issue))
        .routes(routes!(rotate))
        .routes(routes!(revoke))
}

/// An owner's keys.
#[derive(Serialize, ToSchema)]
#[schema(as = Keys)]
pub(crate) struct ListedKeys {
    keys: Vec<KeyBody>,
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What it is for.
    label: String,
    /// `data`: read data; `run`: start and stop runs; `manage`: everything else.
    #[schema(value_type = Vec<String>, example = json!(["data"]))]
    scopes: Vec<Scope>,
    /// When it ends, RFC 3339; never where it is missing.
    expires_at: Option<String>,
    /// A key of morph.io that goes on working here, instead of a new one.
    token: Option<String>,
}

/// A key that was taken over, or made.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum MadeKey {
    /// A new one.
    Issued(IssuedKeyBody),
    /// One that its holder has already.
    Imported {
        /// What is known of it.
        key: KeyBody,
    },
}

/// The keys of an owner, newest first.
#[utoipa::path(
    get, path = "/api/v1/owners/{owner}/keys", tag = "accounts", operation_id = "list_keys",
    params(("owner" = String, Path, description = "Whose")),
    responses(
        (status = 200, body = ListedKeys),
        Guarded,
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Whose { owner }): Segments<Whose>,
) -> Result<Json<ListedKeys>, Problem> {
    let keys = Keys::of(&app, &visitor, owner).await?.list().await?;
    Ok(Json(ListedKeys {
        keys: keys.iter().map(KeyBody::from).collect(),
    }))
}

/// Makes a key, or takes one over from morph.io. A program gives no scope that its own key has not.
#[utoipa::path(
    post, path = "/api/v1/owners/{owner}/keys", tag = "accounts", operation_id = "issue_key",
    params(("owner" = String, Path, description = "Whose")),
    request_body = NewKey,
    responses(
        (status = 201, body = MadeKey),
        Wrong,
        TooLarge,
        Guarded,
    )
)]
pub(crate) async fn issue(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Whose { owner }): Segments<Whose>,
    body: Unread<NewKey>,
) -> Result<impl IntoResponse, Problem> {
    let keys = Keys::of(&app, &visitor, owner).await?;
    let new = body.read().await?;
    let expires_at = new.expires_at.as_deref().map(instant).transpose()?;
    let made = match new.token {
        Some(_) if expires_at.is_some() => {
            return Err(Problem::bad_request(
                "a key that is taken over does not end by itself",
            ));
        }
        Some(token) => {
            let imported = keys.import(&new.label, new.scopes, Secret::new(token)).await?;
            MadeKey::Imported {
                key: KeyBody::from(&imported),
            }
        }
        None => {
            let issued = keys.issue(&new.label, new.scopes, expires_at).await?;
            MadeKey::Issued(IssuedKeyBody::from(&issued))
        }
    };
    Ok((StatusCode::CREATED, Json(made)))
}

fn instant(text: &str) -> Result<Timestamp, Problem> {
    let instant: Option<jiff::Timestamp> = text.parse().ok();
    let millis = instant.and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
    millis
        .map(Timestamp::from_millis)
        .ok_or_else(|| Problem::bad_request("expires_at is a time such as 2030-01-31T12:00:00Z"))
}

/// How a key is rotated.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rotation {
    /// Seconds for which the old key goes on working, 30 days at most; none where it is missing.
    overlap_seconds: u64,
}

/// Makes a key with the same label and scopes in the place of this one.
#[utoipa::path(
    post, path = "/api/v1/owners/{owner}/keys/{key}/rotate", tag = "accounts", operation_id = "rotate_key",
    params(("owner" = String, Path, description = "Whose"), ("key" = u64, Path, description = "Its number")),
    request_body = Rotation,
    responses(
        (status = 201, body = IssuedKeyBody),
        Wrong,
        TooLarge,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Which { owner, key }): Segments<Which>,
    body: Unread<Rotation>,
) -> Result<impl IntoResponse, Problem> {
    let keys = Keys::of(&app, &visitor, owner).await?;
    let rotation = body.read_or_default().await?;
    let issued = keys.rotate(key, rotation.overlap_seconds).await?;
    Ok((StatusCode::CREATED, Json(IssuedKeyBody::from(&issued))))
}

/// Ends a key at once.
#[utoipa::path(
    delete, path = "/api/v1/owners/{owner}/keys/{key}", tag = "accounts", operation_id = "revoke_key",
    params(("owner" = String, Path, description = "Whose"), ("key" = u64, Path, description = "Its number")),
    responses(
        (status = 204, description = "It is no key any more"),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Which { owner, key }): Segments<Which>,
) -> Result<StatusCode, Problem> {
    Keys::of(&app, &visitor, owner).await?.revoke(key).await?;
    Ok(StatusCode::NO_CONTENT)
}
