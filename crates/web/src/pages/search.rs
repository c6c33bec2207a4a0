use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use model::PageUrl;
use search::{Answer, Highlighted, Hit, MAX_RESULTS, Request};

use crate::api::search::{ask, request, tag};
use crate::display::{counted, date, duration, trail};
use crate::pages::layout::{self, Area};
use crate::pages::problem::sentence;
use crate::params::{Params, link};
use crate::problem::Problem;
use crate::state::App;

/// Hosts that are offered in a list; of more, the name is typed.
const MAX_LISTED_HOSTS: usize = 200;

/// `/`: the question, and its answer where there is one.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let request = match request(&params) {
        Ok(request) => request,
        Err(problem) => return Ok(refused(&app, &params, &problem)),
    };
    tag(&app, "html", &request)
        .answer(&headers, async { Ok(answered(&app, &params, request).await) })
        .await
}

async fn answered(app: &App, params: &Params, request: Request) -> Response {
    if request.query.is_empty() {
        return welcome(app, params).into_response();
    }
    let start = Instant::now();
    match ask(app, &request).await {
        Ok(answer) => {
            let content = html! {
                (form(app, params))
                (results(params, &request, &answer, start.elapsed()))
            };
            layout::page(Area::Search, &request.query, &content).into_response()
        }
        Err(problem) => refused(app, params, &problem),
    }
}

/// The question stays in the form, so that it can be put better.
fn refused(app: &App, params: &Params, problem: &Problem) -> Response {
    let content = html! {
        h1 { "Search" }
        (form(app, params))
        div.notice.bad role="alert" { p { (sentence(problem.detail())) } }
    };
    (problem.status(), layout::page(Area::Search, "Search", &content)).into_response()
}

fn welcome(app: &App, params: &Params) -> Markup {
    let hosts = app.library.hosts().len();
    let content = html! {
        div.welcome {
            h1 { "Search" }
            (form(app, params))
            @if hosts == 0 {
                div.notice {
                    p { strong { "Nothing is published yet." } }
                    p { a href="/sources/new" { "Add a site" } ", start a crawl, and its pages can be searched here when it ends." }
                }
            } @else {
                p.soft { "Searches the pages of " a href="/packs" { (counted(hosts as u64, "host")) } "." }
                (help())
            }
        }
    };
    layout::page(Area::Search, "Search", &content)
}

/// What a query may contain beside words.
fn help() -> Markup {
    const WAYS: [(&str, &str); 7] = [
        ("\"tax return\"", "these words side by side"),
        ("form*", "words that begin so"),
        ("fee OR charge", "either"),
        ("-archive", "without this word"),
        ("site:example.gov path:/forms/", "only there"),
        ("type:pdf lang:es", "only of this kind and language"),
        ("after:2024-05 before:2025", "only of this time"),
    ];
    html! {
        details {
            summary { "More than words" }
            dl { @for (query, meaning) in WAYS { dt { code { (query) } } dd { (meaning) } } }
        }
    }
}

fn form(app: &App, params: &Params) -> Markup {
    let hosts = app.library.hosts();
    let asked = params.text("host");
    let query = params.text("q");
    html! {
        form.search action="/" method="get" role="search" aria-label="Pages" {
            label for="q" { "Search for" }
            input #q type="search" name="q" value=(query)
                autocomplete="off" autocapitalize="off" spellcheck="false" autofocus[query.is_empty()];
            label for="host" { "Host" }
            @if hosts.len() > MAX_LISTED_HOSTS {
                input.host #host type="text" name="host" value=(asked) placeholder="every host";
            } @else if hosts.len() > 1 || !asked.is_empty() {
                select.host #host name="host" {
                    option value="" { "every host" }
                    @for (host, _) in &hosts {
                        option value=(host) selected[host.as_str() == asked] { (host) }
                    }
                }
            }
            button { "Search" }
        }
    }
}

fn results(params: &Params, request: &Request, answer: &Answer, took: Duration) -> Markup {
    html! {
        @if answer.query_cut {
            div.notice { p { "The query was too long; only its beginning counted." } }
        }
        @if answer.total == 0 {
            (nothing(params, request))
        } @else {
            h1.small.soft { (counted(answer.total, "page")) " in " (duration(took)) }
            ol.results { @for hit in &answer.results { (result(hit)) } }
            (pager(params, request, answer))
        }
    }
}

