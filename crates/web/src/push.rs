//! Repositories tell that they changed: `POST /hooks/{owner}/{name}`.
//!
//! Whoever hosts the repository sends a key with the scope `run` along, as it can: GitLab as its secret token
//! (`X-Gitlab-Token`), GitHub and others as `?key=` in the address, programs as a header. Keys are kept as hashes, so
//! signatures of the body (`X-Hub-Signature-256`) cannot be checked and say nothing that the key does not; the worst that
//! a stolen one does is to run scrapers, one run of each at a time, until it is revoked.

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use registry::{Cause, Origin, Scope};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::refusals::{Guarded, Missing, Wrong};
use crate::api::scrapers::{Of, OwnerAndName};
use crate::api::wire::AskedBody;
use crate::clock;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Bytes of a push event at most: as GitHub's.
const MAX_BYTES: usize = 25 << 20;

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(pushed))
}

/// Tells that the repository of a scraper changed, which then runs. Give it to whoever hosts the repository as a webhook for pushes.
///
/// The key, one with the scope `run`, is the secret token at GitLab, and the parameter `key` elsewhere.
#[utoipa::path(
    post, path = "/hooks/{owner}/{name}", tag = "runs", operation_id = "tell_of_push",
    params(
        OwnerAndName,
        ("key" = Option<String>, Query, description = "The key, where it is in no header"),
        ("X-Gitlab-Token" = Option<String>, Header, description = "The key, as GitLab sends it"),
    ),
    request_body(content = Object, description = "What GitHub, GitLab, Gitea and Forgejo say of a push; anything else is taken as a push, too"),
    responses(
        (status = 202, body = AskedBody),
        (status = 204, description = "It is about another branch than the one that the scraper follows, or a greeting"),
        Wrong,
        Guarded,
        Missing,
        (status = 409, body = Problem, description = "The scraper's code comes from no repository", content_type = "application/problem+json"),
    )
)]
async fn pushed(
    State(app): State<Arc<App>>,
    Of(id): Of,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let sender = match token(&parts.headers, &params) {
        Some(token) if app.access.accounts => with_key(&app, token).await?,
        _ => Visitor::from_request_parts(&mut parts, &app).await?,
    };
    sender.must(&app, Scope::Run, &id.owner).await?;
    let scraper = app.runner.registry().scraper(&id).await?;
    let Origin::Git { reference, .. } = &scraper.origin else {
        let detail = format!("the code of {id} does not come from a repository");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    };
    let body = to_bytes(body, MAX_BYTES).await;
    let body = body.map_err(|_| Problem::bad_request("the event did not arrive whole, or is too large"))?;
    if is_about_something_else(&parts.headers, &body, reference.as_deref()) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let asked = app.runner.ask(&scraper.id, Cause::Push).await?;
    Ok((StatusCode::ACCEPTED, Json(AskedBody::from(asked))).into_response())
}

fn token<'a>(headers: &'a HeaderMap, params: &'a Params) -> Option<&'a str> {
    let header = headers
        .get("x-gitlab-token")
        .and_then(|token| token.to_str().ok());
    header.or_else(|| Some(params.text("key")).filter(|key| !key.is_empty()))
}

async fn with_key(app: &App, token: &str) -> Result<Visitor, Problem> {
    let key = app.runner.registry().key(token, clock::now()).await?;
    key.map(Visitor::Program).ok_or_else(Problem::unknown_key)
}

/// What hosts of repositories say of a push; GitHub, GitLab, Gitea and Forgejo agree in this.
#[derive(Deserialize)]
struct Push {
    /// `refs/heads/main`, `refs/tags/v1`.
    #[serde(rename = "ref")]
    reference: Option<String>,
}

/// Whether the event is a greeting, or tells of another branch than the one that the scraper follows. What cannot be
/// read is taken as a push: a run too many harms less than one that is missing.
fn is_about_something_else(headers: &HeaderMap, body: &[u8], followed: Option<&str>) -> bool {
    if headers.get("x-github-event").is_some_and(|event| event == "ping") {
        return true;
    }
    let pushed = reference(body);
    let (Some(pushed), Some(followed)) = (pushed, followed) else {
        return false;
    };
    let (_, name) = pushed
        .split_once("refs/heads/")
        .or_else(|| pushed.split_once("refs/tags/"))
        .unwrap_or(("", &pushed));
    name != followed && pushed != followed
}

/// The branch or tag: in JSON, or in JSON in the field `payload` of a form (GitHub's other way).
fn reference(body: &[u8]) -> Option<String> {
    if let Ok(push) = serde_json::from_slice::<Push>(body) {
        return push.reference;
    }
    let (_, payload) = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload")?;
    serde_json::from_str::<Push>(&payload).ok()?.reference
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn passes(body: &str, followed: Option<&str>) -> bool {
        !is_about_something_else(&HeaderMap::new(), body.as_bytes(), followed)
    }

    #[test]
    fn a_push_to_another_branch_is_no_news() {
        let push = r#"{"ref":"refs/heads/main","commits":[]}"#;
        assert!(passes(push, Some("main")));
        assert!(passes(push, Some("refs/heads/main")));
        assert!(!passes(push, Some("stable")));
        assert!(passes(push, None));
        assert!(passes(r#"{"ref":"refs/tags/v1"}"#, Some("v1")));
    }

    #[test]
    fn what_cannot_be_read_is_taken_as_a_push() {
        assert!(passes("", Some("main")));
        assert!(passes("\u{0}nonsense", Some("main")));
        assert!(passes("{}", Some("main")));
    }

    #[test]
    fn forms_are_read_and_greetings_are_not_pushes() {
        let form = "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fother%22%7D";
        assert!(!passes(form, Some("main")));
        let mut headers = HeaderMap::new();
        headers.insert("x-github-event", HeaderValue::from_static("ping"));
        assert!(is_about_something_else(&headers, b"{}", None));
    }
}
