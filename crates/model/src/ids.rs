use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// An id that breaks the rule of its kind; the message states the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

impl InvalidId {
    fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        Self {
            kind,
            text: text.chars().take(100).collect(),
            rule,
        }
    }
}

/// Text types that are checked once, when they are made.
macro_rules! checked_text {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

/// The name of a source: 1 to 64 of `a-z`, `0-9`, `-` and `.`, beginning with a letter or digit.
///
/// It is part of topic names and of archive keys, hence the narrow alphabet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId(String);
checked_text!(SourceId);

impl SourceId {
    /// Checks `text` and makes it an id.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let begins_well = text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric());
        if text.len() <= 64 && begins_well && text.bytes().all(allowed) && !text.contains("..") {
            return Ok(Self(text));
        }
        let rule = "use 1 to 64 of a-z, 0-9, '-' and '.', beginning with a letter or digit, without '..'";
        Err(InvalidId::new("source name", &text, rule))
    }

    /// The name that a source gets from some text, such as a host, when its owner gives none.
    pub fn from_words(text: &str) -> Result<Self, InvalidId> {
        let mut name = String::new();
        for character in text.chars().take(64) {
            let character = character.to_ascii_lowercase();
            match character {
                'a'..='z' | '0'..='9' => name.push(character),
                '.' if !name.is_empty() && !name.ends_with(['.', '-']) => name.push('.'),
                _ if !name.is_empty() && !name.ends_with(['.', '-']) => name.push('-'),
                _ => {}
            }
        }
        Self::new(name.trim_end_matches(['-', '.']))
    }
}

/// The id of an item inside its source: 1 to 2048 bytes without control characters. For web items it is the
/// normalised URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemId(String);
checked_text!(ItemId);

impl ItemId {
    /// Checks `text` and makes it an id.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        if !text.is_empty() && text.len() <= 2048 && !text.chars().any(char::is_control) {
            return Ok(Self(text));
        }
        Err(InvalidId::new(
            "item id",
            &text,
            "use 1 to 2048 bytes without control characters",
        ))
    }
}

/// The id of a crawl: its source and its start, `<source>@<milliseconds>`, hence unique per source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CrawlId(String);
checked_text!(CrawlId);

impl CrawlId {
    /// The id of the crawl of `source` that starts at `start`.
    pub fn at(source: &SourceId, start: Timestamp) -> Self {
        Self(format!("{source}@{}", start.as_millis()))
    }

    /// What items of `source` belong to that no crawl ever saw: the source itself told of them.
    pub fn live(source: &SourceId) -> Self {
        Self::at(source, Timestamp::default())
    }

    /// Checks `text` and makes it an id.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let valid = text.split_once('@').is_some_and(|(source, start)| {
            SourceId::new(source).is_ok()
                && (1..=13).contains(&start.len())
                && start.bytes().all(|b| b.is_ascii_digit())
        });
        if valid {
            return Ok(Self(text));
        }
        Err(InvalidId::new(
            "crawl id",
            &text,
            "use <source>@<start in milliseconds>",
        ))
    }

    /// The source that this crawl passes over.
    pub fn source(&self) -> SourceId {
        let name = self.0.split_once('@').map_or("", |(source, _)| source);
        SourceId(name.to_owned())
    }

    /// When the crawl started.
    pub fn started_at(&self) -> Timestamp {
        let millis = self.0.split_once('@').and_then(|(_, start)| start.parse().ok());
        Timestamp::from_millis(millis.unwrap_or(0))
    }
}

/// Where something lies in the archive: an object and, where it shares the object with others, its bytes in it.
///
/// Written `path` or `path#offset+length`. Only the archive gives meaning to it; everyone else carries it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArchiveKey(String);
checked_text!(ArchiveKey);

impl ArchiveKey {
    /// Checks `text` and makes it a key.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !text.is_empty() && text.len() <= 1024 && printable {
            return Ok(Self(text));
        }
        Err(InvalidId::new(
            "archive key",
            &text,
            "use 1 to 1024 printable ASCII characters without spaces",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_names_are_narrow() {
        for good in ["a", "docs.python.org", "a-1", &"x".repeat(64)] {
            assert_eq!(SourceId::new(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "A", "-a", "a b", "a/b", "..", "a..b", "é", &"x".repeat(65)] {
            assert!(SourceId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_source_without_a_name_is_named_after_its_words() {
        let name = |text| SourceId::from_words(text).map(String::from).ok();
        assert_eq!(name("Example.GOV:8080").as_deref(), Some("example.gov-8080"));
        assert_eq!(name("./My Docs/").as_deref(), Some("my-docs"));
        assert_eq!(name("日本"), None);
    }

    #[test]
    fn a_crawl_knows_its_source_and_start() {
        let id = CrawlId::at(
            &SourceId::new("docs").unwrap(),
            Timestamp::from_millis(1_700_000_000_000),
        );
        assert_eq!(id.as_str(), "docs@1700000000000");
        assert_eq!(CrawlId::new(id.as_str()), Ok(id.clone()));
        assert_eq!(id.source().as_str(), "docs");
        assert_eq!(id.started_at().as_millis(), 1_700_000_000_000);
        assert!(CrawlId::new("docs").is_err());
        assert!(CrawlId::new("docs@").is_err());
        assert!(CrawlId::new("docs@99999999999999999999").is_err());
    }

    #[test]
    fn items_and_keys_refuse_what_would_break_a_line() {
        assert!(ItemId::new("https://example.gov/é?a=b c").is_ok());
        assert!(ItemId::new("a\nb").is_err());
        assert!(ItemId::new("").is_err());
        assert!(ArchiveKey::new("content/a.zst#0+10").is_ok());
        assert!(ArchiveKey::new("a b").is_err());
    }
}

/// Names of people and of their scrapers: they stand in addresses, as morph's do.
macro_rules! public_name {
    ($name:ident, $kind:literal) => {
        #[doc = concat!("The name of ", $kind, ": 1 to 100 of letters, digits, `-`, `_` and `.`, beginning with a letter or digit.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        checked_text!($name);

        impl $name {
            /// Checks `text` and makes it a name.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                if is_public_name(&text) {
                    return Ok(Self(text));
                }
                let rule = "use 1 to 100 of letters, digits, '-', '_' and '.', beginning with a letter or digit, without '..'";
                Err(InvalidId::new(concat!("name of ", $kind), &text, rule))
            }
        }
    };
}
public_name!(OwnerName, "an owner");
public_name!(ScraperName, "a scraper");

fn is_public_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins_well = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    text.len() <= 100 && begins_well && text.bytes().all(allowed) && !text.contains("..")
}

/// A scraper: whose it is and what it is called. As text `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScraperId {
    /// Whose it is.
    pub owner: OwnerName,
    /// What its owner calls it.
    pub name: ScraperName,
}

impl fmt::Display for ScraperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl std::str::FromStr for ScraperId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let Some((owner, name)) = text.split_once('/') else {
            return Err(InvalidId::new("scraper", text, "write OWNER/NAME"));
        };
        Ok(Self {
            owner: OwnerName::new(owner)?,
            name: ScraperName::new(name)?,
        })
    }
}

impl TryFrom<String> for ScraperId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ScraperId> for String {
    fn from(id: ScraperId) -> Self {
        id.to_string()
    }
}

/// A run, in the order in which runs were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for RunId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = text.parse().ok().filter(|number| *number > 0);
        number
            .map(Self)
            .ok_or_else(|| InvalidId::new("run", text, "use the number of a run"))
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}
