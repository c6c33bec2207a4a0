use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::MAX_BODY_BYTES;
use crate::problem::Problem;

/// Bytes of a query string at most; a link that is longer cannot be shared anyway.
const MAX_QUERY_BYTES: usize = 16 << 10;
/// Parameters of a query string at most; what comes after them is not read.
const MAX_PARAMETERS: usize = 250;

/// The parameters of a query string or of a form, in their order. Bytes that are not UTF-8 and control characters
/// were replaced, so whatever arrives can be searched for, shown and sent on.
///
/// There is no `Debug`: a form may hold a password.
#[derive(Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// What a form shows before anybody sent it.
    pub(crate) fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self(pairs.collect())
    }

    fn read(encoded: &[u8], cleaned: fn(&str) -> String) -> Self {
        let pairs = url::form_urlencoded::parse(encoded).take(MAX_PARAMETERS);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), cleaned(&value)))
                .collect(),
        )
    }

    /// The value of `name` without white space around it; empty where it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.exact(name).trim()
    }

    /// The value of `name` with white space around it, as passwords may have; empty where it is missing.
    pub(crate) fn exact(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// Every value of `name` that is not empty.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self
            .0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.trim());
        values.filter(|value| !value.is_empty())
    }

    /// The value of `name` read as a `T`; nothing where it is missing or empty.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: TryFrom<String>,
        T::Error: Display,
    {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let value = T::try_from(text.to_owned());
        value
            .map(Some)
            .map_err(|error| Problem::bad_request(format!("the parameter {name:?}: {error}")))
    }

    /// The lines of `name` that are not empty.
    pub(crate) fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.all(name).flat_map(str::lines).map(str::trim);
        lines.filter(|line| !line.is_empty())
    }

    /// The number called `name`, of which parts count.
    pub(crate) fn decimal(&self, name: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, Problem> {
        let number = self
            .text(name)
            .parse()
            .ok()
            .filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Problem::bad_request(format!("{name:?} is a number from {least} to {most}"))
        })
    }

    /// The number called `name`, `default` where it is missing.
    ///
    /// # Errors
    ///
    /// When it is no number or not in `range`.
    pub(crate) fn number(
        &self,
        name: &str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, Problem> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(default);
        }
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Problem::bad_request(format!(
                "the parameter {name:?} is a number from {least} to {most}"
            ))
        })
    }
}

fn line(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

/// As [`line`], but lines stay apart, and tabs stay: a password may have one.
fn lines(text: &str) -> String {
    let kept = |character| matches!(character, '\n' | '\t') || !char::is_control(character);
    text.chars()
        .map(|character| if kept(character) { character } else { ' ' })
        .collect()
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > MAX_QUERY_BYTES {
            let detail = format!("the query is longer than {MAX_QUERY_BYTES} bytes; ask for less at a time");
            return Err(Problem::bad_request(detail));
        }
        Ok(Self::read(query.as_bytes(), line))
    }
}

/// The fields of a form that was sent; texts may have several lines.
pub(crate) struct Form(pub(crate) Params);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(Params::read(
            &body(request, MAX_BODY_BYTES, state).await?,
            lines,
        )))
    }
}

/// A body of JSON of at most `MAX` bytes, where a guard before the handler asks who sends it.
pub(crate) struct Body<T, const MAX: usize = MAX_BODY_BYTES>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for Body<T, MAX> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::max(MAX).apply(&mut request);
        Ok(Self(json(&body(request, MAX, state).await?)?))
    }
}

/// A body of JSON that is not read yet: who asks is judged first.
pub(crate) struct Unread<T> {
    request: Request,
    expected: PhantomData<fn() -> T>,
}

impl<S: Send + Sync, T> FromRequest<S> for Unread<T> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            request,
            expected: PhantomData,
        })
    }
}

impl<T: DeserializeOwned> Unread<T> {
    pub(crate) async fn read(self) -> Result<T, Problem> {
        json(&body(self.request, MAX_BODY_BYTES, &()).await?)
    }

    /// What is sent, or the default where nothing is.
    pub(crate) async fn read_or_default(self) -> Result<T, Problem>
    where
        T: Default,
    {
        match &*body(self.request, MAX_BODY_BYTES, &()).await? {
            [] => Ok(T::default()),
            bytes => json(bytes),
        }
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not what is expected: {error}")))
}

async fn body<S: Send + Sync>(request: Request, max_bytes: usize, state: &S) -> Result<Bytes, Problem> {
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the body is larger than {max_bytes} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        _ => Problem::bad_request("the body did not arrive whole; send it again"),
    })
}

/// The one name in the path, read as a `T`.
pub(crate) struct Named<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Named<T>
where
    S: Send + Sync,
    T: TryFrom<String>,
    T::Error: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = name.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
        T::try_from(name)
            .map(Self)
            .map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// The names in the path, read as the fields of a `T`.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments = Path::<T>::from_request_parts(parts, state).await;
        let Path(segments) = segments.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        Ok(Self(segments))
    }
}

/// `path` with these parameters; those without a value are left out.
pub(crate) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// What is never encoded in a URL (RFC 3986, 2.3: unreserved), so that addresses stay readable.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_bytes_as_text() {
        let params = Params::read(b"q=%FF%00caf%C3%A9+x&q=second&=&%&empty=", line);
        assert_eq!(params.text("q"), "\u{fffd} caf\u{e9} x");
        assert_eq!(params.text("empty"), "");
        assert_eq!(params.text("missing"), "");
    }

    #[test]
    fn forms_may_have_several_lines() {
        let form = Params::read(b"start=a%0D%0A%0D%0A+b%00%0Ac", lines);
        assert_eq!(form.lines("start").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(Params::read(b"q=a%0Ab", line).text("q"), "a b");
    }

    #[test]
    fn numbers_outside_their_range_are_refused_with_the_range() {
        let number = |query: &str| Params::read(query.as_bytes(), line).number("page", 1, 1..=10);
        assert_eq!(number(""), Ok(1));
        assert_eq!(number("page=10"), Ok(10));
        for wrong in [
            "page=0",
            "page=11",
            "page=x",
            "page=-1",
            "page=99999999999999999999",
        ] {
            assert!(
                number(wrong).is_err_and(|problem| problem.detail().contains("from 1 to 10")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn links_hold_what_they_are_given() {
        assert_eq!(link("/", &[("q", "a&b c"), ("host", "")]), "/?q=a%26b+c");
        assert_eq!(link("/", &[]), "/");
        assert_eq!(segment("a@1/[::1]"), "a%401%2F%5B%3A%3A1%5D");
        assert_eq!(segment("www.example-1.gov"), "www.example-1.gov");
    }
}
