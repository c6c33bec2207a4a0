//! Data without morph: tables to leaf through, questions in SQL, questions with a name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use dataset::{Page, QueryError, Question, Reader, ReaderLimits, Value};
use runner::DataFile;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::refusals::{Limited, Missing, Withheld};
use crate::api::scrapers::OwnerAndName;
use crate::data::access::Granted;
use crate::data::desk::{Busy, Seat};
use crate::data::formats::{Arrays, Fields, ObjectLines};
use crate::data::json as values;
use crate::data::params::Sent;
use crate::data::stream::{self, Excess, Work};
use crate::params::{Segments, Unread};
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_SIZE: u64 = 100;
const MAX_SIZE: u64 = 1000;

/// What an answer may cost; where there is more it ends with a mark.
pub(crate) const LIMITS: ReaderLimits = ReaderLimits {
    time: Duration::from_secs(20),
    max_rows: 5_000_000,
    max_bytes: 1 << 30,
    max_value_bytes: 8 << 20,
    max_memory_bytes: 256 << 20,
};

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        let (status, seconds) = match busy {
            Busy::You(seconds) => (StatusCode::TOO_MANY_REQUESTS, seconds),
            Busy::All(seconds) => (StatusCode::SERVICE_UNAVAILABLE, seconds),
        };
        Self::new(status, format!("too many questions; ask again in {seconds} s")).after(seconds)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound(_) => Self::not_found(error.to_string()),
            QueryError::Unreadable(_) => Self::failed("reading the data", false, &error),
            QueryError::Sql(_) | QueryError::Empty | QueryError::TimedOut(_) => {
                Self::bad_request(error.to_string())
            }
        }
    }
}

/// The data of a scraper, and a seat to read it.
async fn enter(
    app: &App,
    owner: &str,
    name: &str,
    sent: &Sent,
) -> Result<(Granted, DataFile, Seat), Problem> {
    let granted = Granted::of(app, owner, name, sent).await?;
    let (data, seat) = seated(app, &granted).await?;
    Ok((granted, data, seat))
}

async fn seated(app: &App, granted: &Granted) -> Result<(DataFile, Seat), Problem> {
    let data = app.runner.data(&granted.scraper.id, None).await?;
    let seat = app.desk.seat(granted.asker.clone()).await?;
    Ok((data, seat))
}

/// Reads on a thread where that is allowed.
async fn read<T: Send + 'static>(
    data: DataFile,
    seat: Seat,
    work: impl FnOnce(&Reader) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        work(&Reader::open(&data.path, LIMITS)?)
    });
    let gone = || Err(QueryError::Unreadable("the thread that asked has ended".into()));
    Ok(done.await.unwrap_or_else(|_| gone())?)
}

/// The tables of a scraper's data.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tables {
    /// Which version of the data this is.
    version: u64,
    tables: Vec<TableBody>,
}

/// A table.
#[derive(Serialize, ToSchema)]
#[schema(as = Table)]
struct TableBody {
    name: String,
    columns: Vec<String>,
    /// The columns of its primary key.
    key: Vec<String>,
    rows: u64,
}

