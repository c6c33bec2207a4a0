use std::time::Duration;

use crawldb::StoreError;
use reqwest::StatusCode;

use crate::problem::{Chain, Refusal};

/// Why a request was not answered as hoped.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no connection, so nothing was sent.
    Unreachable(reqwest::Error),
    /// The request was sent, or may have been; no whole answer came back.
    Lost(reqwest::Error),
    /// The server said no.
    Refused {
        status: StatusCode,
        refusal: Option<Refusal>,
    },
    /// The answer is not one of this service.
    Strange(String),
    /// The question cannot be put into JSON.
    Unwritable(serde_json::Error),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            return Self::Unreachable(error);
        }
        Self::Lost(error)
    }
}

impl Failure {
    /// Whether the server cannot have acted on the request.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the same call may succeed later.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Lost(_) => true,
            Self::Refused { status, refusal } => refusal
                .as_ref()
                .and_then(|refusal| refusal.retryable)
                .unwrap_or_else(|| is_passing(*status)),
            Self::Strange(_) | Self::Unwritable(_) => false,
        }
    }

    /// In words, with what to do.
    pub(super) fn explain(self, place: &str, timeout: Duration) -> StoreError {
        let retryable = self.is_retryable();
        let reason = self.reason(timeout);
        StoreError {
            place: place.to_owned(),
            reason,
            retryable,
            source: self.into_cause(),
        }
    }

    fn reason(&self, timeout: Duration) -> String {
        match self {
            Self::Unreachable(_) => {
                "it cannot be reached; check that it runs, that the address is right and that nothing blocks the way"
                    .into()
            }
            Self::Lost(error) if error.is_timeout() => {
                format!("it did not answer within {timeout:?}; read again before a write is repeated")
            }
            Self::Lost(_) => {
                "the connection broke before the answer was here; read again before a write is repeated".into()
            }
            Self::Refused { refusal: Some(refusal), .. } => refusal.detail.clone(),
            Self::Refused { status, refusal: None } => {
                format!("it answered {status}; check that the address is that of a crawl database")
            }
            Self::Strange(what) => {
                format!("{what}; check that the address is that of a crawl database of the same version")
            }
            Self::Unwritable(error) => format!("the record cannot be sent as JSON: {error}"),
        }
    }

    fn into_cause(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Unreachable(error) | Self::Lost(error) => Some(Box::new(error)),
            Self::Unwritable(error) => Some(Box::new(error)),
            Self::Refused { .. } | Self::Strange(_) => None,
        }
    }
}

/// What a server or a proxy before it says when it is busy or on its way up.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(error) | Self::Lost(error) => Chain(error).fmt(f),
            Self::Refused { status, .. } => status.fmt(f),
            Self::Strange(what) => f.write_str(what),
            Self::Unwritable(error) => error.fmt(f),
        }
    }
}
