use archive::ArchiveError;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use catalog::{CatalogError, InvalidName};
use crawldb::{CrawldbError, StartError, StoreError};
use crawler::CrawlError;
use ledger::LedgerError;
use model::{InvalidId, InvalidUrl};
use registry::RegistryError;
use runner::RunnerError;
use search::SearchError;
use serde::Serialize;
use updates::LogError;
use utoipa::ToSchema;

use crate::pages;
use crate::params::link;

/// Why a request was not answered as asked (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What the status means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do.
    detail: String,
    /// Seconds after which it may be better, where that is known.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// The same problem, which may be gone after some seconds.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The request is wrong; `detail` says how to make it right.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What was asked for does not exist.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Nobody said who asks.
    pub(crate) fn unknown_visitor() -> Self {
        let detail =
            "say who you are: sign in, or send a key as \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\"";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// The key that was sent is none.
    pub(crate) fn unknown_key() -> Self {
        let detail = "this key is not valid: it was revoked, has expired, or was never made; make one on your account's page";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Something behind the server failed. The cause goes to the log: it may name folders and servers.
    pub(crate) fn failed(what: &str, retryable: bool, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(error), "{what} failed");
        if retryable {
            let detail = format!("{what} did not answer; try again in a moment");
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        }
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{what} failed; the log of the server says why"),
        )
    }

    /// The same problem, of one part of what was sent.
    pub(crate) fn of(self, part: &str) -> Self {
        Self {
            detail: format!("{part}: {}", self.detail),
            ..self
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn title(&self) -> &str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    fn as_json(&self) -> Response {
        let body = serde_json::to_vec(self).unwrap_or_default();
        (
            self.status(),
            [(header::CONTENT_TYPE, "application/problem+json")],
            body,
        )
            .into_response()
    }
}

/// An error with its causes, on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Carries the problem to [`present`], which knows in what form the client wants it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives each problem its body: a page for people, JSON for programs. People who must sign in are led there and back.
pub(crate) async fn present(request: Request, next: Next) -> Response {
    let for_people = !is_for_programs(request.uri().path());
    let back = place_of(request.method(), request.uri(), request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let is_unknown = problem.status() == StatusCode::UNAUTHORIZED;
    if for_people && is_unknown {
        return Redirect::to(&link("/sign-in", &[("to", &back)])).into_response();
    }
    let mut presented = if for_people {
        pages::problem::page(&problem).into_response()
    } else {
        problem.as_json()
    };
    *presented.status_mut() = problem.status();
    // What the layers below said stays, such as who may read the answer.
    let mut kept = std::mem::take(response.headers_mut());
    kept.remove(header::CONTENT_LENGTH);
    kept.extend(std::mem::take(presented.headers_mut()));
    *presented.headers_mut() = kept;
    let headers = presented.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let is_passing = problem.status() == StatusCode::SERVICE_UNAVAILABLE;
    if let Some(seconds) = problem.retry_after.or(is_passing.then_some(5)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if is_unknown {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    presented
}

/// The page that somebody looks at: of a form that was sent, the page with the form.
fn place_of(method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
    let shown = match method.is_safe() {
        true => Some(uri.clone()),
        false => headers
            .get(header::REFERER)
            .and_then(|referer| Uri::try_from(referer.as_bytes()).ok()),
    };
    let place = shown.as_ref().and_then(Uri::path_and_query);
    place.map_or_else(String::new, ToString::to_string)
}

fn is_for_programs(path: &str) -> bool {
    let folders = ["/api/", "/hooks/"];
    folders.iter().any(|folder| path.starts_with(folder))
        || matches!(path, "/api" | "/run" | "/metrics" | "/healthz" | "/readyz")
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<InvalidUrl> for Problem {
    fn from(error: InvalidUrl) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::failed("the crawl database", error.retryable, &error)
    }
}

impl From<CrawldbError> for Problem {
    fn from(error: CrawldbError) -> Self {
        let status = match error {
            CrawldbError::NoSource(_) | CrawldbError::NoCrawl(_) => StatusCode::NOT_FOUND,
            CrawldbError::Exists(_)
            | CrawldbError::Changed(_)
            | CrawldbError::Running(_)
            | CrawldbError::NotDeleting(_)
            | CrawldbError::Fenced(_) => StatusCode::CONFLICT,
            CrawldbError::Contention(_) => StatusCode::SERVICE_UNAVAILABLE,
            CrawldbError::Store(error) => return error.into(),
            error => return Self::failed("the crawl database", false, &error),
        };
        Self::new(status, error.to_string())
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::UnknownHost(_) => Self::not_found(error.to_string()),
            SearchError::TimedOut { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            SearchError::Stopped => Self::failed("the search", true, &error),
            error => Self::failed("the search", false, &error),
        }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let status = match error {
            StartError::NoSource(_) => StatusCode::NOT_FOUND,
            StartError::Running(_) | StartError::Feed(_) | StartError::Deleting(_) | StartError::Full(_) => {
                StatusCode::CONFLICT
            }
            StartError::Crawldb(error) => return error.into(),
            error => return Self::failed("the crawl database", false, &error),
        };
        Self::new(status, error.to_string())
    }
}

impl From<CrawlError> for Problem {
    fn from(error: CrawlError) -> Self {
        match error {
            CrawlError::Start(error) => error.into(),
            CrawlError::Crawldb(error) => error.into(),
            CrawlError::Log(error) => error.into(),
            CrawlError::Ledger(error) => error.into(),
            CrawlError::Settings { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            CrawlError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            error => Self::failed("the crawler", true, &error),
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Crawldb(error) => error.into(),
            LedgerError::Log(error) => error.into(),
            error => Self::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Invalid(_) => Self::bad_request(error.to_string()),
            LogError::NotAssigned(_) | LogError::Store { .. } => Self::failed("the update log", true, &error),
            error => Self::failed("the update log", false, &error),
        }
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        let retryable = matches!(error, ArchiveError::Store { .. });
        Self::failed("the archive", retryable, &error)
    }
}

impl From<InvalidName> for Problem {
    fn from(error: InvalidName) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let status = match error {
            CatalogError::Missing { .. } | CatalogError::Needed { .. } => StatusCode::CONFLICT,
            CatalogError::Size(_) => StatusCode::BAD_REQUEST,
            CatalogError::Unknown(_) => StatusCode::NOT_FOUND,
            CatalogError::Archive(error) => return error.into(),
            error => return Self::failed("the package index", true, &error),
        };
        Self::new(status, error.to_string())
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let status = match error {
            RegistryError::NotFound { .. } => StatusCode::NOT_FOUND,
            RegistryError::Exists { .. }
            | RegistryError::ChangedMeanwhile { .. }
            | RegistryError::Fenced(_) => StatusCode::CONFLICT,
            RegistryError::Invalid(_) => StatusCode::BAD_REQUEST,
            error => return Self::failed("the registry", false, &error),
        };
        Self::new(status, error.to_string())
    }
}

impl From<RunnerError> for Problem {
    fn from(error: RunnerError) -> Self {
        match error {
            RunnerError::Registry(error) => error.into(),
            RunnerError::Archive(error) => error.into(),
            RunnerError::NoData(_) | RunnerError::NoVersion { .. } => Self::not_found(error.to_string()),
            RunnerError::Invalid(_) => Self::bad_request(error.to_string()),
            error => Self::failed("the runner", false, &error),
        }
    }
}
