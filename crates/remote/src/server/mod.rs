mod crawls;
mod documents;
mod extract;
mod intents;
mod items;
mod sources;
mod upkeep;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use crawldb::{DocumentStore, Store};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::MAX_BODY_BYTES;
use crate::problem::Problem;
use crate::server::extract::Json;
use crate::token::Token;
use crate::wire::ROOT;

/// How the stores are served.
#[derive(Clone, Debug, Default)]
pub struct RouterOptions {
    /// Who does not show it is refused with 401; everybody is let in where there is none.
    pub token: Option<Token>,
}

/// The engines behind the service.
#[derive(Clone)]
struct Stores {
    records: Arc<dyn Store>,
    documents: Arc<dyn DocumentStore>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Haul's crawl database",
        description = "The stores of the crawl database, call by call. Every write is a compare-and-swap on the \
            revision of a record, and each record of a batch is judged alone. What is not there is `null`, and so is \
            the answer of a call that answers nothing. Instants are milliseconds since 1970. \
            Errors are `application/problem+json` (RFC 9457) and say what to do and whether to try again.",
        license(name = "Apache-2.0 OR MIT"),
    ),
    tags((name = "store", description = "The crawl database, for the services that work on it")),
    security((), ("token" = [])),
    modifiers(&Secured),
)]
struct Described;

/// Says that a token may be asked for.
struct Secured;

impl Modify for Secured {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// How any call may fail.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the document is made of it")]
enum Failures {
    /// The request is wrong: no JSON, no such member, too many records.
    #[response(status = 400, content_type = "application/problem+json")]
    Wrong(#[to_schema] Problem),
    /// The token is missing or another one.
    #[response(status = 401, content_type = "application/problem+json")]
    Unknown(#[to_schema] Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The store failed, and will again.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(#[to_schema] Problem),
    /// The store failed, and may not the next time.
    #[response(status = 503, content_type = "application/problem+json")]
    Passing(#[to_schema] Problem),
}

/// Serves the two stores below `/api/v1/store`, described at `/api/v1/store/openapi.json`.
///
/// The router has no fallback and no state, so it merges into another one. It sets its own limit on bodies.
pub fn router(records: Arc<dyn Store>, documents: Arc<dyn DocumentStore>, options: RouterOptions) -> Router {
    let (router, document) = described().split_for_parts();
    let router = router
        .with_state(Stores { records, documents })
        .route(
            &format!("{ROOT}/openapi.json"),
            get(async move || Json(document.clone())),
        )
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    match options.token {
        Some(token) => router.layer(from_fn_with_state(token, require_token)),
        None => router,
    }
}

/// What [`router`] answers, described.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().into_openapi()
}

fn described() -> OpenApiRouter<Stores> {
    let calls = OpenApiRouter::new()
        .routes(routes!(sources::list, sources::put))
        .routes(routes!(sources::get, sources::delete))
        .routes(routes!(sources::put_configuration))
        .routes(routes!(sources::list_configurations))
        .routes(routes!(crawls::put))
        .routes(routes!(crawls::get))
        .routes(routes!(crawls::list))
        .routes(routes!(items::read))
        .routes(routes!(items::write))
        .routes(routes!(items::delete))
        .routes(routes!(items::due))
        .routes(routes!(items::next_due))
        .routes(routes!(items::scan))
        .routes(routes!(items::count))
        .routes(routes!(items::scopes))
        .routes(routes!(intents::put))
        .routes(routes!(intents::list))
        .routes(routes!(intents::delete))
        .routes(routes!(documents::in_force, documents::swap))
        .routes(routes!(documents::drop_index))
        .routes(routes!(documents::read))
        .routes(routes!(documents::write))
        .routes(routes!(documents::delete))
        .routes(routes!(documents::scan))
        .routes(routes!(documents::count))
        .routes(routes!(documents::refresh))
        .routes(routes!(upkeep::refresh))
        .routes(routes!(upkeep::check));
    OpenApiRouter::with_openapi(Described::openapi()).nest(ROOT, calls)
}

/// Before anything of the body is read.
async fn require_token(State(token): State<Token>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION);
    if shown.is_some_and(|value| token.is_shown_by(value.as_bytes())) {
        return next.run(request).await;
    }
    let detail =
        "the token is missing or is not that of this crawl database; configure the same one on both ends";
    Problem::refused(StatusCode::UNAUTHORIZED, detail).into_response()
}
