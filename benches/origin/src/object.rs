//! What a key stands for: a size, a content seed and what the server says about it.

use crate::content::{Checksum, mix};

/// When an object was modified unless it says otherwise: 2024-01-01T00:00:00Z, in seconds since 1970.
const MODIFIED: i64 = 1_704_067_200;

/// One version of an object. Its bytes are [`content`](crate::content)`(seed, 0..size)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Length in bytes; may be zero.
    pub size: u64,
    /// Decides the bytes.
    pub seed: u64,
    /// The strong entity tag without its quotes; `None` derives one from seed and size.
    pub etag: Option<Box<str>>,
    /// `Last-Modified`, in seconds since 1970.
    pub modified: i64,
    /// The checksum that answers declare when the request asks for it.
    pub checksum: Option<DeclaredChecksum>,
}

/// A checksum of the whole object, sent with `x-amz-checksum-type: FULL_OBJECT` when a request says
/// `x-amz-checksum-mode: ENABLED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredChecksum {
    /// Which one.
    pub algorithm: Checksum,
    /// Whether it is the right one.
    pub value: ChecksumValue,
    /// Which answers carry it.
    pub on: ChecksumOn,
}

/// Whether a declared checksum is that of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumValue {
    /// It is.
    Right,
    /// It is that of another content.
    Wrong,
}

/// The answers that carry a declared checksum. Servers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumOn {
    /// `HEAD` and `GET`, also of a range.
    Every,
    /// `HEAD` and `GET` of the whole object.
    Whole,
}

impl Object {
    /// An object that declares no checksum, with a derived entity tag.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        Self {
            size,
            seed,
            etag: None,
            modified: MODIFIED,
            checksum: None,
        }
    }

    /// The same, declaring the right checksum on every answer.
    #[must_use]
    pub fn with_checksum(self, algorithm: Checksum) -> Self {
        self.declaring(algorithm, ChecksumValue::Right)
    }

    /// The same, declaring a checksum that is not that of its content.
    #[must_use]
    pub fn with_wrong_checksum(self, algorithm: Checksum) -> Self {
        self.declaring(algorithm, ChecksumValue::Wrong)
    }

    fn declaring(mut self, algorithm: Checksum, value: ChecksumValue) -> Self {
        let on = ChecksumOn::Every;
        self.checksum = Some(DeclaredChecksum { algorithm, value, on });
        self
    }

    /// The entity tag without its quotes.
    #[must_use]
    pub fn etag(&self) -> String {
        let derived = || format!("{:016x}{:016x}", mix(self.seed), mix(self.size ^ self.seed));
        self.etag.as_deref().map_or_else(derived, str::to_owned)
    }

    /// What an overwrite in flight puts in its place: the same size, another content and entity tag, a second later.
    #[must_use]
    pub fn next_version(&self) -> Self {
        Self {
            seed: mix(self.seed),
            etag: None,
            modified: self.modified + 1,
            ..self.clone()
        }
    }
}
