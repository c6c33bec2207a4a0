//! The log of a run: its last lines, and those that come.

use maud::{Markup, html};
use model::RunId;
use registry::{Phase, Run};
use runlog::{Line, Stream};

use crate::display::counted;
use crate::problem::Problem;
use crate::state::App;

/// The end of a run's log; nothing where there is none here.
pub(super) async fn tail(app: &App, run: RunId, lines: usize) -> Result<Vec<Line>, Problem> {
    let Some(log) = app.runner.log(run).await? else {
        return Ok(Vec::new());
    };
    let read = tokio::task::spawn_blocking(move || log.tail(lines)).await;
    read.map_err(|error| Problem::failed("reading the log", false, &error))?
        .map_err(|error| Problem::failed("reading the log", false, &error))
}

/// Lines with their numbers; where the run goes on, a script adds those that come after them. They are not read out as they come: what the run is at says the line
/// below them.
pub(super) fn shown(run: &Run, lines: &[Line]) -> Markup {
    let is_over = run.phase == Phase::Finished;
    let last = lines.last().map_or(0, |line| line.number);
    let events = (!is_over).then(|| format!("/api/v1/runs/{}/log/events?after={last}", run.id));
    html! {
        @if let Some(first) = lines.first().filter(|first| first.number > 1) {
            p.soft { (counted(first.number - 1, "line")) " before these: " a href={ "/api/v1/runs/" (run.id) "/log" } { "the whole log" } "." }
        }
        div.log role="log" aria-live="off" aria-label="Log" tabindex="0" data-log=[events] {
            ol { @for line in lines { li value=(line.number) class=(class(line.stream)) { (line.text) } } }
        }
        p.soft role="status" data-log-state {
            @if lines.is_empty() { @if is_over { "There is no log: the run wrote none, or it is kept no more." } @else { "Nothing yet: the log begins when a worker takes the run." } }
        }
    }
}

fn class(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::InternalOut => "internalout",
        Stream::InternalErr => "internalerr",
    }
}
