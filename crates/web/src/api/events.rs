use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use crawldb::{Crawl, CrawlStatus, CrawlTotals};
use crawler::Progress;
use futures::{Stream, StreamExt, stream};
use model::CrawlId;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::api::crawls::existing;
use crate::api::wire::TotalsBody;
use crate::params::Named;
use crate::problem::Problem;
use crate::state::App;

/// Between two events at least; people cannot read faster.
const PACE: Duration = Duration::from_millis(500);
/// Between two looks at a crawl that another process runs.
const LOOK: Duration = Duration::from_secs(2);

/// The data of a `progress` event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub(crate) struct ProgressBody {
    crawl: String,
    #[schema(value_type = String, example = "processing")]
    status: CrawlStatus,
    totals: TotalsBody,
    /// Bytes of bodies as they came over the network.
    fetched_bytes: u64,
    /// Lately.
    pages_per_second: f64,
    /// A host that is worked on.
    current_host: Option<String>,
}

/// Server-sent events: `progress` at once and whenever something changed, `end` when the crawl is over.
#[utoipa::path(
    get, path = "/api/v1/crawls/{crawl}/events", tag = "crawls", operation_id = "follow_crawl",
    params(("crawl" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = ProgressBody, content_type = "text/event-stream"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn follow(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let crawl = existing(&app, &id).await?;
    let steps = match app.crawler.progress(&id) {
        Some(progress) => watched(progress).boxed(),
        None => looked_at(Arc::clone(&app), crawl).boxed(),
    };
    let events = steps.flat_map(|step| {
        let end = step.status.is_over().then(|| named("end", &step.crawl));
        stream::iter([Some(named("progress", &step)), end].into_iter().flatten())
    });
    let events = events.take_until(app.stream()?);
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::default()))
}

fn named(name: &str, data: &impl Serialize) -> Event {
    let event = Event::default().event(name).json_data(data);
    event.unwrap_or_else(|_| Event::default().comment("an event could not be written as JSON"))
}

/// What the crawler of this process tells.
fn watched(progress: watch::Receiver<Progress>) -> impl Stream<Item = ProgressBody> + Send {
    let first = true;
    stream::unfold(Some((progress, first)), async |state| {
        let (mut progress, first) = state?;
        if !first {
            tokio::time::sleep(PACE).await;
            progress.changed().await.ok()?;
        }
        let now = progress.borrow_and_update().clone();
        let rest = (!now.is_final).then_some((progress, false));
        Some((ProgressBody::of(&now), rest))
    })
}

/// What the crawl database tells, for crawls of other processes and those that are over.
fn looked_at(app: Arc<App>, crawl: Crawl) -> impl Stream<Item = ProgressBody> + Send {
    let before: Option<CrawlTotals> = None;
    stream::unfold(Some((app, crawl, before)), async |state| {
        let (app, crawl, before) = state?;
        let crawl = match before {
            None => crawl,
            Some(_) => {
                tokio::time::sleep(LOOK).await;
                existing(&app, &crawl.id).await.ok()?
            }
        };
        let now = ProgressBody::between(before, &crawl);
        let totals = crawl.totals;
        let rest = (!crawl.status.is_over()).then_some((app, crawl, Some(totals)));
        Some((now, rest))
    })
}

impl ProgressBody {
    fn of(progress: &Progress) -> Self {
        Self {
            crawl: progress.crawl.to_string(),
            status: progress.status,
            totals: TotalsBody::from(&progress.totals),
            fetched_bytes: progress.fetched_bytes,
            pages_per_second: progress.pages_per_second,
            current_host: progress.current_host.clone(),
        }
    }

    fn between(before: Option<CrawlTotals>, crawl: &Crawl) -> Self {
        let done = |totals: CrawlTotals| totals.seen.saturating_sub(totals.open + totals.failed);
        let since = before.map_or(0, |before| done(crawl.totals).saturating_sub(done(before)));
        Self {
            crawl: crawl.id.to_string(),
            status: crawl.status,
            totals: TotalsBody::from(&crawl.totals),
            fetched_bytes: crawl.fetched_bytes,
            pages_per_second: since as f64 / LOOK.as_secs_f64(),
            current_host: None,
        }
    }
}
