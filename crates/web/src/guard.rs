use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// From the last byte of the headers to the first byte of the answer; streams go on after it.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(30);
/// The same where a file is sent along.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(15 * 60);
/// Where files are sent to.
const UPLOADS: [&str; 4] = [
    "/run",
    "/api/v1/imports/morph",
    "/api/v1/scrapers/{owner}/{name}/code",
    "/api/v1/scrapers/{owner}/{name}/data",
];

/// Pages load nothing from elsewhere, run no inline script, send forms only home and cannot be framed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses requests that change something when a page of another site sent them.
///
/// Browsers say where a request comes from (`Sec-Fetch-Site`, or `Origin` in older ones) and pages cannot forge it.
/// Who sends neither is no browser, so nobody's rights are borrowed.
pub(crate) async fn refuse_cross_site(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    let detail = "this request was sent by a page of another site; open the page here and send it again";
    Problem::new(StatusCode::FORBIDDEN, detail).into_response()
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(&header::ORIGIN) else {
        return true;
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == text(&header::HOST)
}

/// Refuses requests that call this server by a name that is not its own.
///
/// A page of another site can make browsers believe that its name leads here (DNS rebinding); then even
/// [`refuse_cross_site`] takes it for ours. Addresses and `localhost` cannot be taken over like that.
pub(crate) async fn refuse_other_names(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let name = request
        .headers()
        .get(header::HOST)
        .map(|value| value.to_str().unwrap_or_default());
    let own = |name: &str| is_local(name) || app.names.iter().any(|own| own.eq_ignore_ascii_case(name));
    match name.map(without_port) {
        Some(name) if !own(name) => {
            let detail =
                "this server does not go by that name; add the name to its configuration, or use its address";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
        }
        _ => next.run(request).await,
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

fn is_local(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let name = name.to_ascii_lowercase();
    address.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
}

/// Lets only operators change what belongs to nobody in particular: sources, crawls, packages. Reading is for everybody.
pub(crate) async fn operators_change(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let visitor = Visitor::from_request_parts(&mut parts, &app).await?;
    visitor.must_operate(&app).await?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Answers in time, if only to say that it could not.
pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let limit = match route.is_some_and(|route| UPLOADS.contains(&route.as_str())) {
        true => MAX_UPLOAD_TIME,
        false => MAX_ANSWER_TIME,
    };
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let seconds = limit.as_secs();
        let detail = format!("this took longer than {seconds} s; try again later or ask for less");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
    })
}

/// Headers that tell browsers to be strict, on every answer, and to ask again where an answer does not say otherwise.
pub(crate) async fn harden(mut response: Response) -> Response {
    let strict = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in strict {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Answers for methods that a path does not have.
pub(crate) async fn no_such_method(method: Method) -> Problem {
    let detail = format!("{method} cannot be used on this path; /api/v1/openapi.json says what can");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Answers for paths that do not exist.
pub(crate) async fn no_such_path() -> Problem {
    Problem::not_found(
        "there is nothing at this address; begin at the search page, /, or at /api/v1/openapi.json",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_always_own_names() {
        for own in [
            "127.0.0.1:8080",
            "192.168.1.5",
            "[::1]:80",
            "[::1]",
            "localhost:1",
            "LOCALHOST",
            "haul.localhost",
        ] {
            assert!(is_local(without_port(own)), "{own}");
        }
        for other in [
            "evil.test",
            "evil.test:8080",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "",
        ] {
            assert!(!is_local(without_port(other)), "{other}");
        }
    }

    fn check(headers: &[(&'static str, &'static str)], same: bool) {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(is_same_origin(&pairs.collect()), same, "{headers:?}");
    }

    #[test]
    fn browsers_say_where_a_request_comes_from() {
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "same-site")], false);
        check(
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://haul.test"),
                ("host", "haul.test"),
            ],
            false,
        );
        check(&[("origin", "http://haul.test"), ("host", "haul.test")], true);
        check(&[("origin", "http://evil.test"), ("host", "haul.test")], false);
        check(&[("origin", "null"), ("host", "haul.test")], false);
        check(&[("host", "haul.test")], true);
    }
}
