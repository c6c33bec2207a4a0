//! Pages of other sites may read data, but only what they could read without a browser: with a key, or what is public.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::data::params::Sent;

/// Marks an answer that anybody may have.
#[derive(Clone, Copy)]
pub(crate) struct Public;

/// Answers what browsers ask before they send a key.
pub(crate) async fn preflight() -> impl IntoResponse {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, X-Api-Key, If-None-Match, Range",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

/// Lets pages of other sites read the answer to a question that came with a key, and what is public. Without a key an answer may be for this machine only.
pub(crate) async fn share(request: Request, next: Next) -> Response {
    let sent = Sent::read(request.uri().query().unwrap_or_default(), request.headers());
    let mut response = next.run(request).await;
    if sent.key().is_some() || response.extensions().get::<Public>().is_some() {
        let shared: [(HeaderName, &'static str); 2] = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                "Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After, X-Haul-Truncated",
            ),
        ];
        for (name, value) in shared {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
    }
    response
}
