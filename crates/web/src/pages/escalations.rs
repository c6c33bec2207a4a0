use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use crate::api::escalations::STATES;
use crate::api::found::{Found, chosen_state};
use crate::pages::decisions::{self, OF_ESCALATED};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Params, link};
use crate::problem::Problem;
use crate::state::App;

const PLACE: &str = "/escalations";

/// `/escalations`: what is left to people, over all sources.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    frame: Frame,
    params: Params,
) -> Result<Markup, Problem> {
    let state = chosen_state(&params, &STATES)?;
    let found = Found::of(&app, &[state], &params).await?;
    let (source, state) = (params.text("source"), params.text("state"));
    let back = link(PLACE, &[("source", source), ("state", state)]);
    let states = [("escalated", "escalated"), ("ignored", "left as they are")];
    let content = html! {
        h1 { "Escalations" }
        p.lead { "Items that failed for good, or too often. Their last good content stays searchable until you decide." }
        (decisions::filter(PLACE, source, &app.source_names().await?, &states, state))
        @if found.items.is_empty() {
            p { "Nothing waits for you here." }
            p.soft { "When an item fails more often than its source allows, it is listed here. The settings of a " a href="/sources" { "source" } " say how often it is tried." }
        } @else {
            (decisions::list(&found, &OF_ESCALATED, &back))
        }
        (decisions::pager(PLACE, &found, &params))
    };
    Ok(layout::work_page(
        &frame,
        Area::Escalations,
        "Escalations",
        &content,
    ))
}
