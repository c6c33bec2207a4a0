use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What went wrong, as far as a caller may want to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An address, a glob, a manifest line or an option is not understood.
    Invalid,
    /// There is no such object or file.
    NotFound,
    /// There is no such bucket.
    NoBucket,
    /// The server refuses these credentials, or there are none.
    Denied,
    /// No connection: name, network or TLS.
    Unreachable,
    /// The server answers with an error of its own (5xx), or with something that is no answer.
    Server,
    /// The object is not the one that was begun with.
    Changed,
    /// The bytes do not have the checksum or the length that the server declared.
    Damaged,
    /// No byte came for [`Options::stall`](crate::Options::stall).
    Stalled,
    /// No room on the disk.
    DiskFull,
    /// Not allowed to write there, or to read a local file.
    Permission,
    /// Another disk error.
    Disk,
    /// Two objects want one path, or one wants a path below a file.
    Collision,
    /// The name leads out of the destination.
    Escape,
    /// A hook refused or panicked.
    Hook,
    /// The run was cancelled.
    Cancelled,
}

/// Why something was not retrieved. Cheap to clone, so a report can keep it.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is lower-case and says what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What a caller may branch on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
