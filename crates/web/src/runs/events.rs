use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt, stream};
use model::RunId;
use runner::RunnerError;
use serde::Serialize;

use super::LineBody;
use super::log::start;
use super::watch::{Step, watch};
use crate::api::refusals::{Full, Missing, SentAlong, Wrong};
use crate::api::scrapers::readable;
use crate::api::wire::RunBody;
use crate::params::{Named, Params};
use crate::problem::{Chain, Problem};
use crate::state::App;
use crate::visitor::Visitor;

/// Server-sent events: `line` for each line of the log, whose number is the event's id, and `end` with the run when it is over.
///
/// Who comes again with `Last-Event-ID` gets what followed it; no line is left out, however slowly one reads.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/log/events", tag = "runs", operation_id = "follow_log",
    params(
        ("run" = u64, Path, description = "Its number"),
        ("after" = Option<u64>, Query, description = "Only lines after this number"),
        ("tail" = Option<u64>, Query, description = "Of the lines that are there, only so many, the last ones"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last line that was read; it counts before `after` and `tail`"),
    ),
    responses(
        (status = 200, body = LineBody, content_type = "text/event-stream"),
        Wrong,
        SentAlong,
        Missing,
        Full,
    )
)]
pub(super) async fn follow(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(run): Named<RunId>,
    params: Params,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let run = readable(&app, &visitor, run).await?;
    let after = match last_event(&headers) {
        Some(number) => number,
        None => start(&params, app.runner.log(run.id).await?.as_ref())?,
    };
    let steps = watch(app.runner.clone(), run.id, after);
    let events = steps.flat_map(|step| stream::iter(events(step)).map(Ok));
    let events = events.take_until(app.stream()?);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn last_event(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// After a failure nothing comes; clients come again with the last id that they had.
fn events(step: Result<Step, RunnerError>) -> Vec<Event> {
    match step {
        Ok(Step::Lines(lines)) => lines
            .iter()
            .map(|line| named("line", &LineBody::from(line)).id(line.number.to_string()))
            .collect(),
        Ok(Step::End(run)) => vec![named("end", &RunBody::from(run.as_ref()))],
        Err(error) => {
            tracing::error!(error = %Chain(&error), "a log could not be followed");
            Vec::new()
        }
    }
}

fn named(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name).json_data(data);
    event.unwrap_or_else(|_| Event::default().comment("an event could not be written as JSON"))
}
