//! The data API of morph.io: its addresses, its order of checks, its bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use dataset::{Column, Question, ReaderLimits, Row, Value};
use jiff::civil::Time;
use jiff::tz::Offset;
use runner::DataFile;

use crate::api::scrapers::OwnerAndName;
use crate::data::access::Granted;
use crate::data::atom::{self, Entry, Feed};
use crate::data::params::Sent;
use crate::data::refusal::{JSON, Refusal, Voice};
use crate::data::ruby::{self, Kind, Translated, translate};
use crate::data::stream::{self, Excess, Format, Work};
use crate::data::{csv as fields, json as values};
use crate::display::rfc3339;
use crate::download::Download;
use crate::state::App;

const JAVASCRIPT: &str = "application/javascript; charset=utf-8";
const CSV: &str = "text/csv; charset=utf-8";
const ATOM: &str = "application/atom+xml; charset=utf-8";
/// Characters of the name of a function.
const MAX_CALLBACK: usize = 128;

/// As many rows as there are: morph's clients know no part of an answer.
const LIMITS: ReaderLimits = ReaderLimits {
    time: Duration::from_secs(20),
    max_rows: u64::MAX,
    max_bytes: 4 << 30,
    max_value_bytes: 8 << 20,
    max_memory_bytes: 256 << 20,
};

type Names = Path<(String, String)>;

/// Rows as an array of objects, or a call of a function with it.
#[utoipa::path(
    get, path = "/{owner}/{name}/data.json", tag = "data", operation_id = "morph_json",
    params(
        OwnerAndName,
        ("key" = Option<String>, Query, description = "A key that may read data, where it is in no header"),
        ("query" = String, Query, description = "One statement in SQL that reads"),
        ("callback" = Option<String>, Query, description = "The name of a function that is called with the rows (JSONP)"),
    ),
    responses(
        (status = 200, description = "Rows", content_type = "application/json"),
        (status = 400, description = "What SQLite says", body = String, content_type = "application/json"),
        (status = 401, description = "A key that may read data is needed", body = String, content_type = "application/json"),
        (status = 404, description = "There is no such scraper", body = String, content_type = "application/json"),
        (status = 429, description = "Whoever asks asks too much; `Retry-After` says when to come again", body = String, content_type = "application/json"),
        (status = 503, description = "Too much is asked at the moment; `Retry-After` says when to come again", body = String, content_type = "application/json"),
    )
)]
pub(crate) async fn json(State(app): State<Arc<App>>, Path(names): Names, sent: Sent) -> Response {
    let callback = sent.get("callback").map(str::to_owned);
    let media_type = if callback.is_some() { JAVASCRIPT } else { JSON };
    let answered = async {
        let granted = Granted::with_key(&app, &names.0, &names.1, &sent).await?;
        if callback.as_deref().is_some_and(|name| !is_function(name)) {
            return Err(Refusal::bad_request("the callback is not the name of a function"));
        }
        let data = app.runner.data(&granted.scraper.id, None).await?;
        ask(&app, granted, data, &sent, Objects::new(callback)).await
    };
    finish(answered.await, Voice::Json, media_type, None)
}

