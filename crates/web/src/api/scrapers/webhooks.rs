use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use registry::{Scope, WebhookId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Of, OwnerAndName};
use crate::api::refusals::{Guarded, Missing, TooLarge, Wrong};
use crate::api::wire::{AddedWebhook, DeliveryBody, NewWebhook, WebhookBody};
use crate::clock;
use crate::params::{Segments, Unread};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// The addresses that are called when a run of a scraper is over.
#[derive(Serialize, ToSchema)]
pub(crate) struct Webhooks {
    webhooks: Vec<WebhookBody>,
}

/// The calls of a webhook.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deliveries {
    deliveries: Vec<DeliveryBody>,
}

/// The webhook that the path names.
#[derive(Deserialize)]
pub(crate) struct Which {
    webhook: WebhookId,
}

/// The delivery that the path names.
#[derive(Deserialize)]
pub(crate) struct WhichDelivery {
    delivery: u64,
}

/// A scraper's webhooks.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/webhooks", tag = "scrapers", operation_id = "list_webhooks",
    params(OwnerAndName),
    responses(
        (status = 200, body = Webhooks),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Json<Webhooks>, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let webhooks = app.runner.registry().webhooks(&id).await?;
    Ok(Json(Webhooks {
        webhooks: webhooks.iter().map(WebhookBody::from).collect(),
    }))
}

/// Adds a webhook.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/webhooks", tag = "scrapers", operation_id = "add_webhook",
    params(OwnerAndName),
    request_body = NewWebhook,
    responses(
        (status = 201, body = AddedWebhook),
        Wrong,
        TooLarge,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    body: Unread<NewWebhook>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let new = body.read().await?;
    let registry = app.runner.registry();
    let (webhook, key) = registry
        .add_webhook(&id, &new.url, new.events, clock::now())
        .await?;
    let added = AddedWebhook {
        webhook: WebhookBody::from(&webhook),
        key: key.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(added)))
}

/// Removes a webhook and what waits for it.
#[utoipa::path(
    delete, path = "/api/v1/scrapers/{owner}/{name}/webhooks/{webhook}", tag = "scrapers", operation_id = "remove_webhook",
    params(
        OwnerAndName,
        ("webhook" = u64, Path, description = "Its number"),
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
    app.runner.registry().remove_webhook(&id, which.webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The newest 100 calls of a webhook, newest first.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/webhooks/{webhook}/deliveries", tag = "scrapers", operation_id = "list_deliveries",
    params(
        OwnerAndName,
        ("webhook" = u64, Path, description = "Its number"),
    ),
    responses(
        (status = 200, body = Deliveries),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn deliveries(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Segments(which): Segments<Which>,
) -> Result<Json<Deliveries>, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let deliveries = app.runner.registry().deliveries(&id, which.webhook).await?;
    Ok(Json(Deliveries {
        deliveries: deliveries.iter().map(DeliveryBody::from).collect(),
    }))
}

/// Makes a call once more, now.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/deliveries/{delivery}/redeliver", tag = "scrapers", operation_id = "redeliver",
    params(
        OwnerAndName,
        ("delivery" = u64, Path, description = "Its number"),
    ),
    responses(
        (status = 202, body = DeliveryBody),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn redeliver(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Segments(which): Segments<WhichDelivery>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let registry = app.runner.registry();
    let delivery = registry.redeliver(&id, which.delivery, clock::now()).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryBody::from(&delivery))))
}
