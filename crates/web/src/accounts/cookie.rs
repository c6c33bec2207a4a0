//! What browsers keep for us.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::visitor::Access;

/// A cookie: no script reads it, and no page of another site makes browsers send it, except by a link that somebody follows.
pub(crate) struct Cookie {
    name: &'static str,
    seconds: u32,
}

/// Who is signed in. Browsers keep it as long as they keep anything (400 days, RFC 6265bis); the registry says when the session is over.
pub(crate) const SESSION: Cookie = Cookie {
    name: "haul",
    seconds: 400 * 24 * 3600,
};

/// A sign-in that went out to a provider and has not come back.
pub(crate) const PENDING: Cookie = Cookie {
    name: "haul-sign-in",
    seconds: 600,
};

impl Cookie {
    /// Its value, where the browser sent one.
    pub(crate) fn read<'a>(&self, access: &Access, headers: &'a HeaderMap) -> Option<&'a str> {
        let name = self.name(access);
        let lines = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let mut pairs = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The header that sets it. `value` has only characters of Base64 (URL), hexadecimal digits and dots.
    pub(crate) fn set(&self, access: &Access, value: &str) -> [(HeaderName, HeaderValue); 1] {
        self.header(access, value, self.seconds)
    }

    /// The header that removes it.
    pub(crate) fn clear(&self, access: &Access) -> [(HeaderName, HeaderValue); 1] {
        self.header(access, "", 0)
    }

    fn header(&self, access: &Access, value: &str, seconds: u32) -> [(HeaderName, HeaderValue); 1] {
        let name = self.name(access);
        let secure = if is_https(access) { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        [(header::SET_COOKIE, header)]
    }

    /// With the prefix, browsers take it only from this very host and only over TLS.
    fn name(&self, access: &Access) -> String {
        let prefix = if is_https(access) { "__Host-" } else { "" };
        format!("{prefix}{}", self.name)
    }
}

fn is_https(access: &Access) -> bool {
    access.base.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &str) -> Access {
        Access {
            base: base.to_owned(),
            ..Access::default()
        }
    }

    #[test]
    fn over_tls_a_cookie_is_bound_to_the_host() {
        let [(_, set)] = SESSION.set(&at("https://haul.test"), "abc");
        let expected = "__Host-haul=abc; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(set, expected);
        assert!(set.is_sensitive());
        let [(_, plain)] = SESSION.clear(&at("http://localhost:8080"));
        assert_eq!(plain, "haul=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("xhaul=1; haul-sign-in=2"),
        );
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; haul=3=4"));
        let access = at("http://localhost");
        assert_eq!(SESSION.read(&access, &headers), Some("3=4"));
        assert_eq!(PENDING.read(&access, &headers), Some("2"));
        assert_eq!(SESSION.read(&at("https://haul.test"), &headers), None);
    }
}
