use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::change::Revision;
use crate::graph::{Reason, Refusal};
use crate::index::{BatchError, FeedError, Unavailable};

/// Why a request was not answered as asked (RFC 9457).
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// What happened and what to do.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<Refused>,
}

/// A [`Refusal`] as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    package: String,
    reason: &'static str,
    /// The packages that are missing or in the way: the first ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packages: Vec<String>,
    /// How many such packages there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    why: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        let (reason, packages, count) = match refusal.reason {
            Reason::Missing(packages, count) => ("missing", packages, Some(count)),
            Reason::Dependents(packages, count) => ("dependents", packages, Some(count)),
            Reason::Cycle => ("cycle", Vec::new(), None),
            Reason::Twice => ("twice", Vec::new(), None),
            Reason::NotIndexed => ("not-indexed", Vec::new(), None),
        };
        Self {
            package: refusal.package,
            reason,
            packages,
            count,
            why,
        }
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            revision: None,
            refusals: Vec::new(),
        }
    }

    /// The request is wrong; `detail` says how to make it right.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What was asked for does not exist.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The request does not fit the index as it is now.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// What was asked for is no longer kept.
    pub(super) fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, detail)
    }

    /// The body is larger than allowed.
    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// The answer is more work than the request allows.
    pub(super) fn too_much(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Nothing was done for now; the same request may succeed in a moment.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Something in the server broke. The cause goes to the log.
    pub(super) fn broken(what: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "{what} failed");
        let detail = format!("{what} failed; the log of the server says why");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// With the revision that the answer knows.
    pub(super) fn at(mut self, revision: Revision) -> Self {
        self.revision = Some(revision.0);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        Self::busy(format!(
            "{error}; what was asked may have happened or not: look, and try again"
        ))
    }
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        let detail = error.to_string();
        match error {
            BatchError::Line { .. } => Self::bad_request(detail),
            BatchError::Moved { newest } => Self::conflict(detail).at(newest),
            BatchError::ReadOnly => Self::new(StatusCode::FORBIDDEN, detail),
            BatchError::Unavailable(error) => error.into(),
            BatchError::Refused(refusals) => Self {
                refusals: refusals.into_iter().map(Refused::from).collect(),
                ..Self::conflict(detail)
            },
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        let detail = error.to_string();
        match error {
            FeedError::TooOld { .. } => Self::gone(detail),
            FeedError::Unknown { newest } => Self::conflict(detail).at(newest),
        }
    }
}
