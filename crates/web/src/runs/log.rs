use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, TryStreamExt, stream};
use model::RunId;
use registry::{Ending, Run};
use runlog::{Line, Log};

use super::{LineBody, json_line};
use crate::api::refusals::{SentAlong, Wrong};
use crate::api::scrapers::readable;
use crate::params::{Named, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// In what form lines are wanted.
#[derive(Clone, Copy)]
enum Form {
    /// One JSON object a line.
    Ndjson,
    /// Their text alone.
    Text,
}

impl Form {
    /// What the parameter `format` says, or else what the client accepts.
    fn wanted(params: &Params, headers: &HeaderMap) -> Result<Self, Problem> {
        let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        match params.text("format") {
            "ndjson" => Ok(Self::Ndjson),
            "text" => Ok(Self::Text),
            "" if accepts.is_some_and(|types| types.starts_with("text/plain")) => Ok(Self::Text),
            "" => Ok(Self::Ndjson),
            _ => Err(Problem::bad_request("the parameter \"format\" is ndjson or text")),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    fn write(self, lines: &[Line]) -> Vec<u8> {
        let write = |line: &Line| match self {
            Self::Ndjson => json_line(&LineBody::from(line)),
            Self::Text => format!("{}\n", line.text).into_bytes(),
        };
        lines.iter().flat_map(write).collect()
    }
}

/// What a run wrote so far: one JSON object a line, or text.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/log", tag = "runs", operation_id = "read_log",
    params(
        ("run" = u64, Path, description = "Its number"),
        ("after" = Option<u64>, Query, description = "Only lines after this number"),
        ("tail" = Option<u64>, Query, description = "Only so many lines, the last ones"),
        ("format" = Option<String>, Query, description = "`ndjson` or `text`; where it is missing, text for those who accept `text/plain` first"),
    ),
    responses(
        (status = 200, content(
            (LineBody = "application/x-ndjson"),
            (String = "text/plain"),
        )),
        Wrong,
        SentAlong,
        (status = 404, body = Problem, description = "There is no such run, or its log is kept no more", content_type = "application/problem+json"),
    )
)]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(run): Named<RunId>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = readable(&app, &visitor, run).await?;
    let form = Form::wanted(&params, &headers)?;
    let log = app.runner.log(run.id).await?;
    let after = start(&params, log.as_ref())?;
    let body = match log {
        Some(log) => Body::from_stream(lines_of(log, after).map_ok(move |lines| form.write(&lines))),
        None if wrote_something(&run) => {
            return Err(Problem::not_found("the log of this run is kept no more"));
        }
        None => Body::empty(),
    };
    Ok(([(header::CONTENT_TYPE, form.media_type())], body).into_response())
}

fn wrote_something(run: &Run) -> bool {
    let lines = |ending: &Ending| ending.log_lines;
    run.ending.as_ref().map_or(0, lines) > 0
}

/// After which line to begin, by the parameters `after` and `tail`.
pub(super) fn start(params: &Params, log: Option<&Log>) -> Result<u64, Problem> {
    let after = params.number("after", 0, 0..=usize::MAX)? as u64;
    let tail = params.number("tail", usize::MAX, 0..=usize::MAX)? as u64;
    let lines = log.map_or(0, Log::lines);
    Ok(after.max(lines.saturating_sub(tail)))
}

/// What there is by now after line number `after`, a block at a time.
fn lines_of(log: Log, after: u64) -> impl Stream<Item = std::io::Result<Vec<Line>>> + Send {
    let end = log.lines();
    stream::try_unfold((log, after), move |(log, after)| async move {
        if after >= end {
            return Ok(None);
        }
        let (log, read) = tokio::task::spawn_blocking(move || {
            let read = log.read(after);
            (log, read)
        })
        .await?;
        let lines = read.map_err(std::io::Error::other)?;
        let after = lines.last().map_or(end, |line| line.number);
        Ok(Some((lines, (log, after))))
    })
}