fn nothing(params: &Params, request: &Request) -> Markup {
    html! {
        div.notice {
            p { strong { "No page has all of these words." } }
            p { "Try fewer or other words, or the beginning of one with a star: " code { "form*" } "." }
            @if !request.hosts.is_empty() {
                p { a href=(link("/", &[("q", params.text("q"))])) { "Search every host" } " instead." }
            }
        }
    }
}

fn result(hit: &Hit) -> Markup {
    let page = PageUrl::parse(&hit.url).ok();
    html! {
        li {
            div.trail { @if let Some(url) = &page { (trail(url)) } @else { (hit.url) } }
            h2 { (linked(&hit.url, &marked(&hit.title))) }
            p.snippet { (marked(&hit.snippet)) }
            @if hit.section_url != hit.url { p.section { (section(hit)) } }
            ul.facts {
                @if let Some(at) = hit.date { li { (date(at)) } }
                @if let Some(language) = &hit.language { li { (language_name(language)) } }
                @if let Some(kind) = kind(&hit.content_type) { li { (kind) } }
            }
        }
    }
}

/// Where in the page it is.
fn section(hit: &Hit) -> Markup {
    let name = match (hit.pdf_page, hit.heading.text.as_str()) {
        (Some(page), "") => html! { "Page " (page) },
        (Some(page), _) => html! { "Page " (page) ": " (marked(&hit.heading)) },
        (None, "") => html! { "The place in the page" },
        (None, _) => marked(&hit.heading),
    };
    html! { span.soft aria-hidden="true" { "\u{21b3} " } (linked(&hit.section_url, &name)) }
}

/// A link, where the address is one that a browser may open; packs can come from anywhere.
fn linked(address: &str, name: &Markup) -> Markup {
    let opens = address.starts_with("https://") || address.starts_with("http://");
    html! { @if opens { a href=(address) { (name) } } @else { (name) } }
}

fn marked(text: &Highlighted) -> Markup {
    html! {
        @for (piece, highlighted) in text.pieces() {
            @if highlighted { mark { (piece) } } @else { (piece) }
        }
    }
}

/// The kinds that open differently than a page.
fn kind(content_type: &str) -> Option<&'static str> {
    match content_type {
        "application/pdf" => Some("PDF"),
        "text/plain" => Some("plain text"),
        "text/markdown" => Some("Markdown"),
        _ => None,
    }
}

fn language_name(subtag: &str) -> &str {
    const NAMES: [(&str, &str); 12] = [
        ("ar", "Arabic"),
        ("de", "German"),
        ("en", "English"),
        ("es", "Spanish"),
        ("fr", "French"),
        ("it", "Italian"),
        ("ja", "Japanese"),
        ("ko", "Korean"),
        ("pt", "Portuguese"),
        ("ru", "Russian"),
        ("vi", "Vietnamese"),
        ("zh", "Chinese"),
    ];
    NAMES
        .iter()
        .find(|(known, _)| *known == subtag)
        .map_or(subtag, |(_, name)| name)
}

fn pager(params: &Params, request: &Request, answer: &Answer) -> Markup {
    let reachable = answer.total.min(MAX_RESULTS.into());
    let last = reachable.div_ceil(request.per_page.into()).max(1);
    let page = u64::from(request.page);
    let to = |page: u64| {
        let page = if page > 1 { page.to_string() } else { String::new() };
        let kept = [
            ("q", params.text("q")),
            ("host", params.text("host")),
            ("per_page", params.text("per_page")),
        ];
        link("/", &[kept.as_slice(), &[("page", &page)]].concat())
    };
    html! {
        @if last > 1 || page > 1 {
            nav.pager aria-label="Further results" {
                @if page > 1 { a href=(to((page - 1).min(last))) rel="prev" { "\u{2190} Previous" } }
                span.soft { "Page " (page) " of " (last) }
                @if page < last { a href=(to(page + 1)) rel="next" { "Next \u{2192}" } }
            }
        }
    }
}
