//! What runs say: their logs, now and as they are written, and code that is run while its sender listens.

mod events;
mod log;
mod once;
mod watch;

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::display::rfc3339;
use crate::state::App;

/// Every path about what runs say.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(log::read))
        .routes(routes!(events::follow))
        .routes(routes!(once::run))
}

/// A line of a log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLine)]
struct LineBody<'a> {
    /// From 1, without gaps.
    number: u64,
    /// When it was written, RFC 3339.
    #[schema(value_type = String)]
    at: String,
    /// `stdout` and `stderr` of the program; what Haul says is `internalout`, or `internalerr` where something went wrong.
    #[schema(value_type = String, example = "stdout")]
    stream: runlog::Stream,
    /// Safe to show on a terminal, but not escaped for HTML.
    text: &'a str,
}

impl<'a> From<&'a runlog::Line> for LineBody<'a> {
    fn from(line: &'a runlog::Line) -> Self {
        Self {
            number: line.number,
            at: rfc3339(model::Timestamp::from_millis(line.at_ms)),
            stream: line.stream,
            text: &line.text,
        }
    }
}

/// `value` as one line of JSON.
fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
