//! Errors as S3 tells them.

use crate::xml::escape;

/// An error of S3 that this server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum S3Error {
    BadRequest,
    InvalidArgument,
    AccessDenied,
    InvalidAccessKeyId,
    SignatureDoesNotMatch,
    NoSuchBucket,
    NoSuchKey,
    MethodNotAllowed,
    PreconditionFailed,
    InvalidRange,
    InternalError,
    NotImplemented,
    SlowDown,
}

impl S3Error {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::InvalidArgument => 400,
            Self::AccessDenied | Self::InvalidAccessKeyId | Self::SignatureDoesNotMatch => 403,
            Self::NoSuchBucket | Self::NoSuchKey => 404,
            Self::MethodNotAllowed => 405,
            Self::PreconditionFailed => 412,
            Self::InvalidRange => 416,
            Self::InternalError => 500,
            Self::NotImplemented => 501,
            Self::SlowDown => 503,
        }
    }

    pub(crate) fn xml(self, resource: &str) -> String {
        let (message, resource) = (self.message(), escape(resource));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{self:?}</Code><Message>{message}</Message>\
             <Resource>{resource}</Resource></Error>"
        )
    }

    fn message(self) -> &'static str {
        match self {
            Self::BadRequest => "This is no HTTP/1.1 request that the server understands.",
            Self::InvalidArgument => "A parameter of the query has a value that it cannot have.",
            Self::AccessDenied => "The request is not signed.",
            Self::InvalidAccessKeyId => "Nobody has this access key.",
            Self::SignatureDoesNotMatch => "The signature is not that of the request.",
            Self::NoSuchBucket => "There is no such bucket.",
            Self::NoSuchKey => "There is no such key.",
            Self::MethodNotAllowed => "Only GET and HEAD are served.",
            Self::PreconditionFailed => "The object has another entity tag.",
            Self::InvalidRange => "The object has no byte of this range.",
            Self::InternalError => "Something went wrong; try again.",
            Self::NotImplemented => "This is not served; see the README for what is.",
            Self::SlowDown => "Too many requests; slow down.",
        }
    }
}
