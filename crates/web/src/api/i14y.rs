//! The results API of Search.gov, version 2, `i14y`: so that what reads that can read this.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use model::Host;
use search::{Highlighted, Hit, Request};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::search::{ask, tag};
use crate::display::iso_date;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 50;
const MAX_OFFSET: usize = 999;

/// What surrounds highlighted text: private-use characters, which no page contains by chance.
const BEGIN: char = '\u{e000}';
const END: char = '\u{e001}';

/// Results as Search.gov gives them. What Haul has nothing for is empty.
#[derive(Serialize, ToSchema)]
#[schema(as = I14yResults)]
struct Results {
    query: String,
    web: Web,
    text_best_bets: [String; 0],
    graphic_best_bets: [String; 0],
    health_topics: [String; 0],
    job_openings: [String; 0],
    federal_register_documents: [String; 0],
    related_search_terms: [String; 0],
}

#[derive(Serialize, ToSchema)]
#[schema(as = I14yWeb)]
struct Web {
    /// Pages that match, all of them counted.
    total: u64,
    /// The offset of the results that follow; missing where there are none or they cannot be asked for.
    next_offset: Option<usize>,
    spelling_correction: Option<String>,
    results: Vec<WebResult>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = I14yResult)]
struct WebResult {
    /// Matches stand between U+E000 and U+E001.
    title: String,
    url: String,
    /// Matches stand between U+E000 and U+E001.
    snippet: String,
    /// `2026-11-21`
    publication_date: Option<String>,
    thumbnail_url: Option<String>,
}

/// Searches as the Search.gov results API does.
#[utoipa::path(
    get, path = "/api/v2/search/i14y", tag = "search", operation_id = "search_i14y",
    params(
        ("affiliate" = Option<String>, Query, description = "Accepted; all packs are searched whatever it says"),
        ("access_key" = Option<String>, Query, description = "Accepted; none is needed"),
        ("query" = String, Query, description = "As `q` of /api/v1/search"),
        ("sitelimit" = Option<String>, Query, description = "Only pages of these hosts, separated by spaces, or below one host/path"),
        ("limit" = Option<usize>, Query, description = "1 to 50; 20 where it is missing"),
        ("offset" = Option<usize>, Query, description = "Results to skip, 0 to 999"),
        ("enable_highlighting" = Option<bool>, Query, description = "Marks matches unless it is false"),
    ),
    responses(
        (status = 200, body = Results),
        (status = 304, description = "The client holds this answer: If-None-Match"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let asked = Asked::read(&params)?;
    let form = format!("i14y {} {}", asked.offset, asked.highlighting);
    let tag = tag(&app, &form, &asked.request(1));
    tag.answer(&headers, async { Ok(Json(asked.results(&app).await?)) })
        .await
}

struct Asked {
    query: String,
    site: String,
    limit: usize,
    offset: usize,
    highlighting: bool,
}

impl Asked {
    fn read(params: &Params) -> Result<Self, Problem> {
        let query = params.text("query");
        if query.is_empty() {
            return Err(Problem::bad_request(
                "the parameter \"query\" is missing: give the words to look for",
            ));
        }
        if !matches!(params.text("sort_by"), "" | "relevance") {
            return Err(Problem::bad_request(
                "results are sorted by relevance only; leave \"sort_by\" out",
            ));
        }
        Ok(Self {
            query: query.to_owned(),
            site: filter(params.text("sitelimit"))?,
            limit: params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?,
            offset: params.number("offset", 0, 0..=MAX_OFFSET)?,
            highlighting: !matches!(params.text("enable_highlighting"), "false" | "0"),
        })
    }

    /// A window of `limit` results.
    fn request(&self, page: usize) -> Request {
        Request {
            query: format!("{} {}", self.site, self.query).trim().to_owned(),
            hosts: Vec::new(),
            page: u32::try_from(page).unwrap_or(u32::MAX),
            per_page: u32::try_from(self.limit).unwrap_or(u32::MAX),
        }
    }

    async fn results(&self, app: &App) -> Result<Results, Problem> {
        let page = self.offset / self.limit + 1;
        let answer = ask(app, &self.request(page)).await?;
        let mut hits = answer.results.clone();
        // An offset between two windows needs the end of the one and the beginning of the next.
        let into = self.offset % self.limit;
        if into > 0 {
            hits.extend_from_slice(&ask(app, &self.request(page + 1)).await?.results);
        }
        let results: Vec<_> = hits
            .into_iter()
            .skip(into)
            .take(self.limit)
            .map(|hit| self.result(hit))
            .collect();
        let next = self.offset + results.len();
        let more = (next as u64) < answer.total && next <= MAX_OFFSET && !results.is_empty();
        Ok(Results {
            query: self.query.clone(),
            web: Web {
                total: answer.total,
                next_offset: more.then_some(next),
                spelling_correction: None,
                results,
            },
            text_best_bets: [],
            graphic_best_bets: [],
            health_topics: [],
            job_openings: [],
            federal_register_documents: [],
            related_search_terms: [],
        })
    }

    fn result(&self, hit: Hit) -> WebResult {
        WebResult {
            title: self.marked(&hit.title),
            snippet: self.marked(&hit.snippet),
            url: hit.url,
            publication_date: hit.date.map(iso_date),
            thumbnail_url: None,
        }
    }

    fn marked(&self, text: &Highlighted) -> String {
        if !self.highlighting {
            return text.text.clone();
        }
        let mut marked = String::with_capacity(text.text.len() + 6 * text.highlights.len());
        for (piece, highlighted) in text.pieces() {
            if highlighted {
                marked.extend([BEGIN.to_string().as_str(), piece, END.to_string().as_str()]);
            } else {
                marked.push_str(piece);
            }
        }
        marked
    }
}

/// `example.gov/forms`, or several hosts separated by spaces, as filters of a query.
fn filter(sitelimit: &str) -> Result<String, Problem> {
    let places: Vec<(&str, &str)> = sitelimit.split_whitespace().map(place).collect();
    if places.len() > 1 && places.iter().any(|(_, path)| !path.is_empty()) {
        let detail = "\"sitelimit\" takes several hosts, or one host with a path; ask once for each path";
        return Err(Problem::bad_request(detail));
    }
    let mut filters = Vec::new();
    for (host, path) in places {
        filters.push(format!("site:{}", Host::new(host)?));
        if !path.is_empty() {
            filters.push(format!("path:/{path}"));
        }
    }
    Ok(filters.join(" "))
}

fn place(limit: &str) -> (&str, &str) {
    let place = limit.trim_start_matches("https://").trim_start_matches("http://");
    place.split_once('/').unwrap_or((place, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_limit_is_a_filter() {
        let filter = |sitelimit| filter(sitelimit).map_err(|problem| problem.detail().to_owned());
        assert_eq!(filter(""), Ok(String::new()));
        assert_eq!(filter("example.gov"), Ok("site:example.gov".into()));
        assert_eq!(filter("https://Example.gov/"), Ok("site:example.gov".into()));
        assert_eq!(
            filter("example.gov/forms/w9"),
            Ok("site:example.gov path:/forms/w9".into())
        );
        assert_eq!(filter("a.gov  b.gov"), Ok("site:a.gov site:b.gov".into()));
        assert!(filter("a.gov/x b.gov").is_err_and(|detail| detail.contains("one host with a path")));
        assert!(filter("a<b").is_err());
    }
}
