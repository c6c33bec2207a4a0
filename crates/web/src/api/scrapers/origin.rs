//! Where code may come from.

use std::path::Path;

use axum::http::StatusCode;
use registry::Origin;
use url::Url;

use crate::problem::Problem;
use crate::settings::is_allowed;
use crate::state::App;
use crate::visitor::Visitor;

/// Bytes of an address at most.
const MAX_BYTES: usize = 2_000;

/// The origin, where this visitor may name it; `before` is what the scraper has now.
pub(crate) async fn checked(
    app: &App,
    visitor: &Visitor,
    origin: Origin,
    before: Option<&Origin>,
) -> Result<Origin, Problem> {
    if before == Some(&origin) {
        return Ok(origin);
    }
    match &origin {
        Origin::Upload { .. } => {
            return Err(Problem::bad_request(
                "code that is sent goes to /api/v1/scrapers/OWNER/NAME/code with PUT",
            ));
        }
        Origin::Folder { path } => must_have(app, visitor, path).await?,
        Origin::Git { url, reference } => {
            check_words(url, reference.as_deref())?;
            match Place::of(url)? {
                Place::Elsewhere => {}
                Place::Here(path) => must_have(app, visitor, &path).await?,
            }
        }
    }
    Ok(origin)
}

/// Only operators name folders, and only those that the configuration allows.
async fn must_have(app: &App, visitor: &Visitor, path: &str) -> Result<(), Problem> {
    visitor.must_operate(app).await?;
    if is_allowed(app, Path::new(path)).await {
        return Ok(());
    }
    let detail = format!(
        "the folder {path} may not be named here: use the command line on the server, or allow a folder above it in its configuration"
    );
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// What git could take for an option or for two lines is refused.
fn check_words(url: &str, reference: Option<&str>) -> Result<(), Problem> {
    let is_word = |text: &str| {
        !text.is_empty()
            && text.len() <= MAX_BYTES
            && !text.starts_with('-')
            && !text
                .chars()
                .any(|character| character.is_control() || character == ' ')
    };
    if !is_word(url) || !reference.is_none_or(is_word) {
        return Err(Problem::bad_request(format!(
            "the address and the branch, tag or commit have 1 to {MAX_BYTES} bytes each, no spaces, and do not begin with '-'"
        )));
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Place {
    /// On another machine.
    Elsewhere,
    /// A path of this machine.
    Here(String),
}

impl Place {
    fn of(url: &str) -> Result<Self, Problem> {
        if url.starts_with('/') {
            return Ok(Self::Here(url.to_owned()));
        }
        let refused = || {
            Problem::bad_request(
                "the address of a repository is https://HOST/PATH, without a name or password",
            )
        };
        let url = Url::parse(url).map_err(|_| refused())?;
        let has_host = url.host_str().is_some_and(|host| !host.starts_with('-'));
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        match url.scheme() {
            "file" => Ok(Self::Here(url.path().to_owned())),
            "https" if has_host && is_anonymous => Ok(Self::Elsewhere),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_elsewhere_or_a_path_of_this_machine() {
        for elsewhere in [
            "https://git.example.gov/a/b.git",
            "https://git.example.gov:8443/a",
        ] {
            assert_eq!(Place::of(elsewhere), Ok(Place::Elsewhere), "{elsewhere}");
        }
        assert_eq!(Place::of("/srv/git/a"), Ok(Place::Here("/srv/git/a".into())));
        assert_eq!(
            Place::of("file:///srv/git/a"),
            Ok(Place::Here("/srv/git/a".into()))
        );
    }

    #[test]
    fn what_git_would_run_and_what_carries_a_password_is_refused() {
        for refused in [
            "ext::sh -c id",
            "ext::sh",
            "http://git.example.gov/a",
            "git://git.example.gov/a",
            "https://ada:secret@git.example.gov/a",
            "https://token@git.example.gov/a",
            "ssh://git@example.gov/a/b",
            "git@example.gov:a/b.git",
            "ssh://-oProxyCommand=id/a",
            "ssh://-o@example.gov/a",
            "-u@example.gov:a",
            "git@example.gov::a",
            "git@-o:a",
            "../a",
            "a",
        ] {
            assert!(Place::of(refused).is_err(), "{refused}");
        }
        for words in [
            ("", None),
            ("--upload-pack=id", None),
            ("a b", None),
            ("a", Some("--x")),
            ("a\nb", None),
        ] {
            assert!(check_words(words.0, words.1).is_err(), "{words:?}");
        }
        assert!(check_words("https://a.gov/b", Some("refs/heads/main")).is_ok());
    }
}
