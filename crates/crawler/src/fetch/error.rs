use std::error::Error;
use std::io;
use std::time::Duration;

use crawldb::{ItemError, ItemErrorKind};
use model::Timestamp;

use super::resolve::{AddressRefused, Unresolved};

/// Why a request brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchError {
    pub(crate) kind: ItemErrorKind,
    pub(crate) message: String,
    /// Whether the same request may succeed later.
    pub(crate) retryable: bool,
    /// The wait that the server asks for.
    pub(crate) retry_after: Option<Duration>,
}

impl FetchError {
    pub(crate) fn permanent(kind: ItemErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retryable: false,
            retry_after: None,
        }
    }

    pub(crate) fn passing(kind: ItemErrorKind, message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::permanent(kind, message)
        }
    }

    pub(crate) fn at(&self, now: Timestamp) -> ItemError {
        ItemError {
            kind: self.kind,
            message: self.message.clone(),
            at: now,
        }
    }

    /// Whether it speaks against the whole host: a client error of one page does not.
    pub(crate) fn blames_host(&self) -> bool {
        use ItemErrorKind::{Connect, Dns, Server, Throttled, Timeout, Tls, Transfer};
        matches!(
            self.kind,
            Connect | Dns | Server | Throttled | Timeout | Tls | Transfer
        )
    }

    /// What the client library met, by its deepest cause.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(refused) = cause::<AddressRefused>(error) {
            return Self::permanent(ItemErrorKind::Address, refused.to_string());
        }
        if let Some(unresolved) = cause::<Unresolved>(error) {
            return Self::passing(ItemErrorKind::Dns, unresolved.to_string());
        }
        if let Some(tls) = cause::<rustls::Error>(error) {
            return Self::tls(tls);
        }
        if error.is_timeout() {
            let what = if error.is_connect() {
                "no connection in time"
            } else {
                "no answer in time"
            };
            return Self::passing(ItemErrorKind::Timeout, what);
        }
        let reason = deepest(error);
        if error.is_connect() {
            return Self::passing(ItemErrorKind::Connect, format!("no connection: {reason}"));
        }
        if error.is_builder() {
            return Self::permanent(
                ItemErrorKind::Client,
                format!("the request could not be made: {reason}"),
            );
        }
        Self::passing(ItemErrorKind::Transfer, format!("the connection broke: {reason}"))
    }

    /// A certificate does not become valid within minutes.
    fn tls(error: &rustls::Error) -> Self {
        let message = format!("no secure connection: {error}");
        match error {
            rustls::Error::InvalidCertificate(_) => Self::permanent(ItemErrorKind::Tls, message),
            _ => Self::passing(ItemErrorKind::Tls, message),
        }
    }
}

/// The first cause of type `E`; I/O errors hide theirs.
fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match hidden {
            Some(hidden) => Some(hidden),
            None => error.source(),
        };
    }
    None
}

fn deepest(error: &reqwest::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(cause) = reason.source() {
        reason = cause;
    }
    reason.to_string()
}
