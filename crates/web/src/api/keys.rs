//! Keys for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::{OwnerName, Timestamp};
use registry::{KeyId, Scope, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::wire::{IssuedKeyBody, KeyBody};
use crate::clock;
use crate::params::{Body, Optional, Segments};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Seconds for which a key that is rotated goes on working at most: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 30 * 24 * 3600;

/// Every path about keys.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, issue))
        .routes(routes!(rotate))
        .routes(routes!(revoke))
}

/// The owner that the path names.
#[derive(Deserialize)]
pub(crate) struct Whose {
    owner: OwnerName,
}

/// The key that the path names.
#[derive(Deserialize)]
pub(crate) struct Which {
    owner: OwnerName,
    key: KeyId,
}

/// An owner's keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct Keys {
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
        (status = 200, body = Keys),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Whose { owner }): Segments<Whose>,
) -> Result<Json<Keys>, Problem> {
    visitor.must(&app, Scope::Manage, &owner).await?;
    let keys = app.runner.registry().keys(&owner).await?;
    Ok(Json(Keys {
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
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn issue(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Whose { owner }): Segments<Whose>,
    Body(new): Body<NewKey>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &owner).await?;
    must_have_all(&visitor, &new.scopes)?;
    let (registry, now) = (app.runner.registry(), clock::now());
    let expires_at = new.expires_at.as_deref().map(instant).transpose()?;
    let made = match new.token {
        Some(_) if expires_at.is_some() => {
            return Err(Problem::bad_request(
                "a key that is taken over does not end by itself",
            ));
        }
        Some(token) => {
            let token = Secret::new(token);
            let key = registry
                .import_key(&owner, &new.label, token, new.scopes, now)
                .await?;
            MadeKey::Imported {
                key: KeyBody::from(&key),
            }
        }
        None => {
            let issued = registry
                .issue_key(&owner, &new.label, new.scopes, expires_at, now)
                .await?;
            MadeKey::Issued(IssuedKeyBody::from(&issued))
        }
    };
    Ok((StatusCode::CREATED, Json(made)))
}

fn must_have_all(visitor: &Visitor, scopes: &[Scope]) -> Result<(), Problem> {
    let Visitor::Program(key) = visitor else {
        return Ok(());
    };
    if scopes.iter().all(|scope| key.scopes.contains(scope)) {
        return Ok(());
    }
    let detail = "a key makes no key that may do more than itself; sign in to make it";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
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
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Which { owner, key }): Segments<Which>,
    Optional(rotation): Optional<Rotation>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &owner).await?;
    let registry = app.runner.registry();
    let keys = registry.keys(&owner).await?;
    let scopes = keys
        .iter()
        .find(|known| known.id == key)
        .map(|known| known.scopes.as_slice());
    must_have_all(&visitor, scopes.unwrap_or_default())?;
    if rotation.overlap_seconds > MAX_OVERLAP_SECONDS {
        return Err(Problem::bad_request(format!(
            "overlap_seconds is at most {MAX_OVERLAP_SECONDS}, 30 days"
        )));
    }
    let issued = registry
        .rotate_key(&owner, key, rotation.overlap_seconds, clock::now())
        .await?;
    Ok((StatusCode::CREATED, Json(IssuedKeyBody::from(&issued))))
}

/// Ends a key at once.
#[utoipa::path(
    delete, path = "/api/v1/owners/{owner}/keys/{key}", tag = "accounts", operation_id = "revoke_key",
    params(("owner" = String, Path, description = "Whose"), ("key" = u64, Path, description = "Its number")),
    responses(
        (status = 204, description = "It is no key any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(Which { owner, key }): Segments<Which>,
) -> Result<StatusCode, Problem> {
    visitor.must(&app, Scope::Manage, &owner).await?;
    app.runner.registry().revoke_key(&owner, key).await?;
    Ok(StatusCode::NO_CONTENT)
}