/// The tables: one called `data` first, the others by name.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/tables", tag = "data", operation_id = "list_tables",
    params(OwnerAndName),
    responses(
        (status = 200, body = Tables),
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn tables(
    State(app): State<Arc<App>>,
    Segments((owner, name)): Segments<(String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let (granted, data, seat) = enter(&app, &owner, &name, &sent).await?;
    let version = data.version.number;
    let tables = read(data, seat, Reader::tables).await?;
    let body = |table: dataset::Table| TableBody {
        name: table.name,
        columns: table.columns,
        key: table.key,
        rows: table.rows,
    };
    let tables = tables.into_iter().map(body).collect();
    Ok(granted.mark(Json(Tables { version, tables })))
}

/// Rows of a table, as objects: `{"table", "columns", "rows", "next"}`. Bytes are `{"$base64": true, "encoded": "..."}`.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/tables/{table}", tag = "data", operation_id = "get_rows",
    params(
        OwnerAndName,
        ("table" = String, Path, description = "The table"),
        ("_size" = Option<u64>, Query, description = "Rows at most, from 1 to 1000; 100 where it is missing"),
        ("_next" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "Rows in the order of their rowids, or of their key", content_type = "application/json"),
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn table(
    State(app): State<Arc<App>>,
    Segments((owner, name, table)): Segments<(String, String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let size = size(&sent, DEFAULT_SIZE, MAX_SIZE)?;
    let (granted, data, seat) = enter(&app, &owner, &name, &sent).await?;
    let after = sent.get("_next").map(str::to_owned);
    let body = read(data, seat, move |reader| {
        let page = reader.page(&table, after.as_deref(), size)?;
        Ok(body(&table, &page))
    });
    let json = HeaderValue::from_static("application/json");
    Ok(granted.mark(([(header::CONTENT_TYPE, json)], body.await?)))
}

/// The parameter `_size`.
pub(crate) fn size(sent: &Sent, default: u64, most: u64) -> Result<u64, Problem> {
    let Some(text) = sent.get("_size").filter(|text| !text.is_empty()) else {
        return Ok(default);
    };
    let size = text.parse().ok().filter(|size| (1..=most).contains(size));
    size.ok_or_else(|| Problem::bad_request(format!("the parameter \"_size\" is a number from 1 to {most}")))
}

fn body(table: &str, page: &Page) -> Vec<u8> {
    let mut out = b"{\"table\":".to_vec();
    values::string(table, &mut out);
    out.extend_from_slice(b",\"columns\":[");
    for (at, column) in page.columns.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"name\":" } else { b",{\"name\":" });
        values::string(&column.name, &mut out);
        out.extend_from_slice(b",\"declared\":");
        values::string(&column.declared, &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"rows\":[");
    let objects = ObjectLines::new(&page.columns);
    for (at, row) in page.rows.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
        objects.object(row.iter().cloned(), &mut out);
    }
    out.extend_from_slice(b"\n],\"next\":");
    let next = page
        .next
        .clone()
        .map_or(Value::Null, |next| Value::Text(next.into()));
    values::value(&next, &mut out);
    out.extend_from_slice(b"}\n");
    out
}

/// In what form rows are wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// `{"columns", "rows", "truncated"}`, each row an array.
    #[default]
    Json,
    /// An object on each line; `{"$truncated":true}` on the last one where there was more.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}

impl Form {
    fn read(sent: &Sent) -> Result<Self, Problem> {
        match sent.get("format").unwrap_or_default() {
            "" | "json" => Ok(Self::Json),
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            _ => Err(Problem::bad_request(
                "the parameter \"format\" is json, ndjson or csv",
            )),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// A question in SQL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuestionBody {
    /// One statement that reads.
    #[schema(example = "SELECT * FROM data WHERE town = :town")]
    sql: String,
    /// Values for its parameters, by name.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    format: Form,
}

/// Answers a question in SQL, read-only and within limits (20 s, 5,000,000 rows, 1 GiB). An answer that was cut says so in its last member or its last
/// line, and the header or trailer `X-Haul-Truncated`. CSV has no place to say it: there the connection breaks off, or the question is refused.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/query", tag = "data", operation_id = "query",
    params(
        OwnerAndName,
        ("sql" = String, Query, description = "One statement that reads; its parameters (`:town`) are further parameters of the address"),
        ("format" = Option<Form>, Query, description = "json where it is missing"),
    ),
    responses(
        (status = 200, description = "Rows", content(
            (Object = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, body = Problem, description = "What SQLite says", content_type = "application/problem+json"),
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    Segments((owner, name)): Segments<(String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let form = Form::read(&sent)?;
    let (granted, data, seat) = enter(&app, &owner, &name, &sent).await?;
    let question = Question {
        sql: sent.get("sql").unwrap_or_default().to_owned(),
        parameters: texts(&sent),
    };
    answer(&granted, data, seat, question, form).await
}

/// The same for questions that are too long for an address.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/query", tag = "data", operation_id = "query_at_length",
    request_body = QuestionBody,
    params(OwnerAndName),
    responses(
        (status = 200, description = "Rows", content(
            (Object = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, body = Problem, description = "What SQLite says", content_type = "application/problem+json"),
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn ask_at_length(
    State(app): State<Arc<App>>,
    Segments((owner, name)): Segments<(String, String)>,
    sent: Sent,
    body: Unread<QuestionBody>,
) -> Result<Response, Problem> {
    let granted = Granted::of(&app, &owner, &name, &sent).await?;
    let question = body.read().await?;
    let (data, seat) = seated(&app, &granted).await?;
    let parameters: Result<Vec<_>, Problem> = question.parameters.into_iter().map(parameter).collect();
    let asked = Question {
        sql: question.sql,
        parameters: parameters?,
    };
    answer(&granted, data, seat, asked, question.format).await
}

fn parameter((name, value): (String, serde_json::Value)) -> Result<(String, Value<'static>), Problem> {
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(answer) => Value::Integer(answer.into()),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::Text(text.into()),
        _ => {
            let detail = format!("the parameter {name:?} is null, true, false, a number or a text");
            return Err(Problem::bad_request(detail));
        }
    };
    Ok((name, value))
}

fn texts(sent: &Sent) -> Vec<(String, Value<'static>)> {
    let given = sent.of_question();
    given
        .map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned().into())))
        .collect()
}

/// Answers a question that the scraper's owner wrote and named.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/queries/{query}", tag = "data", operation_id = "named_query",
    params(
        OwnerAndName,
        ("query" = String, Path, description = "The name of the question; its parameters are those of the address"),
        ("format" = Option<Form>, Query, description = "json where it is missing"),
    ),
    responses(
        (status = 200, description = "Rows", content(
            (Object = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, body = Problem, description = "What SQLite says", content_type = "application/problem+json"),
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn named(
    State(app): State<Arc<App>>,
    Segments((owner, name, query)): Segments<(String, String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let form = Form::read(&sent)?;
    let (granted, data, seat) = enter(&app, &owner, &name, &sent).await?;
    let Some(sql) = granted.scraper.settings.queries.get(&query) else {
        let known: Vec<&str> = granted
            .scraper
            .settings
            .queries
            .keys()
            .map(String::as_str)
            .collect();
        let detail = format!(
            "there is no query {query:?} here; there are: {}",
            known.join(", ")
        );
        return Err(Problem::not_found(detail));
    };
    let question = Question {
        sql: sql.clone(),
        parameters: texts(&sent),
    };
    answer(&granted, data, seat, question, form).await
}

async fn answer(
    granted: &Granted,
    data: DataFile,
    seat: Seat,
    question: Question,
    form: Form,
) -> Result<Response, Problem> {
    let mut response = rows(data, seat, question, form, LIMITS).await?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(granted.mark(response))
}

async fn rows(
    data: DataFile,
    seat: Seat,
    question: Question,
    form: Form,
    limits: ReaderLimits,
) -> Result<Response, QueryError> {
    let work = Work {
        path: data.path,
        question,
        limits,
        // Nothing in CSV can say that there was more.
        excess: match form {
            Form::Json | Form::Ndjson => Excess::Marked,
            Form::Csv => Excess::Refused,
        },
        seat,
    };
    match form {
        Form::Json => stream::answer(work, Arrays::default()).await,
        Form::Ndjson => stream::answer(work, ObjectLines::default()).await,
        Form::Csv => stream::answer(work, Fields).await,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use model::{Checksum, Timestamp};

    use super::*;
    use crate::data::desk::{Asker, Desk};

    /// Asks for `rows` rows of 50,000 letters where three are allowed.
    async fn ask(rows: u64, form: Form) -> Result<Response, QueryError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.sqlite");
        std::fs::write(&path, "").unwrap();
        let version = registry::Version {
            number: 1,
            checksum: Checksum::of(b""),
            bytes: 0,
            run: None,
            at: Timestamp::from_millis(0),
        };
        let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT hex(zeroblob(25000)) FROM n";
        let question = Question::new(format!("{sql} LIMIT {rows}"));
        let limits = ReaderLimits {
            max_rows: 3,
            ..LIMITS
        };
        let seat = Desk::default().seat(Asker::Anyone).await.unwrap();
        super::rows(DataFile { path, version }, seat, question, form, limits).await
    }

    #[tokio::test]
    async fn a_part_of_an_answer_never_looks_like_all_of_it() {
        let json = to_bytes(ask(4, Form::Json).await.unwrap().into_body(), usize::MAX).await;
        assert!(json.unwrap().ends_with(b"\"truncated\":true}\n"));
        let lines = to_bytes(ask(4, Form::Ndjson).await.unwrap().into_body(), usize::MAX).await;
        assert!(lines.unwrap().ends_with(b"{\"$truncated\":true}\n"));
        // It has begun when the end is known: all that is left is to break off.
        let csv = to_bytes(ask(4, Form::Csv).await.unwrap().into_body(), usize::MAX).await;
        assert!(csv.is_err());
        let whole = to_bytes(ask(3, Form::Csv).await.unwrap().into_body(), usize::MAX).await;
        assert_eq!(whole.unwrap().iter().filter(|byte| **byte == b'\n').count(), 4);
    }
}
