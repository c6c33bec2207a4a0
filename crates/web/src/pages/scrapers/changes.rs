//! `/scrapers/{owner}/{name}/changes`: what is different between two versions of the data.

use std::sync::Arc;

use axum::extract::State;
use dataset::{Change, ChangedRow, Value};
use maud::{Markup, html};
use registry::Version;

use super::{address, must_read};
use crate::api::scrapers::Of;
use crate::data::changes::Versions;
use crate::data::desk::Asker;
use crate::display::bytes;
use crate::pages::layout::{self, Area, Frame, table};
use crate::params::{Params, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Rows that are listed.
const SHOWN: usize = 200;
/// Letters of a value that are shown.
const LETTERS: usize = 60;

/// Rows that changed, as the page shows them.
#[derive(Default)]
struct Found {
    rows: Vec<Changed>,
    has_more: bool,
}

struct Changed {
    table: String,
    change: Change,
    key: String,
}

impl Found {
    /// Whether there is room for more.
    fn add(&mut self, row: &ChangedRow<'_>) -> bool {
        if self.rows.len() == SHOWN {
            self.has_more = true;
            return false;
        }
        let key: Vec<String> = row
            .key
            .iter()
            .map(|(name, value)| format!("{name} = {}", shown(value)))
            .collect();
        self.rows.push(Changed {
            table: row.table.to_owned(),
            change: row.change,
            key: key.join(", "),
        });
        true
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.chars().take(LETTERS).collect(),
        Value::Blob(blob) => bytes(blob.len() as u64),
    }
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
    params: Params,
) -> Result<Markup, Problem> {
    let registry = app.runner.registry();
    let scraper = registry.scraper(&id).await?;
    must_read(&app, &visitor, &scraper).await?;
    let kept = registry.versions(&scraper.id).await?;
    let from = params.number("from", 0, 1..=usize::MAX)? as u64;
    let to = params.number("to", 0, 1..=usize::MAX)? as u64;
    let to = (to > 0).then_some(to);
    let versions = Versions::of(&app, &scraper, Asker::from(&visitor), from, to).await?;
    let (from, to) = versions.numbers();
    let found = versions.compare(Found::default(), Found::add).await?;
    let place = address(&scraper.id);
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(place) { (scraper.id) } }
        h1 { "Changes from version " (from) " to " (to) }
        (choice(&place, &kept, from, to))
        (list(&found))
        @if found.has_more { p.soft { "The first " (SHOWN) ". " a href={ "/api/v1/scrapers/" (segment(id.owner.as_str())) "/" (segment(id.name.as_str())) "/versions/" (from) "/changes?to=" (to) } { "Up to 10,000 as JSON" } "." } }
    };
    Ok(layout::work_page(&frame, Area::Scrapers, "Changes", &content))
}

fn choice(place: &str, kept: &[Version], from: u64, to: u64) -> Markup {
    let select = |name: &str, label: &str, chosen: u64| {
        html! {
            div.field {
                label for=(name) { (label) }
                select id=(name) name=(name) {
                    @for version in kept { option value=(version.number) selected[version.number == chosen] { (version.number) } }
                }
            }
        }
    };
    html! {
        form action={ (place) "/changes" } {
            div.columns { (select("from", "From version", from)) (select("to", "To version", to)) }
            div.actions { button.plain { "Compare" } }
        }
    }
}

fn list(found: &Found) -> Markup {
    let head = html! { th { "Table" } th { "Row" } th { "What became of it" } };
    let rows = html! {
        @for row in &found.rows {
            tr {
                td { (row.table) }
                td.long { (row.key) }
                td { @match row.change { Change::Added => "added", Change::Removed => "removed", Change::Changed => "changed" } }
            }
        }
    };
    html! {
        @if found.rows.is_empty() { p.soft { "No row is different." } }
        @else { (table("Rows that are different", &head, &rows)) }
    }
}
