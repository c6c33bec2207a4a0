use std::pin::Pin;
use std::time::Duration;

use axum::http::{Request, Response};
use openidconnect::AsyncHttpClient;
use reqwest::redirect::Policy;

/// From the request to the end of the answer.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer at most.
const MAX_BYTES: usize = 1 << 20;

/// Why a provider could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The request could not be sent, or had no answer.
    #[error("the request failed")]
    Request(#[from] reqwest::Error),
    /// The answer is none that a provider gives.
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// The answer says that something failed.
    #[error("the answer is {0}")]
    Status(u16),
    /// The answer cannot be read.
    #[error("the answer is not what is expected")]
    Body(#[from] serde_json::Error),
}

/// Asks providers: in bounded time, for bounded answers, and never where an answer leads on to.
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Self, HttpError> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(MAX_TIME)
            .user_agent(concat!("haul/", env!("CARGO_PKG_VERSION")));
        Ok(Self(client.build()?))
    }

    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_BYTES {
                return Err(HttpError::TooLarge);
            }
        }
        let mut response = Response::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(self.send(request))
    }
}
