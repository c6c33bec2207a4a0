//! What is done to every request before and after it is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::router::CHANGES;

/// Refuses what a browser sends to change something.
///
/// Pages have no business here, and a page that did would borrow the rights of who looks at it. Browsers put `Origin` or `Sec-Fetch-Site`
/// on such requests and no page can leave them out, nor can one that reaches this server under a name of its own (DNS rebinding).
pub(super) async fn refuse_browsers(request: Request, next: Next) -> Response {
    let is_from_page = ["origin", "sec-fetch-site"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if request.method().is_safe() || !is_from_page {
        return next.run(request).await;
    }
    let detail =
        "pages may not change the index; send this from a program that sends no Origin, such as curl";
    Problem::new(StatusCode::FORBIDDEN, detail).into_response()
}

/// Answers within `most`, if only to say that it could not.
pub(super) async fn limit_time(State(most): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(most, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = format!(
            "this took longer than {most:?}; try again later or ask for less, and look first whether a change \
             that was asked for has happened"
        );
        Problem::busy(detail).into_response()
    })
}

/// Counts each request and notes the slow ones.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let began = Instant::now();
    let response = next.run(request).await;
    app.metrics.answered(route, response.status());
    // Who asks for changes waits because nothing happens.
    if route != CHANGES {
        app.slow
            .note(Timestamp::now(), began.elapsed(), || what(&method, &uri));
    }
    response
}

fn what(method: &Method, uri: &Uri) -> String {
    format!("{method} {uri}")
}

/// Tells browsers to be strict, and caches that the next answer may be another one.
pub(super) async fn harden(mut response: Response) -> Response {
    let strict = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in strict {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
