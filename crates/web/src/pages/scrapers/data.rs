//! What is in the data of a scraper: its tables, the first rows of one, and where to get all of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use dataset::{Page, QueryError, Reader, ReaderLimits, Table, Value};
use maud::{Markup, html};
use model::ScraperId;
use runner::RunnerError;

use super::{address, data_address, must_read};
use crate::api::scrapers::Of;
use crate::data::desk::Asker;
use crate::display::{bytes, count, counted, time};
use crate::download::Download;
use crate::pages::layout::table;
use crate::params::link;
use crate::problem::{Chain, Problem};
use crate::state::App;
use crate::visitor::Visitor;

/// Rows that are shown.
const ROWS: u64 = 10;
/// How long looking may take.
const MAX_TIME: Duration = Duration::from_secs(5);
/// Letters of a value that are shown.
const LETTERS: usize = 120;

/// What was found.
pub(super) struct Preview {
    tables: Vec<Table>,
    shown: Option<(String, Page)>,
    version: registry::Version,
}

/// What the page shows of the data.
pub(super) enum Look {
    /// There is none yet.
    Nothing,
    /// It is not for this visitor.
    Withheld,
    /// It is there, but cannot be looked into now: too many do, it takes too long, or the archive does not answer.
    Closed,
    /// This.
    Shown(Preview),
}

/// Looks into the newest data, at `table` or the first one. Whatever goes wrong, the rest of the page can be shown.
pub(super) async fn look(app: &App, visitor: &Visitor, id: &ScraperId, table: &str) -> Look {
    let file = match app.runner.data(id, None).await {
        Ok(file) => file,
        Err(RunnerError::NoData(_)) => return Look::Nothing,
        Err(error) => return closed(id, &error),
    };
    let Ok(seat) = app.desk.seat(Asker::from(visitor)).await else {
        return Look::Closed;
    };
    let (path, table) = (file.path, table.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        preview(&path, &table)
    });
    match read.await {
        Ok(Ok((tables, shown))) => Look::Shown(Preview {
            tables,
            shown,
            version: file.version,
        }),
        Ok(Err(error)) => closed(id, &error),
        Err(error) => closed(id, &error),
    }
}

fn closed(id: &ScraperId, error: &dyn std::error::Error) -> Look {
    tracing::warn!(scraper = %id, error = %Chain(error), "data could not be looked into");
    Look::Closed
}

type Shown = (Vec<Table>, Option<(String, Page)>);

fn preview(path: &Path, table: &str) -> Result<Shown, QueryError> {
    let limits = ReaderLimits {
        time: MAX_TIME,
        ..ReaderLimits::default()
    };
    let reader = Reader::open(path, limits)?;
    let tables = reader.tables()?;
    let chosen = tables.iter().find(|known| known.name == table).or(tables.first());
    let shown = match chosen {
        Some(chosen) => Some((chosen.name.clone(), reader.page(&chosen.name, None, ROWS)?)),
        None => None,
    };
    Ok((tables, shown))
}

/// Tables, rows, and downloads.
pub(super) fn section(id: &ScraperId, look: &Look) -> Markup {
    html! {
        h2 #data { "Data" }
        @match look {
            Look::Nothing => p.soft { "None yet: it comes with the first run that leaves a table in " code { "data.sqlite" } "." },
            Look::Withheld => p.soft { a href=(link("/sign-in", &[("to", &address(id))])) { "Sign in" } " to see it: its owner has not opened it to everybody." },
            Look::Closed => {
                p.soft { "The data cannot be looked into just now; it can still be downloaded." }
                (downloads(id, None))
            },
            Look::Shown(found) => {
                p.soft { "Version " (found.version.number) ", " (bytes(found.version.bytes)) ", " (time(found.version.at)) "." }
                (tables(id, found))
                @if let Some((name, page)) = &found.shown { (rows(name, page)) (shown(found, name, page)) }
                (downloads(id, found.shown.as_ref().map(|(name, _)| name.as_str())))
            }
        }
    }
}

fn tables(id: &ScraperId, found: &Preview) -> Markup {
    let shown = found.shown.as_ref().map(|(name, _)| name.as_str());
    html! {
        ul.key aria-label="Tables" {
            @for table in &found.tables {
                li {
                    a href={ (link(&address(id), &[("table", &table.name)])) "#data" } aria-current=[(shown == Some(&table.name)).then_some("true")] { (table.name) }
                    " " span.soft { (count(table.rows)) }
                }
            }
        }
    }
}

/// How much of the table that is.
fn shown(found: &Preview, name: &str, page: &Page) -> Markup {
    let all = found
        .tables
        .iter()
        .find(|table| table.name == name)
        .map_or(0, |table| table.rows);
    html! {
        @if page.rows.is_empty() { p.soft { "The table " (name) " has no rows." } }
        @else if all > page.rows.len() as u64 { p.soft { "The first " (page.rows.len()) " of " (counted(all, "row")) "." } }
    }
}

fn rows(name: &str, page: &Page) -> Markup {
    // The name of a column of numbers stands above them, at the right.
    let is_number = |at: usize| {
        let first = page.rows.first().and_then(|row| row.get(at));
        matches!(first, Some(Value::Integer(_) | Value::Real(_)))
    };
    let columns = page.columns.iter().enumerate();
    let head = html! { @for (at, column) in columns { th.number[is_number(at)] { (column.name) } } };
    let rows = html! { @for row in &page.rows { tr { @for value in row { (cell(value)) } } } };
    html! { div.data { (table(&format!("First rows of {name}"), &head, &rows)) } }
}

fn cell(value: &Value<'_>) -> Markup {
    html! {
        @match value {
            Value::Null => td.soft { span aria-hidden="true" { "\u{2205}" } span.unseen { "nothing" } },
            Value::Integer(number) => td.number { (number) },
            Value::Real(number) => td.number { (number) },
            Value::Text(text) => td { (linked(text)) },
            Value::Blob(blob) => td.soft { (bytes(blob.len() as u64)) },
        }
    }
}

/// Text as it is; an address of the web can be followed.
fn linked(text: &str) -> Markup {
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    html! { @if is_address { a href=(text) rel="nofollow noreferrer" { (cut(text)) } } @else { (cut(text)) } }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}\u{2026}", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A browser gets the file; programs, which have keys, get rows.
fn downloads(id: &ScraperId, table: Option<&str>) -> Markup {
    let question = format!("select * from {}", quoted(table.unwrap_or("data")));
    let rows = link(&data_address(id, "json"), &[("query", &question)]);
    html! {
        div.actions { a.button.plain href={ (address(id)) "/data.sqlite" } download={ (id.name) ".sqlite" } { "Download it all" span.unseen { " as an SQLite file" } } }
        details {
            summary { "For programs" }
            p { "With a key that may read data, which " a href="/account" { "your account's page" } " makes, and any SQL that reads:" }
            pre tabindex="0" { code { "curl -H \"X-Api-Key: $KEY\" \"$HAUL" (rows) "\"" } }
            p.soft { code { "data.csv" } " and " code { "data.atom" } " in the place of " code { "data.json" } " answer in those forms; " code { "data.sqlite" } " is the file." }
        }
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The newest data as a file, for whoever may see the page's rows.
pub(super) async fn download(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    request: Request,
) -> Result<Response, Problem> {
    let scraper = app.runner.registry().scraper(&id).await?;
    must_read(&app, &visitor, &scraper).await?;
    let file = app.runner.data(&scraper.id, None).await?;
    let name = format!("{}.sqlite", scraper.id.name);
    Download::new(file.path, &file.version.checksum, name)
        .answer(request)
        .await
}
