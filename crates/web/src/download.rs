use std::path::PathBuf;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Checksum;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::fresh::Tag;
use crate::problem::Problem;
use crate::router::PACK_MEDIA_TYPE;

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
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, self.tag.as_str())]).into_response());
        }
        let request = self.unconditional(request);
        let answer = ServeFile::new(&self.path).oneshot(request).await;
        let Ok(mut response) = answer.map(IntoResponse::into_response);
        if response.status() == StatusCode::NOT_FOUND {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "this file is being replaced; ask again",
            ));
        }
        self.describe(&mut response);
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

    fn describe(&self, response: &mut Response) {
        let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = self.name.chars().map(|c| if kept(c) { c } else { '-' }).collect();
        let texts: [(HeaderName, String); 4] = [
            (header::CONTENT_TYPE, PACK_MEDIA_TYPE.to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}\""),
            ),
            (header::ETAG, self.tag.as_str().to_owned()),
            (header::CACHE_CONTROL, "no-cache".to_owned()),
        ];
        let headers = response.headers_mut();
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        headers.remove(header::LAST_MODIFIED);
    }
}
