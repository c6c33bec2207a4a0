use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use model::Host;
use search::{Answer, Highlighted, Hit, MAX_PER_PAGE, MAX_RESULTS, Request};
use serde::Serialize;
use utoipa::ToSchema;

use crate::display::rfc3339;
use crate::fresh::Tag;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::App;

/// Pages that match.
#[derive(Serialize, ToSchema)]
pub(crate) struct Found {
    query: String,
    /// Pages that match, all of them counted.
    total: u64,
    page: u32,
    per_page: u32,
    /// Best first.
    results: Vec<HitBody>,
    /// Packs that were searched.
    packs: usize,
    /// Whether the query was longer than allowed and only its beginning counted.
    query_cut: bool,
    took_ms: u64,
}

/// A page that matches.
#[derive(Serialize, ToSchema)]
#[schema(as = Hit)]
struct HitBody {
    url: String,
    /// The place in it: with the anchor of the section, or the page of the PDF.
    section_url: String,
    host: String,
    title: String,
    /// The heading of the section; empty where there is none.
    heading: String,
    /// What it says about the query, in pieces; plain text, so escape it before it becomes HTML.
    snippet: Vec<Piece>,
    /// The page of a PDF, from 1.
    pdf_page: Option<u32>,
    /// Primary language subtag.
    language: Option<String>,
    /// Media type.
    content_type: String,
    /// When it was changed, else published, as it says itself: RFC 3339.
    date: Option<String>,
    /// Comparable inside one answer only.
    score: f32,
}

/// A piece of a text.
#[derive(Serialize, ToSchema)]
struct Piece {
    text: String,
    /// Whether it matches the query.
    highlighted: bool,
}

/// Searches the published packs.
#[utoipa::path(
    get, path = "/api/v1/search", tag = "search", operation_id = "search",
    params(
        ("q" = String, Query, description = "Words; \"a phrase\", begin*, -without, site:, path:, type:, lang:, after:, before:"),
        ("host" = Option<Vec<String>>, Query, description = "Only packs of these hosts; give it once for each"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 100; 10 where it is missing"),
    ),
    responses(
        (status = 200, body = Found),
        (status = 304, description = "The client holds this answer: If-None-Match"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, description = "No pack of this host", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let request = request(&params)?;
    let tag = tag(&app, "json", &request);
    let found = async {
        let start = Instant::now();
        let answer = ask(&app, &request).await?;
        let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Json(Found::new(request, &answer, took_ms)))
    };
    tag.answer(&headers, found).await
}

/// What the parameters ask for.
pub(crate) fn request(params: &Params) -> Result<Request, Problem> {
    let number = |name, default, most: u32| {
        let number = params.number(name, default, 1..=most as usize)?;
        Ok::<_, Problem>(u32::try_from(number).unwrap_or(most))
    };
    let hosts = params.all("host").map(Host::new).collect::<Result<_, _>>()?;
    Ok(Request {
        query: params.text("q").to_owned(),
        hosts,
        page: number("page", 1, MAX_RESULTS)?,
        per_page: number("per_page", 10, MAX_PER_PAGE)?,
    })
}

/// Names the answer to `request`: it changes with the form, the question and the packs that are searched.
pub(crate) fn tag(app: &App, form: &str, request: &Request) -> Tag {
    let packs: String = app
        .library
        .hosts()
        .iter()
        .map(|(_, checksum)| checksum.to_string())
        .collect();
    let hosts: Vec<&str> = request.hosts.iter().map(Host::as_str).collect();
    let hosts = hosts.join(" ");
    let window = format!("{} {}", request.page, request.per_page);
    let parts = [
        form,
        env!("CARGO_PKG_VERSION"),
        &packs,
        &request.query,
        &hosts,
        &window,
    ];
    Tag::of(parts.map(str::as_bytes))
}

/// The answer; an empty one to an empty question.
pub(crate) async fn ask(app: &App, request: &Request) -> Result<Arc<Answer>, Problem> {
    Ok(app.library.search(request).await?)
}

impl Found {
    fn new(request: Request, answer: &Answer, took_ms: u64) -> Self {
        Self {
            query: request.query,
            total: answer.total,
            page: request.page,
            per_page: request.per_page,
            results: answer.results.iter().map(HitBody::from).collect(),
            packs: answer.packs,
            query_cut: answer.query_cut,
            took_ms,
        }
    }
}

impl From<&Hit> for HitBody {
    fn from(hit: &Hit) -> Self {
        Self {
            snippet: pieces(&hit.snippet),
            url: hit.url.clone(),
            section_url: hit.section_url.clone(),
            host: hit.host.to_string(),
            title: hit.title.text.clone(),
            heading: hit.heading.text.clone(),
            pdf_page: hit.pdf_page,
            language: hit.language.clone(),
            content_type: hit.content_type.clone(),
            date: hit.date.map(rfc3339),
            score: hit.score,
        }
    }
}

fn pieces(text: &Highlighted) -> Vec<Piece> {
    text.pieces()
        .map(|(text, highlighted)| Piece {
            text: text.to_owned(),
            highlighted,
        })
        .collect()
}
