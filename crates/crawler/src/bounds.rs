//! Which URLs belong to a crawl.

use std::sync::{PoisonError, RwLock};

use crawldb::{Settings, SiteSettings, SourceKind};
use model::PageUrl;
use rustc_hash::FxHashSet;

/// How often a path segment may come back: `/a/b/a/b/a/b` is a trap of relative links.
const MAX_SEGMENT_REPEATS: usize = 2;
/// Hosts of one crawl at most.
const MAX_HOSTS: usize = 10_000;

/// The hosts, prefixes and depth of one crawl. Hosts may be added while it runs; the rest is fixed.
#[derive(Debug)]
pub(crate) struct Bounds {
    hosts: RwLock<FxHashSet<String>>,
    include: Vec<String>,
    exclude: Vec<String>,
    max_depth: u32,
}

impl Bounds {
    pub(crate) fn new(site: &SiteSettings) -> Self {
        let named = site.hosts.iter().map(|host| host.to_ascii_lowercase());
        let hosts = site
            .start
            .iter()
            .map(|url| authority(url).to_owned())
            .chain(named)
            .collect();
        Self {
            hosts: RwLock::new(hosts),
            include: site.include.clone(),
            exclude: site.exclude.clone(),
            max_depth: site.max_depth,
        }
    }

    /// A start URL led to this host, or an earlier life of the crawl did.
    pub(crate) fn add_host(&self, host: &str) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() < MAX_HOSTS {
            hosts.insert(host.to_owned());
        }
    }

    pub(crate) fn hosts(&self) -> Vec<String> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        let mut hosts: Vec<String> = hosts.iter().cloned().collect();
        hosts.sort_unstable();
        hosts
    }

    /// Whether a page of this depth belongs to the crawl.
    pub(crate) fn admit(&self, url: &PageUrl, depth: u32) -> bool {
        depth <= self.max_depth
            && self.has_host(authority(url))
            && self.allow(url)
            && !repeats_itself(url.path())
    }

    fn has_host(&self, host: &str) -> bool {
        self.hosts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(host)
    }

    /// Whether the prefixes let it pass.
    pub(crate) fn allow(&self, url: &PageUrl) -> bool {
        let begins = |prefix: &String| url.as_str().starts_with(prefix.as_str());
        (self.include.is_empty() || self.include.iter().any(begins)) && !self.exclude.iter().any(begins)
    }
}

/// Whether a URL may be an item of a source: on a host of a site, below a base of anything else, and let pass by the
/// prefixes. Hosts that a crawl finds by redirects of start URLs are not known here.
pub fn is_inside(settings: &Settings, url: &PageUrl) -> bool {
    let site = &settings.site;
    let is_placed = match settings.kind {
        SourceKind::Site => {
            let named = |host: &String| host.eq_ignore_ascii_case(authority(url));
            site.start.iter().any(|start| authority(start) == authority(url)) || site.hosts.iter().any(named)
        }
        _ => site
            .start
            .iter()
            .any(|base| url.as_str().starts_with(base.as_str())),
    };
    is_placed && Bounds::new(site).allow(url)
}

/// The host of a URL with its port, as [`PageUrl::host`] has it, without a copy.
pub(crate) fn authority(url: &PageUrl) -> &str {
    &url.as_url()[url::Position::BeforeHost..url::Position::AfterPort]
}

/// Whether a segment, with the one after it, comes more often than [`MAX_SEGMENT_REPEATS`] times. Pairs, because
/// single ones do repeat on honest sites (`/2024/01/01/`, `/en/docs/en/`).
fn repeats_itself(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.len() < 2 * (MAX_SEGMENT_REPEATS + 1) {
        return false;
    }
    let pairs: Vec<&[&str]> = segments.windows(2).collect();
    let count = |pair: &&[&str]| pairs.iter().filter(|other| *other == pair).count();
    pairs
        .iter()
        .take(64)
        .any(|pair| count(pair) > MAX_SEGMENT_REPEATS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(change: impl FnOnce(&mut SiteSettings)) -> Bounds {
        let start = vec![PageUrl::parse("http://e.gov:8080/docs/").unwrap()];
        let mut site = SiteSettings {
            start,
            hosts: vec!["F.gov".into()],
            max_depth: 3,
            ..SiteSettings::default()
        };
        change(&mut site);
        Bounds::new(&site)
    }

    #[track_caller]
    fn check(bounds: &Bounds, url: &str, depth: u32, admitted: bool) {
        assert_eq!(
            bounds.admit(&PageUrl::parse(url).unwrap(), depth),
            admitted,
            "{url}"
        );
    }

    #[test]
    fn hosts_of_start_urls_and_named_hosts_belong() {
        let bounds = bounds(|_| ());
        check(&bounds, "http://e.gov:8080/x", 0, true);
        check(&bounds, "https://f.gov/", 1, true);
        check(&bounds, "http://e.gov/", 1, false);
        check(&bounds, "http://g.gov/", 1, false);
        bounds.add_host("g.gov");
        check(&bounds, "http://g.gov/", 1, true);
    }

    #[test]
    fn prefixes_and_depth_limit() {
        let bounds = bounds(|site| {
            site.include = vec!["http://e.gov:8080/docs/".into()];
            site.exclude = vec!["http://e.gov:8080/docs/old".into()];
        });
        check(&bounds, "http://e.gov:8080/docs/a", 3, true);
        check(&bounds, "http://e.gov:8080/docs/a", 4, false);
        check(&bounds, "http://e.gov:8080/blog/a", 1, false);
        check(&bounds, "http://e.gov:8080/docs/old/a", 1, false);
    }

    #[test]
    fn a_site_has_hosts_and_everything_else_has_bases() {
        let check = |kind: &SourceKind, url: &str, inside: bool| {
            let settings = Settings {
                kind: kind.clone(),
                site: SiteSettings {
                    start: vec![PageUrl::parse("http://e.gov:8080/docs/").unwrap()],
                    hosts: vec!["F.gov".into()],
                    exclude: vec!["http://e.gov:8080/docs/old".into()],
                    ..SiteSettings::default()
                },
                ..Settings::default()
            };
            let url = PageUrl::parse(url).unwrap();
            assert_eq!(is_inside(&settings, &url), inside, "{kind:?} {url}");
        };
        for (kind, elsewhere) in [(SourceKind::Site, true), (SourceKind::Feed, false)] {
            check(&kind, "http://e.gov:8080/docs/a", true);
            check(&kind, "http://e.gov:8080/blog", elsewhere);
            check(&kind, "https://f.gov/a", elsewhere);
            check(&kind, "http://e.gov:8080/docs/old/a", false);
            check(&kind, "http://e.gov/docs/a", false);
        }
    }

    #[test]
    fn a_path_that_repeats_itself_is_a_trap() {
        let bounds = bounds(|_| ());
        check(&bounds, "http://e.gov:8080/a/b/a/b/a/b", 1, false);
        check(&bounds, "http://e.gov:8080/a/a/a/a/a/a", 1, false);
        check(&bounds, "http://e.gov:8080/a/b/a/b/c", 1, true);
        check(&bounds, "http://e.gov:8080/2024/01/01/2024/01/x", 1, true);
    }
}
