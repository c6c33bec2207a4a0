use std::time::Duration;

use super::matcher::Pattern;
use super::{MAX_ROBOTS_BYTES, Robots, Rule};

/// Rules of one file at most; a file of 500 KiB can hold many thousands, and each is tried for every URL.
const MAX_RULES: usize = 10_000;
/// Sitemaps of one file at most.
const MAX_SITEMAPS: usize = 1_000;

/// Who a group is for, so far as it concerns us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Audience {
    Others,
    Everybody,
    Us,
}

/// Reads line by line; a group is a run of `User-agent` lines and the rules after it.
struct Reader<'a> {
    product: &'a str,
    audience: Audience,
    /// Whether the last line was a `User-agent`: the next one joins its group.
    in_agents: bool,
    for_us: Robots,
    for_everybody: Robots,
    named_us: bool,
    sitemaps: Vec<String>,
}

pub(super) fn parse(bytes: &[u8], product: &str) -> Robots {
    let bytes = &bytes[..bytes.len().min(MAX_ROBOTS_BYTES)];
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = Reader {
        product,
        audience: Audience::Others,
        in_agents: false,
        for_us: Robots::default(),
        for_everybody: Robots::default(),
        named_us: false,
        sitemaps: Vec::new(),
    };
    for line in bytes.split(|&byte| byte == b'\n' || byte == b'\r') {
        reader.line(line);
    }
    let rules = if reader.named_us {
        reader.for_us
    } else {
        reader.for_everybody
    };
    Robots {
        sitemaps: reader.sitemaps,
        ..rules
    }
}

impl Reader<'_> {
    fn line(&mut self, line: &[u8]) {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return;
        };
        let (key, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        match key.to_ascii_lowercase().as_slice() {
            b"user-agent" => self.user_agent(value),
            b"allow" => self.rule(value, true),
            b"disallow" => self.rule(value, false),
            b"crawl-delay" => self.crawl_delay(value),
            b"sitemap" => self.sitemap(value),
            _ => {}
        }
    }

    fn user_agent(&mut self, value: &[u8]) {
        let audience = self.audience_of(value);
        self.audience = if self.in_agents {
            self.audience.max(audience)
        } else {
            audience
        };
        self.named_us |= audience == Audience::Us;
        self.in_agents = true;
    }

    /// The product token is what stands before anything that cannot be in one, such as `/1.0`.
    fn audience_of(&self, value: &[u8]) -> Audience {
        if value.starts_with(b"*") {
            return Audience::Everybody;
        }
        let is_token = |byte: &u8| byte.is_ascii_alphabetic() || b"-_".contains(byte);
        let length = value.iter().take_while(|byte| is_token(byte)).count();
        let is_us = value[..length].eq_ignore_ascii_case(self.product.as_bytes());
        if is_us { Audience::Us } else { Audience::Others }
    }

    /// An empty value matches nothing (RFC 9309 section 2.2.2), and a path begins with `/` or a wildcard.
    fn rule(&mut self, value: &[u8], allows: bool) {
        let Some(robots) = self.group() else { return };
        let is_path = value.starts_with(b"/") || value.starts_with(b"*");
        if is_path && robots.rules.len() < MAX_RULES {
            robots.rules.push(Rule {
                pattern: Pattern::new(value),
                allows,
            });
        }
    }

    /// Seconds, perhaps with a fraction; the longest wins where a crawler has several.
    fn crawl_delay(&mut self, value: &[u8]) {
        let Some(robots) = self.group() else { return };
        let seconds = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        let delay = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        robots.crawl_delay = robots.crawl_delay.max(delay);
    }

    fn group(&mut self) -> Option<&mut Robots> {
        self.in_agents = false;
        match self.audience {
            Audience::Us => Some(&mut self.for_us),
            Audience::Everybody => Some(&mut self.for_everybody),
            Audience::Others => None,
        }
    }

    /// Belongs to no group, and does not end one.
    fn sitemap(&mut self, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        if !text.is_empty() && self.sitemaps.len() < MAX_SITEMAPS {
            self.sitemaps.push(text.to_owned());
        }
    }
}
