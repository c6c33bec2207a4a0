//! Questions about the graph, on a snapshot.

use std::num::NonZero;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::change::Revision;
use crate::http::app::App;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::query::{Cycles, Direction, Order, Orphans, Package, Page, QueryError, Questions, Reach, Why};

type Answered<T> = Result<Json<T>, Problem>;

/// `/v1/package`: a package with the first of its neighbours.
pub(super) async fn package(State(app): State<Arc<App>>, params: Params) -> Answered<Package> {
    params.only(&["name", "limit", "budget"])?;
    let name = params.package("name")?.to_owned();
    let limit = page(&app, &params)?.limit;
    ask(&app, &params, move |questions| questions.package(&name, limit)).await
}

/// `/v1/dependencies`: what a package needs.
pub(super) async fn dependencies(state: State<Arc<App>>, params: Params) -> Answered<Reach> {
    reach(state, &params, Direction::Dependencies).await
}

/// `/v1/dependents`: what needs a package.
pub(super) async fn dependents(state: State<Arc<App>>, params: Params) -> Answered<Reach> {
    reach(state, &params, Direction::Dependents).await
}

async fn reach(State(app): State<Arc<App>>, params: &Params, direction: Direction) -> Answered<Reach> {
    params.only(&["name", "transitive", "depth", "limit", "after", "budget"])?;
    let name = params.package("name")?.to_owned();
    let depth = depth(params)?;
    let page = page(&app, params)?;
    ask(&app, params, move |questions| {
        questions.reach(&name, direction, depth, &page)
    })
    .await
}

/// One step, unless more is asked for.
fn depth(params: &Params) -> Result<Option<NonZero<u32>>, Problem> {
    let depth = params.number("depth", 1..=u64::from(u32::MAX))?;
    let depth = depth
        .and_then(|depth| u32::try_from(depth).ok())
        .and_then(NonZero::new);
    Ok(match (depth, params.is_true("transitive")?) {
        (None, true) => None,
        (None, false) => Some(NonZero::<u32>::MIN),
        (given, _) => given,
    })
}

/// `/v1/why`: a shortest path from one package to another.
pub(super) async fn why(State(app): State<Arc<App>>, params: Params) -> Answered<Why> {
    params.only(&["from", "to", "budget"])?;
    let from = params.package("from")?.to_owned();
    let to = params.package("to")?.to_owned();
    ask(&app, &params, move |questions| questions.why_depends(&from, &to)).await
}

/// `/v1/install-order`: what has to be there before what.
pub(super) async fn install_order(State(app): State<Arc<App>>, params: Params) -> Answered<Order> {
    let (names, page) = ordered(&app, &params)?;
    ask(&app, &params, move |questions| {
        questions.install_order(&names, &page)
    })
    .await
}

/// `/v1/removal-order`: what has to go before what.
pub(super) async fn removal_order(State(app): State<Arc<App>>, params: Params) -> Answered<Order> {
    let (names, page) = ordered(&app, &params)?;
    ask(&app, &params, move |questions| {
        questions.removal_order(&names, &page)
    })
    .await
}

fn ordered(app: &App, params: &Params) -> Result<(Vec<String>, Page), Problem> {
    params.only(&["name", "limit", "after", "budget"])?;
    let names = params.packages("name")?;
    let names = names.into_iter().map(ToOwned::to_owned).collect();
    Ok((names, page(app, params)?))
}

/// `/v1/cycles`: packages that need each other.
pub(super) async fn cycles(State(app): State<Arc<App>>, params: Params) -> Answered<Cycles> {
    params.only(&["limit", "after", "budget"])?;
    let page = page(&app, &params)?;
    ask(&app, &params, move |questions| questions.cycles(&page)).await
}

/// `/v1/orphans`: packages that nobody needs.
pub(super) async fn orphans(State(app): State<Arc<App>>, params: Params) -> Answered<Orphans> {
    params.only(&["limit", "after", "budget"])?;
    let page = page(&app, &params)?;
    ask(&app, &params, move |questions| Ok(questions.orphans(&page))).await
}

fn page(app: &App, params: &Params) -> Result<Page, Problem> {
    let first = Page::default();
    let limit = params.size("limit", app.options.page)?;
    Ok(Page {
        after: params.maybe_package("after")?.map(ToOwned::to_owned),
        limit: limit.unwrap_or(first.limit.min(app.options.page)),
    })
}

async fn ask<T: Serialize + Send + 'static>(
    app: &App,
    params: &Params,
    question: impl FnOnce(&Questions) -> Result<T, QueryError> + Send + 'static,
) -> Answered<T> {
    let most = app.options.budget;
    let budget = params.size("budget", most)?.unwrap_or(most);
    app.with_snapshot(move |snapshot| {
        question(&Questions::with_budget(snapshot, budget))
            .map(Json)
            .map_err(|error| refused(&error, snapshot.revision()))
    })
    .await
}

fn refused(error: &QueryError, revision: Revision) -> Problem {
    let detail = error.to_string();
    match error {
        QueryError::NotIndexed { .. } => Problem::not_found(format!(
            "{detail}; look at the spelling, upper and lower case are different"
        )),
        QueryError::TooMuchWork { .. } => Problem::too_much(detail),
        QueryError::NoSuchPage { .. } => Problem::conflict(detail),
    }
    .at(revision)
}
