//! Refusals in the words and forms of morph.io.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runner::RunnerError;

use crate::data::access::Denied;
use crate::data::desk::Busy;
use crate::data::json as values;

pub(super) const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// How a refusal is told.
#[derive(Clone, Copy)]
pub(super) enum Voice {
    /// `{"error"}`
    Json,
    /// The words alone.
    Text,
}

/// Why there is no answer, to be told in the voice of the format that was asked for.
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn told(self, voice: Voice) -> Response {
        let (media_type, body) = match voice {
            Voice::Text => (TEXT, self.message.into_bytes()),
            Voice::Json => {
                let mut body = b"{\"error\":".to_vec();
                values::string(&self.message, &mut body);
                body.push(b'}');
                (JSON, body)
            }
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, media_type)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(denied.status(), denied.message())
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Self {
        let (status, message, seconds) = match busy {
            Busy::You(seconds) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many queries with this key; wait a little",
                seconds,
            ),
            Busy::All(seconds) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many queries at the moment; wait a little",
                seconds,
            ),
        };
        Self {
            retry_after: Some(seconds),
            ..Self::new(status, message)
        }
    }
}

impl From<RunnerError> for Refusal {
    fn from(error: RunnerError) -> Self {
        if let RunnerError::NoData(_) = error {
            return Self::bad_request(error.to_string());
        }
        tracing::error!(%error, "data could not be brought");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the data cannot be read now; try again in a moment",
        )
    }
}
