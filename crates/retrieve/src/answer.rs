//! What an answer that brings no bytes means: whether to ask again, and what to tell the user.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;

use crate::error::{Error, ErrorKind};
use crate::list;
use crate::location::{Location, Scheme};
use crate::wire::Head;

/// Why an attempt failed, and what may help.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) remedy: Remedy,
}

/// What may help after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing.
    None,
    /// Another attempt.
    Again,
    /// Another attempt later, and fewer at a time; after this pause where the server names one.
    SlowDown(Option<Duration>),
    /// The object is another one now: begin anew, if that is wanted.
    BeginAnew,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, remedy: Remedy, message: impl Into<String>) -> Self {
        Self {
            error: Error::new(kind, message),
            remedy,
        }
    }

    /// The connection failed, or what came was no answer.
    pub(crate) fn of_io(location: &Location, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let (kind, what) = match error.kind() {
            Io::InvalidData => (ErrorKind::Server, "the server sends what is no answer"),
            Io::UnexpectedEof | Io::ConnectionReset | Io::BrokenPipe | Io::ConnectionAborted => {
                (ErrorKind::Server, "the server closed the connection early")
            }
            _ => (
                ErrorKind::Unreachable,
                "the server cannot be reached: check the address and the network",
            ),
        };
        let error = Error::new(kind, format!("{location}: {what} ({error})")).caused_by(error);
        Self {
            error,
            remedy: Remedy::Again,
        }
    }

    pub(crate) fn is_slow_down(&self) -> bool {
        matches!(self.remedy, Remedy::SlowDown(_))
    }
}

impl From<Error> for Failure {
    /// An error that another attempt would meet again.
    fn from(error: Error) -> Self {
        Self {
            error,
            remedy: Remedy::None,
        }
    }
}

/// Reads an answer with a status that brings no bytes; `body` is its beginning.
pub(crate) fn refusal(location: &Location, head: &Head, body: &[u8]) -> Failure {
    let (code, message) = list::s3::error_body(body).unwrap_or_default();
    let said = match (code.is_empty(), message.is_empty()) {
        (true, _) => format!("the server answers {}", head.status),
        (false, true) => format!("the server answers {} {code}", head.status.as_u16()),
        (false, false) => format!("the server answers {} {code}: {message}", head.status.as_u16()),
    };
    let (kind, remedy, advice) = meaning(location, head, &code);
    let text = match advice.is_empty() {
        true => format!("{location}: {said}"),
        false => format!("{location}: {advice} ({said})"),
    };
    Failure::new(kind, remedy, text)
}

fn meaning(location: &Location, head: &Head, code: &str) -> (ErrorKind, Remedy, String) {
    use ErrorKind as Kind;
    let bucket = location.bucket();
    let plain = |text: &str| text.to_owned();
    match (head.status.as_u16(), code) {
        (_, "NoSuchBucket" | "ContainerNotFound") => (
            Kind::NoBucket,
            Remedy::None,
            format!("there is no bucket {bucket:?}: check its name and the endpoint"),
        ),
        (404 | 410, _) => (Kind::NotFound, Remedy::None, plain("there is no such object")),
        (_, "InvalidAccessKeyId") => (
            Kind::Denied,
            Remedy::None,
            plain("the access key is not known there: check AWS_ACCESS_KEY_ID and the endpoint"),
        ),
        (_, "SignatureDoesNotMatch") => (
            Kind::Denied,
            Remedy::None,
            plain("the secret key is wrong: check AWS_SECRET_ACCESS_KEY"),
        ),
        (_, "ExpiredToken" | "InvalidToken") => (
            Kind::Denied,
            Remedy::None,
            plain("the session token has expired or is wrong: get a new one"),
        ),
        (_, "RequestTimeTooSkewed") => (
            Kind::Denied,
            Remedy::None,
            plain("the clock of this machine is wrong: set it"),
        ),
        (_, "RequestTimeout" | "InternalError") => (Kind::Server, Remedy::Again, String::new()),
        (
            301 | 307 | 308 | 400,
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect" | "",
        ) if location.scheme() == Scheme::S3 && head.headers.contains_key("x-amz-bucket-region") => {
            let region = head.text("x-amz-bucket-region").unwrap_or("another region");
            (
                Kind::Invalid,
                Remedy::None,
                format!("the bucket is in {region}: set AWS_REGION={region}"),
            )
        }
        (401 | 403, _) => (Kind::Denied, Remedy::None, denied(location)),
        (412, _) => (
            Kind::Changed,
            Remedy::BeginAnew,
            plain("it was overwritten while it was retrieved"),
        ),
        (429 | 503, _) => (
            Kind::Server,
            Remedy::SlowDown(retry_after(head)),
            plain("the server is busy"),
        ),
        (408 | 425 | 500..=599, _) => (Kind::Server, Remedy::Again, String::new()),
        _ => (Kind::Server, Remedy::None, String::new()),
    }
}

fn denied(location: &Location) -> String {
    match location.scheme() {
        Scheme::Http => "the server wants credentials, or refuses these".into(),
        _ => format!(
            "access is denied: check the credentials and their rights on bucket {:?}",
            location.bucket()
        ),
    }
}

/// Seconds or a date (RFC 9110, section 10.2.3), at most five minutes.
fn retry_after(head: &Head) -> Option<Duration> {
    let text = head.headers.get(RETRY_AFTER)?.to_str().ok()?;
    let pause = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            let now = head
                .text("date")
                .and_then(|date| httpdate::parse_http_date(date).ok());
            date.duration_since(now?).unwrap_or_default()
        }
    };
    Some(pause.min(Duration::from_secs(300)))
}

/// Whether an answer sends elsewhere.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