/// Rows with a header, as a download.
#[utoipa::path(
    get, path = "/{owner}/{name}/data.csv", tag = "data", operation_id = "morph_csv",
    params(
        OwnerAndName,
        ("key" = Option<String>, Query, description = "A key that may read data, where it is in no header"),
        ("query" = String, Query, description = "One statement in SQL that reads"),
    ),
    responses(
        (status = 200, description = "Rows", content_type = "text/csv"),
        (status = 400, description = "What SQLite says", body = String, content_type = "text/plain"),
        (status = 401, description = "A key that may read data is needed", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such scraper", body = String, content_type = "text/plain"),
        (status = 429, description = "Whoever asks asks too much; `Retry-After` says when to come again", body = String, content_type = "text/plain"),
        (status = 503, description = "Too much is asked at the moment; `Retry-After` says when to come again", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn csv(State(app): State<Arc<App>>, Path(names): Names, sent: Sent) -> Response {
    let answered = async {
        let granted = Granted::with_key(&app, &names.0, &names.1, &sent).await?;
        let data = app.runner.data(&granted.scraper.id, None).await?;
        ask(&app, granted, data, &sent, Lines::default()).await
    };
    // A name that led to an answer is one that may stand in a header.
    finish(answered.await, Voice::Text, CSV, Some(format!("{}.csv", names.1)))
}

/// Rows as a feed: their columns `title`, `content`, `link` and `date`.
#[utoipa::path(
    get, path = "/{owner}/{name}/data.atom", tag = "data", operation_id = "morph_atom",
    params(
        OwnerAndName,
        ("key" = Option<String>, Query, description = "A key that may read data, where it is in no header"),
        ("query" = String, Query, description = "One statement in SQL that reads"),
    ),
    responses(
        (status = 200, description = "Rows", content_type = "application/atom+xml"),
        (status = 400, description = "What SQLite says", body = String, content_type = "text/plain"),
        (status = 401, description = "A key that may read data is needed", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such scraper", body = String, content_type = "text/plain"),
        (status = 429, description = "Whoever asks asks too much; `Retry-After` says when to come again", body = String, content_type = "text/plain"),
        (status = 503, description = "Too much is asked at the moment; `Retry-After` says when to come again", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn atom(
    State(app): State<Arc<App>>,
    Path(names): Names,
    sent: Sent,
    headers: HeaderMap,
) -> Response {
    let answered = async {
        let granted = Granted::with_key(&app, &names.0, &names.1, &sent).await?;
        let data = app.runner.data(&granted.scraper.id, None).await?;
        let entries = Entries {
            feed: feed(&app, &granted, &data, &sent, &headers),
            places: HashMap::new(),
            kinds: Vec::new(),
        };
        ask(&app, granted, data, &sent, entries).await
    };
    finish(answered.await, Voice::Text, ATOM, None)
}

/// The database itself.
#[utoipa::path(
    get, path = "/{owner}/{name}/data.sqlite", tag = "data", operation_id = "morph_sqlite",
    params(OwnerAndName, ("key" = Option<String>, Query, description = "A key that may read data, where it is in no header")),
    responses(
        (status = 200, description = "An SQLite database", content_type = "application/vnd.sqlite3"),
        (status = 206, description = "The range that was asked for"),
        (status = 304, description = "The client holds it: If-None-Match"),
        (status = 401, description = "A key that may read data is needed", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such scraper", body = String, content_type = "text/plain"),
    )
)]
pub(crate) async fn sqlite(
    State(app): State<Arc<App>>,
    Path(names): Names,
    sent: Sent,
    request: Request,
) -> Response {
    let found = async {
        let granted = Granted::with_key(&app, &names.0, &names.1, &sent).await?;
        Ok(app.runner.data(&granted.scraper.id, None).await?)
    };
    let data = match found.await {
        Ok(data) => data,
        Err(refusal) => return Refusal::told(refusal, Voice::Text),
    };
    let download = Download::new(data.path, &data.version.checksum, format!("{}.sqlite", names.1));
    download.answer(request).await.unwrap_or_else(|problem| {
        let refusal = Refusal::new(problem.status(), problem.detail());
        refusal.told(Voice::Text)
    })
}

async fn ask<F: Format>(
    app: &App,
    granted: Granted,
    data: DataFile,
    sent: &Sent,
    format: F,
) -> Result<Response, Refusal> {
    let work = Work {
        path: data.path,
        question: Question::new(sent.get("query").unwrap_or_default()),
        limits: LIMITS,
        excess: Excess::Refused,
        seat: app.desk.seat(granted.asker.clone()).await?,
    };
    let answered = stream::answer(work, format).await;
    answered.map_err(|error| Refusal::bad_request(error.to_string()))
}

fn finish(
    answered: Result<Response, Refusal>,
    voice: Voice,
    media_type: &'static str,
    file_name: Option<String>,
) -> Response {
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => return refusal.told(voice),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that would gather the answer do not.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    let disposition = file_name.map(|name| HeaderValue::from_str(&format!("attachment; filename={name}")));
    if let Some(Ok(disposition)) = disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Names with dots between them: nothing that could be anything but a function.
fn is_function(name: &str) -> bool {
    let is_name = |part: &str| {
        let mut characters = part.bytes();
        let may_begin = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$');
        characters.next().is_some_and(may_begin)
            && characters.all(|byte| may_begin(byte) || byte.is_ascii_digit())
    };
    name.len() <= MAX_CALLBACK && name.split('.').all(is_name)
}

fn feed(app: &App, granted: &Granted, data: &DataFile, sent: &Sent, headers: &HeaderMap) -> Feed {
    let id = &granted.scraper.id;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let base = match app.access.base.as_str() {
        "" => format!("http://{}", host.unwrap_or("localhost")),
        base => base.to_owned(),
    };
    let page = format!("{base}/{id}");
    let query = sent.without_key();
    let question = if query.is_empty() { "" } else { "?" };
    Feed {
        title: format!("Haul: {id}"),
        subtitle: granted.scraper.settings.description.clone(),
        updated: rfc3339(data.version.at),
        author: id.owner.to_string(),
        address: format!("{page}/data.atom{question}{query}"),
        page,
    }
}

/// The columns of a row as a Ruby hash has them: each name once, where it was first, with its last value.
fn unique(columns: &[Column]) -> Vec<usize> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<&str> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        if last.insert(&column.name, at).is_none() {
            order.push(&column.name);
        }
    }
    order.iter().filter_map(|name| last.get(name).copied()).collect()
}

/// `[`, objects with a comma before each but the first, `]`.
struct Objects {
    callback: Option<String>,
    /// What comes before each value: its place in the row, how it is translated, its name as JSON.
    members: Vec<(usize, Kind, Vec<u8>)>,
    is_first: bool,
}

impl Objects {
    fn new(callback: Option<String>) -> Self {
        Self {
            callback,
            members: Vec::new(),
            is_first: true,
        }
    }
}

impl Format for Objects {
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        if let Some(callback) = &self.callback {
            out.extend_from_slice(format!("/**/{callback}(").as_bytes());
        }
        out.extend_from_slice(b"[\n");
        for (place, at) in unique(columns).into_iter().enumerate() {
            let mut name = if place == 0 { b"{".to_vec() } else { b",".to_vec() };
            values::string(&columns[at].name, &mut name);
            name.push(b':');
            self.members.push((at, Kind::of(&columns[at]), name));
        }
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_first) {
            out.extend_from_slice(b"\n,");
        }
        for (at, kind, name) in &self.members {
            out.extend_from_slice(name);
            object_value(&translate(*kind, row.value(*at)), out);
        }
        out.push(b'}');
    }

    fn end(&mut self, _is_truncated: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n]");
        if self.callback.is_some() {
            out.extend_from_slice(b")\n");
        }
    }
}

fn object_value(value: &Translated<'_>, out: &mut Vec<u8>) {
    match value {
        Translated::Value(bytes @ Value::Blob(_)) => values::string(&ruby::text(bytes), out),
        Translated::Value(value) => values::value(value, out),
        Translated::Boolean(answer) => out.extend_from_slice(if *answer { b"true" } else { b"false" }),
        Translated::Date(date) => values::string(&date.to_string(), out),
        Translated::DateTime(at, offset) => values::string(&ruby::rfc3339(*at, *offset, 3), out),
    }
}

/// A value as a text, `to_s`; none for NULL.
fn text(value: Translated<'_>) -> Option<String> {
    match value {
        Translated::Value(Value::Null) => None,
        Translated::Value(Value::Text(text)) => Some(text.into_owned()),
        Translated::Value(value) => Some(ruby::text(&value).into_owned()),
        Translated::Boolean(answer) => Some(answer.to_string()),
        Translated::Date(date) => Some(date.to_string()),
        Translated::DateTime(at, offset) => Some(ruby::rfc3339(at, offset, 0)),
    }
}

/// A header with the first row; nothing at all where there is none.
#[derive(Default)]
struct Lines {
    columns: Vec<(usize, Kind)>,
    header: Vec<u8>,
}

impl Format for Lines {
    fn begin(&mut self, columns: &[Column], _out: &mut Vec<u8>) {
        let places = unique(columns);
        fields::header(
            places.iter().map(|at| columns[*at].name.as_str()),
            &mut self.header,
        );
        let kinds = places.into_iter().map(|at| (at, Kind::of(&columns[at])));
        self.columns = kinds.collect();
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        out.append(&mut self.header);
        for (place, (at, kind)) in self.columns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            match translate(*kind, row.value(*at)) {
                Translated::Value(Value::Text(text)) => fields::field(Some(&text), out),
                Translated::Value(Value::Integer(number)) => values::integer(number, out),
                other => fields::field(text(other).as_deref(), out),
            }
        }
        out.push(b'\n');
    }

    fn end(&mut self, _is_truncated: bool, _out: &mut Vec<u8>) {}
}

