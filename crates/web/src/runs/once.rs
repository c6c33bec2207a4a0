//! Code that is run once, while its sender listens: what `morph-cli` speaks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use model::{OwnerName, RunId};
use registry::{Run, Scope};
use runlog::Line;
use runner::{MAX_UPLOAD_BYTES, Runner, RunnerError};
use serde::Serialize;
use utoipa::ToSchema;

use super::json_line;
use super::watch::{Step, watch};
use crate::clock;
use crate::problem::{Chain, Problem};
use crate::spool::{self, Spooled};
use crate::state::App;
use crate::visitor::Visitor;

/// Bytes of a form beside the code.
const MAX_FIELDS_BYTES: u64 = 64 << 10;
/// Bytes of a key at most.
const MAX_KEY_BYTES: usize = 1 << 10;
/// A run may be silent for longer than proxies wait; clients pass over empty lines.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A line of what a run says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunOutput)]
struct OutputBody<'a> {
    /// `stdout`, `stderr` or `internalout`.
    stream: &'static str,
    text: &'a str,
}

/// What is sent.
#[derive(ToSchema)]
#[schema(as = RunForm)]
#[expect(dead_code, reason = "it describes a form that is read field by field")]
struct FormBody {
    /// A key with the scope `run`; it comes before the code. A key in the headers will do, too.
    api_key: String,
    /// A tar archive of the scraper's folder, also compressed with gzip, at most 200 MiB.
    #[schema(value_type = String, format = Binary)]
    code: Vec<u8>,
}

/// Runs code once and answers with what it says, as it says it, for as long as the run takes. Its data is not kept; whoever
/// hangs up stops the run.
///
/// `morph-cli` speaks this: `api_key` and `code` in a form, one JSON object a line back, refusals as text.
#[utoipa::path(
    post, path = "/run", tag = "runs", operation_id = "run_once",
    request_body(content = FormBody, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = OutputBody, description = "One JSON object a line; empty lines mean nothing", content_type = "text/event-stream"),
        (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"),
        (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn run(
    State(app): State<Arc<App>>,
    visitor: Result<Visitor, Problem>,
    request: Request,
) -> Result<Response, Refusal> {
    let (owner, code) = received(&app, visitor?, request).await?;
    let run = app
        .runner
        .run_upload(&owner, &code)
        .await
        .map_err(Problem::from)?;
    let output = output(&app.runner, &run, owner).take_until(app.stop.clone().cancelled_owned());
    // The type that morph gave. It also keeps the answer from being compressed, which would hold lines back.
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((
        headers,
        Body::from_stream(output.map(Ok::<_, std::convert::Infallible>)),
    )
        .into_response())
}

/// Why nothing is run, in words: clients of this path know no problem documents.
pub(super) struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let text = match status {
            StatusCode::UNAUTHORIZED => "API key is not valid",
            _ => self.0.detail(),
        };
        (status, text.to_owned()).into_response()
    }
}

/// The code, and whose it is. Nothing is written to disk for somebody who may not run it.
async fn received(
    app: &App,
    visitor: Visitor,
    mut request: Request,
) -> Result<(OwnerName, Spooled), Problem> {
    let limit = usize::try_from(MAX_UPLOAD_BYTES + MAX_FIELDS_BYTES).unwrap_or(usize::MAX);
    DefaultBodyLimit::max(limit).apply(&mut request);
    let mut fields = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let (mut visitor, mut received) = (visitor, None);
    while let Some(field) = fields.next_field().await.map_err(|error| broken(&error))? {
        match field.name() {
            Some("api_key") => visitor = known(app, &key(field).await?).await?,
            Some("code") => {
                let owner = visitor.owner()?;
                visitor.must(app, Scope::Run, &owner).await?;
                received = Some((owner, spool::to_file(app, field, MAX_UPLOAD_BYTES).await?));
            }
            _ => {}
        }
    }
    received.ok_or_else(|| {
        Problem::bad_request("there is no code; send a tar archive of the scraper in the field \"code\"")
    })
}

fn broken(error: &MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let mebibytes = MAX_UPLOAD_BYTES >> 20;
            let detail = format!("the form is too large; send at most {mebibytes} MiB of code");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        _ => Problem::bad_request("the form did not arrive whole; send it again"),
    }
}

async fn key(mut field: Field<'_>) -> Result<String, Problem> {
    let mut key = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        key.extend_from_slice(&piece);
        if key.len() > MAX_KEY_BYTES {
            return Err(Problem::unknown_key());
        }
    }
    String::from_utf8(key).map_err(|_| Problem::unknown_key())
}

/// Who has this key.
async fn known(app: &App, key: &str) -> Result<Visitor, Problem> {
    if !app.access.accounts {
        return Ok(Visitor::Anyone);
    }
    let known = app.runner.registry().key(key.trim(), clock::now()).await?;
    known.map(Visitor::Program).ok_or_else(Problem::unknown_key)
}

/// What the run says, each line a piece of its own: some clients take a piece for a line.
fn output(runner: &Runner, run: &Run, by: OwnerName) -> impl Stream<Item = Bytes> + Send + use<> {
    let greeting = format!("run {} waits for its turn", run.id);
    let greeting = line("internalout", &greeting);
    let output = Output {
        steps: Box::pin(watch(runner.clone(), run.id, 0)),
        listener: Listener {
            runner: runner.clone(),
            run: run.id,
            by,
            is_over: false,
        },
    };
    let said = stream::unfold(output, async |mut output| Some((output.next().await?, output)));
    stream::iter([greeting]).chain(said.flat_map(stream::iter))
}

struct Output<S> {
    steps: Pin<Box<S>>,
    listener: Listener,
}

impl<S: Stream<Item = Result<Step, RunnerError>>> Output<S> {
    /// What is said next, an empty line where nothing is; nothing when everything was said.
    async fn next(&mut self) -> Option<Vec<Bytes>> {
        let Ok(step) = tokio::time::timeout(KEEP_ALIVE, self.steps.next()).await else {
            return Some(vec![Bytes::from_static(b"\n")]);
        };
        match step? {
            Ok(Step::Lines(lines)) => Some(lines.iter().map(line_of).collect()),
            Ok(Step::End(_)) => {
                self.listener.is_over = true;
                None
            }
            Err(error) => {
                tracing::error!(run = %self.listener.run, error = %Chain(&error), "a log could not be followed");
                let sorry = "what the run says can no longer be read; its log may say more";
                Some(vec![line("stderr", sorry)])
            }
        }
    }
}

fn line_of(said: &Line) -> Bytes {
    let stream = match said.stream {
        runlog::Stream::Stdout => "stdout",
        runlog::Stream::Stderr => "stderr",
        // Old clients end with an error when they hear of "internalerr".
        runlog::Stream::InternalOut | runlog::Stream::InternalErr => "internalout",
    };
    line(stream, &said.text)
}

fn line(stream: &'static str, text: &str) -> Bytes {
    json_line(&OutputBody { stream, text }).into()
}

/// Somebody who listens to a run. When they hang up, nobody needs it any more.
struct Listener {
    runner: Runner,
    run: RunId,
    by: OwnerName,
    is_over: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.is_over {
            return;
        }
        let (runner, run, by) = (self.runner.clone(), self.run, self.by.clone());
        runtime.spawn(async move {
            if let Err(error) = runner.stop_run(run, by.as_str()).await {
                tracing::warn!(%run, error = %Chain(&error), "a run that nobody listens to could not be stopped");
            }
        });
    }
}
