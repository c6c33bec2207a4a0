//! Commands and batches that come as the body of a request.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use crate::change::Revision;
use crate::command::{Answer, Verb, write_line};
use crate::http::app::App;
use crate::http::body::Sent;
use crate::http::params::Params;
use crate::http::problem::{Problem, Refused};
use crate::index::Reply;
use crate::name::parse_name;

/// What became of all lines.
#[derive(Serialize)]
pub(super) struct Replies {
    revision: u64,
    replies: Vec<Replied>,
}

/// What became of one line.
#[derive(Serialize)]
struct Replied {
    answer: &'static str,
    revision: u64,
    /// Why, when the answer is FAIL.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refused>,
    /// Why, when the answer is ERROR.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Reply> for Replied {
    fn from(reply: Reply) -> Self {
        let read_only = || "this server only reads; send changes to the one that it follows".to_owned();
        let malformed = reply.malformed.map(|malformed| malformed.to_string());
        let is_error = reply.answer == Answer::Error;
        Self {
            answer: reply.answer.as_str(),
            revision: reply.revision.0,
            refusal: reply.refusal.map(Refused::from),
            // A well-formed line is only answered ERROR where nothing can be written.
            error: is_error.then(|| malformed.unwrap_or_else(read_only)),
        }
    }
}

/// `/v1/commands`: lines of the protocol, in order, each for itself.
pub(super) async fn commands(
    State(app): State<Arc<App>>,
    params: Params,
    Sent(lines): Sent,
) -> Result<Json<Replies>, Problem> {
    params.only(&[])?;
    let most = app.options.commands;
    if lines.iter().filter(|&&byte| byte == b'\n').count() > most {
        let detail =
            format!("there are more than {most} lines; send them in several requests, or as a batch");
        return Err(Problem::too_large(detail));
    }
    let replies = app.index.replies(&lines).await?;
    let newest = replies.last().map(|reply| reply.revision);
    Ok(Json(Replies {
        revision: newest.unwrap_or_else(|| app.index.sizes().committed).0,
        replies: replies.into_iter().map(Replied::from).collect(),
    }))
}

/// The revision after a change.
#[derive(Serialize)]
pub(super) struct Changed {
    pub(super) revision: u64,
}

/// A batch as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(default)]
    index: Vec<Indexed>,
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Indexed {
    package: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// `/v1/batch`: INDEX and REMOVE lines as one change, or nothing. With `base`, only when that is still the newest revision.
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    params: Params,
    headers: HeaderMap,
    Sent(body): Sent,
) -> Result<Json<Changed>, Problem> {
    params.only(&["base"])?;
    let base = params.number("base", 0..=u64::MAX)?.map(Revision);
    let revision = match is_json(&headers) {
        true => app.index.batch_at(base, &lines(&body)?).await,
        false => app.index.batch_at(base, &body).await,
    };
    Ok(Json(Changed {
        revision: revision?.0,
    }))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The batch as lines. Names are looked at first: one with a pipe or a newline in it would be another command.
fn lines(json: &[u8]) -> Result<Vec<u8>, Problem> {
    let batch: Batch = serde_json::from_slice(json).map_err(|error| {
        let example = r#"{"index": [{"package": "a", "dependencies": ["b"]}], "remove": ["c"]}"#;
        Problem::bad_request(format!(
            "the body is not what is expected: {error}; send {example}"
        ))
    })?;
    let mut lines = Vec::new();
    for Indexed {
        package,
        dependencies,
    } in &batch.index
    {
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|name| checked(name))
            .collect::<Result<_, _>>()?;
        write_line(
            &mut lines,
            Verb::Index,
            checked(package)?,
            dependencies.into_iter(),
        );
    }
    for package in &batch.remove {
        write_line(&mut lines, Verb::Remove, checked(package)?, std::iter::empty());
    }
    Ok(lines)
}

fn checked(name: &str) -> Result<&str, Problem> {
    let wrong = |error| Problem::bad_request(format!("the package {name:?}: {error}"));
    parse_name(name.as_bytes()).map_err(wrong)
}