struct Entries {
    feed: Feed,
    /// The columns by name, the last one of each.
    places: HashMap<String, usize>,
    kinds: Vec<Kind>,
}

impl Entries {
    fn value<'a>(&self, row: &Row<'a>, name: &str) -> Translated<'a> {
        let place = self.places.get(name).copied();
        let value = place.map_or(Value::Null, |at| row.value(at));
        let kind = place.and_then(|at| self.kinds.get(at)).copied();
        translate(kind.unwrap_or(Kind::Plain), value)
    }
}

impl Format for Entries {
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        let names = columns.iter().enumerate();
        self.places = names.map(|(at, column)| (column.name.clone(), at)).collect();
        self.kinds = columns.iter().map(Kind::of).collect();
        self.feed.begin(out);
    }

    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        let words = |name| text(self.value(row, name)).unwrap_or_default();
        let date = match self.value(row, "date") {
            Translated::Date(date) => Some((date.to_datetime(Time::midnight()), Offset::UTC)),
            Translated::DateTime(at, offset) => Some((at, offset)),
            other => ruby::instant(&text(other).unwrap_or_default()),
        };
        let entry = Entry {
            title: &words("title"),
            content: &words("content"),
            link: &words("link"),
            updated: &date.map_or(String::new(), |(at, offset)| ruby::rfc3339(at, offset, 0)),
        };
        entry.write(out);
    }

    fn end(&mut self, _is_truncated: bool, out: &mut Vec<u8>) {
        atom::end(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_functions_are_called() {
        for name in ["f", "jQuery1_2", "$", "_.x", "a.b.c"] {
            assert!(is_function(name), "{name}");
        }
        for name in [
            "",
            "1a",
            "a.",
            ".a",
            "a b",
            "alert(1)//",
            "a;b",
            "é",
            "a[0]",
            &"x".repeat(129),
        ] {
            assert!(!is_function(name), "{name}");
        }
    }
}
