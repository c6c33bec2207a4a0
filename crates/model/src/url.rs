use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

/// The place that a pack is about: a lower-case host name or address, with its port where that is not the default
/// one (`example.gov`, `localhost:8080`, `[::1]:8080`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

impl Host {
    /// Reads `name` or `name:port`.
    pub fn new(text: &str) -> Result<Self, InvalidUrl> {
        let invalid = |reason: &str| InvalidUrl {
            text: shorten(text),
            reason: reason.to_owned(),
        };
        if text.contains(['/', '?', '#', '@', '\\']) {
            return Err(invalid(
                "a host is a name or address and perhaps a port, such as example.gov",
            ));
        }
        let page = PageUrl::parse(&format!("http://{text}/")).map_err(|error| invalid(&error.reason))?;
        Ok(page.host())
    }

    /// The host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port.
    pub fn name(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => &self.0,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.0)
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

/// The text is not the address of a page; the message says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the address of a page: {reason}")]
pub struct InvalidUrl {
    text: String,
    reason: String,
}

/// The normalised `http` or `https` URL of a page, at most 2048 bytes long.
///
/// Two texts that RFC 3986 (section 6.2.2 and 6.2.3) calls equivalent give the same `PageUrl`: scheme and host are
/// lower-case, the default port, the fragment and an empty query go, dot segments are resolved, percent-encodings
/// are upper-case and only where they are needed. The query stays, in its order: it may name another page. Of it,
/// only the parameters go that name a visit instead of a page ([list](PageUrl::parse)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PageUrl(Url);

/// Parameters that name a campaign or a visit, never another page.
const VISIT_PARAMETERS: [&str; 9] = [
    "fbclid",
    "gclid",
    "jsessionid",
    "mc_cid",
    "mc_eid",
    "msclkid",
    "phpsessid",
    "sessionid",
    "yclid",
];
const MAX_LENGTH: usize = 2048;

impl PageUrl {
    /// Reads and normalises an absolute URL.
    ///
    /// Query parameters that begin with `utm_`, and `fbclid`, `gclid`, `jsessionid`, `mc_cid`, `mc_eid`, `msclkid`,
    /// `phpsessid`, `sessionid`, `yclid`, are dropped; names are compared without regard to case.
    ///
    /// # Errors
    ///
    /// When the text is no URL, has another scheme than `http` or `https`, carries a user name or password, or is
    /// longer than 2048 bytes when normalised.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let invalid = |reason: String| InvalidUrl {
            text: shorten(text),
            reason,
        };
        if text.len() > 4 * MAX_LENGTH {
            return Err(invalid(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        let url = Url::parse(text.trim()).map_err(|error| invalid(error.to_string()))?;
        Self::normalise(url).map_err(invalid)
    }

    /// Reads `reference` (absolute or relative, RFC 3986 section 5) as seen from this page.
    ///
    /// # Errors
    ///
    /// As [`PageUrl::parse`].
    pub fn join(&self, reference: &str) -> Result<Self, InvalidUrl> {
        let invalid = |reason: String| InvalidUrl {
            text: shorten(reference),
            reason,
        };
        if reference.len() > 4 * MAX_LENGTH {
            return Err(invalid(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        let url = self
            .0
            .join(reference.trim())
            .map_err(|error| invalid(error.to_string()))?;
        Self::normalise(url).map_err(invalid)
    }

    fn normalise(mut url: Url) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!(
                "only http and https are supported, not {:?}",
                url.scheme()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it carries a user name or password; give credentials in the source instead".into());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it has no host".into());
        }
        url.set_fragment(None);
        if url.path().contains('%') {
            let path = normalise_percent_encoding(url.path());
            url.set_path(&path);
        }
        if let Some(query) = url.query() {
            let query = normalise_query(query);
            url.set_query((!query.is_empty()).then_some(&query));
        }
        if url.as_str().len() > MAX_LENGTH {
            return Err(format!("it is longer than {MAX_LENGTH} bytes"));
        }
        Ok(Self(url))
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, with its port where that is not the scheme's default.
    pub fn host(&self) -> Host {
        let name = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => Host(format!("{name}:{port}")),
            None => Host(name.to_owned()),
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The path, beginning with `/`.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The query without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.0.query()
    }

    /// The URL in parts.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageUrl({})", self.as_str())
    }
}

impl std::str::FromStr for PageUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for PageUrl {
    type Error = InvalidUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<PageUrl> for String {
    fn from(url: PageUrl) -> Self {
        url.0.into()
    }
}

/// Decodes what needs no encoding (RFC 3986 section 2.3), writes the rest with upper-case digits, and encodes percent
/// signs that encode nothing.
fn normalise_percent_encoding(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut normal = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let encoded = (byte == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(hex_byte);
        match encoded {
            Some(value) if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => {
                normal.push(char::from(value));
                at += 3;
            }
            Some(value) => {
                normal.push_str(&format!("%{value:02X}"));
                at += 3;
            }
            // A percent sign that encodes nothing stands for itself; left as it is, it could begin an encoding once
            // what follows it is decoded.
            None if byte == b'%' => {
                normal.push_str("%25");
                at += 1;
            }
            // The `url` crate leaves only ASCII in paths and queries.
            None => {
                normal.push(char::from(byte));
                at += 1;
            }
        }
    }
    normal
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let &[high, low] = digits else { return None };
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn normalise_query(query: &str) -> String {
    let query = normalise_percent_encoding(query);
    let names_a_visit = |parameter: &str| {
        let name = parameter
            .split('=')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        name.starts_with("utm_") || VISIT_PARAMETERS.contains(&name.as_str())
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty() && !names_a_visit(part))
        .collect();
    kept.join("&")
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(200).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, normal: &str) {
        assert_eq!(PageUrl::parse(text).map(String::from), Ok(normal.to_owned()));
    }

    #[test]
    fn equivalent_urls_become_one() {
        check("HTTP://Example.GOV", "http://example.gov/");
        check("https://example.gov:443/a/./b/../c", "https://example.gov/a/c");
        check(
            "http://example.gov/%7euser/%c3%a9%2f",
            "http://example.gov/~user/%C3%A9%2F",
        );
        check("http://example.gov/é b", "http://example.gov/%C3%A9%20b");
        check("http://example.gov/a?#top", "http://example.gov/a");
        check("http://bücher.example/", "http://xn--bcher-kva.example/");
        check("  http://example.gov/a\n", "http://example.gov/a");
        check("http://example.gov/%2e%2e/a", "http://example.gov/a");
        check(
            "http://example.gov/100%/%4%44?%",
            "http://example.gov/100%25/%254D?%25",
        );
    }

    #[test]
    fn the_query_is_kept_but_for_visits() {
        check("http://e.gov/?b=2&a=1", "http://e.gov/?b=2&a=1");
        check(
            "http://e.gov/?utm_source=x&id=%37&&PHPSESSID=9",
            "http://e.gov/?id=7",
        );
        check("http://e.gov/?gclid=1", "http://e.gov/");
    }

    #[test]
    fn what_is_no_page_is_refused_with_a_reason() {
        for (text, reason) in [
            ("example.gov/a", "relative URL"),
            ("mailto:a@example.gov", "only http and https"),
            ("ftp://example.gov/", "only http and https"),
            ("http://u:p@example.gov/", "credentials"),
            ("http://", "empty host"),
            ("http://[::1", "invalid"),
            ("http://example.gov:99999/", "port"),
        ] {
            let error = PageUrl::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let long = format!("http://e.gov/{}", "a".repeat(2048));
        assert!(PageUrl::parse(&long).is_err());
    }

    #[test]
    fn a_reference_is_seen_from_its_page() {
        let page = PageUrl::parse("https://e.gov/a/b?x=1").unwrap();
        let joined = |reference| page.join(reference).map(String::from).unwrap();
        assert_eq!(joined("c"), "https://e.gov/a/c");
        assert_eq!(joined("?y=2"), "https://e.gov/a/b?y=2");
        assert_eq!(joined("//f.gov/"), "https://f.gov/");
        assert_eq!(joined("#part"), "https://e.gov/a/b?x=1");
        assert!(page.join("javascript:alert(1)").is_err());
    }

    #[test]
    fn a_host_carries_the_port_that_is_not_the_default() {
        let host = |text| PageUrl::parse(text).unwrap().host().to_string();
        assert_eq!(host("http://E.gov:80/"), "e.gov");
        assert_eq!(host("http://e.gov:443/"), "e.gov:443");
        assert_eq!(host("http://[::1]:8080/"), "[::1]:8080");
        assert_eq!(Host::new("E.gov:8080").unwrap().as_str(), "e.gov:8080");
        assert_eq!(Host::new("e.gov:8080").unwrap().name(), "e.gov");
        assert_eq!(Host::new("[::1]").unwrap().name(), "[::1]");
        assert!(Host::new("e.gov/a").is_err());
        assert!(Host::new("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_stable(text in "(https?://)?[a-z.%:/?#&=\\[\\]@é~ 0-9]{0,60}") {
            if let Ok(url) = PageUrl::parse(&text) {
                prop_assert_eq!(PageUrl::parse(url.as_str()), Ok(url.clone()));
                prop_assert_eq!(Host::new(url.host().as_str()).is_ok(), true, "{:?}", url);
            }
        }
    }
}
