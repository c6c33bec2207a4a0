use model::{Host, PageUrl, Timestamp};

use crate::query::{Filter, Query};

/// What filters ask about a page.
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) content_type: String,
    pub(crate) language: Option<String>,
    pub(crate) date: Timestamp,
}

/// Whether the page passes one filter of every kind, and none of the excluded ones.
pub(crate) fn passes(query: &Query, facts: &Facts) -> bool {
    let wanted = query.filters.iter().all(|filter| match filter {
        // A range has two ends, so both count.
        Filter::After(_) | Filter::Before(_) => filter.allows(facts),
        _ => query
            .filters
            .iter()
            .any(|other| other.is_like(filter) && other.allows(facts)),
    });
    wanted && !query.excluded_filters.iter().any(|filter| filter.allows(facts))
}

/// Whether pages of `host` may pass: those of the others need not be looked at.
pub(crate) fn may_pass(query: &Query, host: &Host) -> bool {
    let mut sites = query
        .filters
        .iter()
        .filter(|filter| matches!(filter, Filter::Site(_)))
        .peekable();
    sites.peek().is_none() || sites.any(|filter| matches!(filter, Filter::Site(site) if is_of(host, site)))
}

impl Filter {
    fn allows(&self, facts: &Facts) -> bool {
        match self {
            Self::Site(site) => PageUrl::parse(&facts.url).is_ok_and(|url| is_of(&url.host(), site)),
            Self::Path(path) => has_path(&facts.url, path),
            Self::Type(name) => is_type(&facts.content_type, name),
            Self::Language(language) => facts.language.as_ref().is_some_and(|own| own == language),
            Self::After(start) => facts.date >= *start,
            Self::Before(end) => facts.date < *end,
        }
    }
}

/// Whether `host` is `site` or below it.
fn is_of(host: &Host, site: &str) -> bool {
    let below = |site: &str| {
        host.name()
            .strip_suffix(site)
            .is_some_and(|above| above.ends_with('.'))
    };
    host.as_str() == site || host.name() == site || below(site)
}

fn has_path(url: &str, sought: &str) -> bool {
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    let path = path.unwrap_or("/");
    if sought.starts_with('/') {
        path.starts_with(sought)
    } else {
        path.contains(sought)
    }
}

fn is_type(content_type: &str, name: &str) -> bool {
    match name {
        "html" => matches!(content_type, "text/html" | "application/xhtml+xml"),
        "pdf" => content_type == "application/pdf",
        "text" => content_type == "text/plain",
        "markdown" => content_type == "text/markdown",
        _ => content_type.starts_with(name),
    }
}
