use std::path::{Path, PathBuf};

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Checksum;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::fresh::Tag;
use crate::problem::Problem;
use crate::router::PACK_MEDIA_TYPE;

/// Kept by who fetched it alone, and asked for each time: it may not be for everybody.
const CACHING: &str = "private, no-cache";

/// An SQLite file on its way to a client: whole, in ranges, or not at all where the client holds it.
pub(crate) struct Download {
    path: PathBuf,
    tag: Tag,
    name: String,
}

impl Download {
    /// The file with this content, to be kept under this name.
    pub(crate) fn new(path: PathBuf, checksum: &Checksum, name: String) -> Self {
        Self {
            path,
            tag: Tag::of_file(checksum),
            name,
        }
    }

    /// Answers as the request's conditions and ranges say.
    pub(crate) async fn answer(self, request: Request) -> Result<Response, Problem> {
        if self.tag.is_held(request.headers()) {
            let headers = [
                (header::ETAG, self.tag.as_str()),
                (header::CACHE_CONTROL, CACHING),
            ];
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        let request = self.unconditional(request);
        let mut response = attached(&self.path, &self.name, PACK_MEDIA_TYPE, request).await?;
        if let Ok(tag) = HeaderValue::from_str(self.tag.as_str()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        Ok(response)
    }

    /// Conditions are judged by checksum here, never by the time of the file: it says nothing about its content. A range of
    /// what was replaced meanwhile becomes the whole file.
    fn unconditional(&self, mut request: Request) -> Request {
        let headers = request.headers_mut();
        let continues = headers
            .get(header::IF_RANGE)
            .is_none_or(|held| held.as_bytes() == self.tag.as_str().as_bytes());
        if !continues {
            headers.remove(header::RANGE);
        }
        for name in [
            header::IF_RANGE,
            header::IF_MODIFIED_SINCE,
            header::IF_UNMODIFIED_SINCE,
        ] {
            headers.remove(name);
        }
        request
    }
}

/// A file to be kept under this name. It may go as soon as the answer has begun.
pub(crate) async fn attached(
    path: &Path,
    name: &str,
    media_type: &str,
    request: Request,
) -> Result<Response, Problem> {
    let answer = ServeFile::new(path).oneshot(request).await;
    let Ok(mut response) = answer.map(IntoResponse::into_response);
    if response.status() == StatusCode::NOT_FOUND {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this file is being replaced; ask again",
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if plain(c) { c } else { '-' }).collect();
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = response.headers_mut();
    for (name, text) in [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, &disposition),
        (header::CACHE_CONTROL, CACHING),
    ] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    headers.remove(header::LAST_MODIFIED);
    Ok(response)
}
