use std::fmt;

use model::Host;
use thiserror::Error;

/// What the names of packs begin with.
const PACK: &str = "pack/";
/// What the names of collections begin with.
const COLLECTION: &str = "collection/";
/// Bytes of a collection's own name at most.
const MAX_COLLECTION_BYTES: usize = 100;

/// The name of something that is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Published {
    /// The pack of a host: `pack/example.gov`.
    Pack(Host),
    /// Packs that belong together: `collection/health`.
    Collection(String),
}

/// A name that nothing can be published under.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{name:?} is no name of a package: packs are called pack/HOST, collections collection/NAME with a-z, 0-9, '-' and '.'"
)]
pub struct InvalidName {
    name: String,
}

impl Published {
    /// The collection of that name: 1 to 100 of a-z, 0-9, `-` and `.`.
    pub fn collection(name: &str) -> Result<Self, InvalidName> {
        let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if name.is_empty() || name.len() > MAX_COLLECTION_BYTES || !name.bytes().all(is_valid) {
            return Err(InvalidName {
                name: format!("{COLLECTION}{name}"),
            });
        }
        Ok(Self::Collection(name.to_owned()))
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(host) => write!(f, "{PACK}{host}"),
            Self::Collection(name) => write!(f, "{COLLECTION}{name}"),
        }
    }
}

impl TryFrom<String> for Published {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        if let Some(own) = name.strip_prefix(COLLECTION) {
            return Self::collection(own);
        }
        let host = name.strip_prefix(PACK).and_then(|host| Host::new(host).ok());
        host.map(Self::Pack).ok_or(InvalidName { name })
    }
}
