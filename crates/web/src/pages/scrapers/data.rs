//! What is in the data of a scraper: its tables, the first rows of one, and where to get all of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use dataset::{Page, Reader, ReaderLimits, Table, Value};
use maud::{Markup, html};
use model::ScraperId;
use registry::Scope;
use runner::RunnerError;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::{address, data_address};
use crate::api::scrapers::Of;
use crate::display::{bytes, count, counted, time};
use crate::params::link;
use crate::problem::Problem;
use crate::router::PACK_MEDIA_TYPE;
use crate::state::App;
use crate::visitor::Visitor;

/// Rows that are shown.
const ROWS: u64 = 10;
/// Letters of a value that are shown.
const LETTERS: usize = 120;

/// What was found.
pub(super) struct Preview {
    tables: Vec<Table>,
    shown: Option<(String, Page)>,
    version: registry::Version,
}

/// Looks into the newest data, at `table` or the first one; nothing where there is none yet.
pub(super) async fn look(app: &App, id: &ScraperId, table: &str) -> Result<Option<Preview>, Problem> {
    let file = match app.runner.data(id, None).await {
        Ok(file) => file,
        Err(RunnerError::NoData(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (path, table) = (file.path, table.to_owned());
    let read = move || {
        let reader = Reader::open(&path, ReaderLimits::default())?;
        let tables = reader.tables()?;
        let chosen = tables.iter().find(|known| known.name == table).or(tables.first());
        let shown = match chosen {
            Some(chosen) => Some((chosen.name.clone(), reader.page(&chosen.name, None, ROWS)?)),
            None => None,
        };
        Ok::<_, dataset::QueryError>((tables, shown))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let (tables, shown) = read
        .map_err(|error| Problem::failed("looking into the data", false, &error))?
        .map_err(|error| Problem::failed("looking into the data", false, &error))?;
    Ok(Some(Preview {
        tables,
        shown,
        version: file.version,
    }))
}

/// Tables, rows, and downloads.
pub(super) fn section(id: &ScraperId, found: Option<&Preview>) -> Markup {
    html! {
        h2 #data { "Data" }
        @match found {
            None => p.soft { "None yet: it comes with the first run that leaves a table in " code { "data.sqlite" } "." },
            Some(found) => {
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
    html! {
        div.scroll role="region" aria-label={ "First rows of " (name) } tabindex="0" {
            table.data {
                thead { tr { @for column in &page.columns { th { (column.name) } } } }
                tbody { @for row in &page.rows { tr { @for value in row { (cell(value)) } } } }
            }
        }
    }
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

/// In the place of data that this visitor may not read.
pub(super) fn withheld(id: &ScraperId) -> Markup {
    html! {
        h2 #data { "Data" }
        p.soft { a href=(link("/sign-in", &[("to", &address(id))])) { "Sign in" } " to see it: its owner has not opened it to everybody." }
    }
}

/// The newest data as a file, for whoever may see the page's rows.
pub(super) async fn download(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Response, Problem> {
    let scraper = app.runner.registry().scraper(&id).await?;
    if !scraper.settings.public {
        visitor.must(&app, Scope::Data, &id.owner).await?;
    }
    let file = app.runner.data(&scraper.id, None).await?;
    let whole = ServeFile::new(&file.path).oneshot(Request::new(Body::empty()));
    let Ok(mut response) = whole.await.map(IntoResponse::into_response);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PACK_MEDIA_TYPE));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    Ok(response)
}
