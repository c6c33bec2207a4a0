use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::data::desk::Asker;
use crate::state::App;
use crate::visitor::Visitor;

/// Parameters of a query string at most; what comes after them is not read.
const MAX_PARAMETERS: usize = 250;

/// What a question came with: its parameters as they were sent, white space and all, and its key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pairs: Vec<(String, String)>,
    header_key: Option<String>,
    bearer_key: Option<String>,
    /// A person who is signed in, or anybody where nobody needs to be.
    person: Option<Asker>,
}

impl Sent {
    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// The key: a header of its own wins over the parameter, this over `Authorization`.
    pub(crate) fn key(&self) -> Option<&str> {
        let header = self.header_key.as_deref();
        header.or_else(|| self.get("key")).or(self.bearer_key.as_deref())
    }

    /// The person who asks, where one is signed in or nobody needs to be.
    pub(crate) fn person(&self) -> Option<&Asker> {
        self.person.as_ref()
    }

    /// All parameters but the key, as a query string.
    pub(crate) fn without_key(&self) -> String {
        let shown = self.pairs.iter().filter(|(name, _)| name != "key");
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(shown)
            .finish()
    }

    /// Parameters whose names do not begin with `_` and are not of ours.
    pub(crate) fn of_question(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = |name: &str| name.starts_with('_') || matches!(name, "key" | "format" | "sql");
        let pairs = self.pairs.iter().filter(move |(name, _)| !own(name));
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn read(query: &str, headers: &HeaderMap) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMETERS);
        let text = |name: &str| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then(|| token.trim().to_owned())
        });
        Self {
            pairs: pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            header_key: text("x-api-key"),
            bearer_key: bearer,
            person: None,
        }
    }
}

impl FromRequestParts<Arc<App>> for Sent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let visitor = Visitor::from_request_parts(parts, app).await;
        let person = visitor
            .ok()
            .filter(|visitor| matches!(visitor, Visitor::Anyone | Visitor::Person(_)));
        Ok(Self {
            person: person.as_ref().map(Asker::from),
            ..Self::read(parts.uri.query().unwrap_or_default(), &parts.headers)
        })
    }
}
