use std::ops::RangeInclusive;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::change::Revision;
use crate::http::problem::Problem;
use crate::name::parse_name;

/// Bytes of a query string at most.
const MAX_QUERY_BYTES: usize = 32 << 10;

/// The parameters of a query string, in their order.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts
            .uri
            .query()
            .is_some_and(|query| query.len() > MAX_QUERY_BYTES)
        {
            let detail = format!("the query is longer than {MAX_QUERY_BYTES} bytes; ask for less at a time");
            return Err(Problem::bad_request(detail));
        }
        let Query(pairs) = Query::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::bad_request("the query is no list of name=value with & between them"))?;
        Ok(Self(pairs))
    }
}

impl Params {
    /// Refuses parameters that mean nothing here, which are mostly typing errors.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let known = known.join(", ");
                let detail = format!("the parameter {name:?} is not known here; use {known}");
                Err(Problem::bad_request(detail))
            }
        }
    }

    /// The first value of `name`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(key, _)| key == name);
        values.map(|(_, value)| value.as_str())
    }

    /// The package called `name`.
    pub(super) fn package(&self, name: &str) -> Result<&str, Problem> {
        match self.text(name) {
            Some(text) => package(name, text),
            None => Err(missing(name)),
        }
    }

    /// All packages called `name`, at least one.
    pub(super) fn packages(&self, name: &str) -> Result<Vec<&str>, Problem> {
        let packages: Vec<_> = self
            .all(name)
            .map(|text| package(name, text))
            .collect::<Result<_, _>>()?;
        if packages.is_empty() {
            return Err(missing(name));
        }
        Ok(packages)
    }

    /// The package called `name`, when there is one.
    pub(super) fn maybe_package(&self, name: &str) -> Result<Option<&str>, Problem> {
        self.text(name).map(|text| package(name, text)).transpose()
    }

    /// The number called `name`, when there is one.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = range.into_inner();
            Problem::bad_request(format!(
                "the parameter {name:?} is a number from {least} to {most}"
            ))
        })
    }

    /// The number called `name`, when there is one, up to `most`.
    pub(super) fn size(&self, name: &str, most: usize) -> Result<Option<usize>, Problem> {
        let number = self.number(name, 0..=most as u64)?;
        Ok(number.and_then(|number| usize::try_from(number).ok()))
    }

    /// The revision called `name`.
    pub(super) fn revision(&self, name: &str) -> Result<Revision, Problem> {
        let number = self.number(name, 0..=u64::MAX)?;
        number.map(Revision).ok_or_else(|| missing(name))
    }

    /// Whether `name` is `true`; it is not when it is missing.
    pub(super) fn is_true(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::bad_request(format!(
                "the parameter {name:?} is true or false"
            ))),
        }
    }
}

fn package<'t>(name: &str, text: &'t str) -> Result<&'t str, Problem> {
    parse_name(text.as_bytes()).map_err(|error| {
        let hint = match text.contains(' ') {
            true => "; write + as %2B",
            false => "",
        };
        Problem::bad_request(format!("the parameter {name:?}: {error}{hint}"))
    })
}

fn missing(name: &str) -> Problem {
    Problem::bad_request(format!("the parameter {name:?} is missing; add ?{name}=..."))
}
