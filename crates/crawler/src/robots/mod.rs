//! robots.txt as RFC 9309 describes it, and the two widespread lines that it leaves out: `Crawl-delay`, `Sitemap`.

mod matcher;
mod parse;

use std::time::Duration;

use model::PageUrl;

use self::matcher::Pattern;

/// Bytes of a robots.txt that are read; RFC 9309 section 2.5 asks for at least this. The rest is ignored.
pub const MAX_ROBOTS_BYTES: usize = 500 << 10;

/// What one robots.txt asks of one crawler.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Robots {
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
    sitemaps: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    allows: bool,
}

impl Robots {
    /// The rules for the crawler whose product token is `product` (compared without regard to case): those of all
    /// groups that name it, else those of all groups for `*`, else none. Any bytes can be read; what is not
    /// understood is ignored, as is everything after [`MAX_ROBOTS_BYTES`].
    pub fn parse(bytes: &[u8], product: &str) -> Self {
        parse::parse(bytes, product)
    }

    /// Allows everything: what a missing robots.txt means (RFC 9309 section 2.3.1.3).
    pub fn allow_all() -> Self {
        Self::default()
    }

    /// Whether the page may be fetched: the longest rule that matches decides, `Allow` wins a tie, and where none
    /// matches the page is allowed. `/robots.txt` itself always is.
    pub fn allows(&self, url: &PageUrl) -> bool {
        if self.rules.is_empty() || url.path() == "/robots.txt" {
            return true;
        }
        let target = matcher::target_of(url);
        let matching = self.rules.iter().filter(|rule| rule.pattern.matches(&target));
        let strongest = matching.max_by_key(|rule| (rule.pattern.length(), rule.allows));
        strongest.is_none_or(|rule| rule.allows)
    }

    /// The wait between two requests that the site asks for.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// The sitemaps that it names, as written, for all crawlers.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }
}
