use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use registry::{Scope, Secret, SecretName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Of, OwnerAndName};
use crate::api::refusals::{Guarded, Missing, TooLarge, Wrong};
use crate::params::{Segments, Unread};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// What a scraper's environment has beside the usual. Values never come back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Secrets {
    #[schema(value_type = Vec<String>, example = json!(["MORPH_API_KEY"]))]
    secrets: Vec<SecretName>,
}

/// The value of a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSecret {
    /// 32 KiB at most.
    value: String,
}

/// The secret that the path names.
#[derive(Deserialize)]
pub(crate) struct Which {
    secret: String,
}

/// The names of a scraper's secrets.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/secrets", tag = "scrapers", operation_id = "list_secrets",
    params(OwnerAndName),
    responses(
        (status = 200, body = Secrets),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Json<Secrets>, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let secrets = app.runner.registry().secret_names(&id).await?;
    Ok(Json(Secrets { secrets }))
}

/// Sets a secret: an environment variable of the scraper's runs. It is encrypted, and no answer ever contains it.
#[utoipa::path(
    put, path = "/api/v1/scrapers/{owner}/{name}/secrets/{secret}", tag = "scrapers", operation_id = "set_secret",
    params(
        OwnerAndName,
        ("secret" = String, Path, description = "`MORPH_` and letters, digits and `_`"),
    ),
    request_body = NewSecret,
    responses(
        (status = 204, description = "It is set"),
        Wrong,
        TooLarge,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Segments(which): Segments<Which>,
    body: Unread<NewSecret>,
) -> Result<StatusCode, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let (name, new) = (SecretName::new(which.secret)?, body.read().await?);
    let registry = app.runner.registry();
    registry.set_secret(&id, &name, Secret::new(new.value)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a secret.
#[utoipa::path(
    delete, path = "/api/v1/scrapers/{owner}/{name}/secrets/{secret}", tag = "scrapers", operation_id = "remove_secret",
    params(
        OwnerAndName,
        ("secret" = String, Path, description = "Its name"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Segments(which): Segments<Which>,
) -> Result<StatusCode, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let name = SecretName::new(which.secret)?;
    app.runner.registry().remove_secret(&id, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
