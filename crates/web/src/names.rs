//! Names that owners cannot have, because addresses of this server begin with them.

use axum::http::StatusCode;
use model::OwnerName;

use crate::problem::Problem;

/// First segments of addresses: what this server answers, and a few that it may or that browsers and robots ask for.
const RESERVED: &[&str] = &[
    "about",
    "account",
    "accounts",
    "admin",
    "api",
    "apple-touch-icon.png",
    "assets",
    "crawls",
    "decisions",
    "docs",
    "documentation",
    "escalations",
    "favicon.ico",
    "feeds",
    "healthz",
    "help",
    "hooks",
    "items",
    "keys",
    "login",
    "logout",
    "metrics",
    "new",
    "organisations",
    "orphans",
    "owners",
    "packages",
    "packs",
    "readyz",
    "robots.txt",
    "run",
    "runs",
    "scrapers",
    "search",
    "settings",
    "sign-in",
    "sign-out",
    "sitemap.xml",
    "sources",
    "static",
    "workers",
];

/// Whether no owner can have this name: addresses of this server begin with it. Case does not matter.
pub fn is_reserved(name: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Refuses a name that no owner can have.
pub(crate) fn refuse_reserved(name: &OwnerName) -> Result<(), Problem> {
    if !is_reserved(name.as_str()) {
        return Ok(());
    }
    let detail = format!("the name {name} is taken by this server itself; choose another name");
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_reserved;

    /// Every text `"/..."` of this crate's sources that is the path of a route.
    fn routes(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                routes(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                for marker in [
                    ".route(\"/",
                    ".route(\n            \"/",
                    "path = \"/",
                    ".nest(\"/",
                ] {
                    let after = text.split(marker).skip(1);
                    found.extend(after.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn whatever_this_server_answers_is_nobodys_name() {
        let mut found = Vec::new();
        routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 60, "{found:?}");
        for path in found {
            let first = path.split('/').next().unwrap_or_default();
            assert!(
                first.is_empty() || first.starts_with('{') || is_reserved(first),
                "{path}"
            );
        }
        assert!(is_reserved("API") && !is_reserved("ada"));
    }
}
