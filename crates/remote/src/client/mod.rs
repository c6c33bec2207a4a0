mod documents;
mod exchange;
mod failure;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

use crate::MAX_BODY_BYTES;
use crate::client::exchange::Exchange;
use crate::token::Token;

/// How a [`RemoteStore`] asks.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// What the service wants to be shown, where it does.
    pub token: Option<Token>,
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// From the request to the last byte of the answer.
    pub timeout: Duration,
    /// How often a call is tried again that was not answered: one that only reads, and any that cannot have arrived.
    pub retries: u32,
    /// Before the first retry; each further pause is twice as long.
    pub pause: Duration,
    /// Bytes of a request's body at most, as far as records can be parted; less where a proxy on the way takes less.
    pub max_body_bytes: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            token: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            retries: 3,
            pause: Duration::from_millis(100),
            max_body_bytes: MAX_BODY_BYTES,
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address is of no use. (It is not repeated here: it may hold a password.)
    #[error("the address of the crawl database {0}; give one such as http://crawldb.example:8080")]
    Address(&'static str),
    /// The machinery of HTTP or TLS could not be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// The two stores of a crawl database that is served elsewhere by [`router`](crate::router()). Cheap to clone; all
/// clones share their connections.
///
/// * Calls that only read are tried again when they were not answered, with growing pauses, at most
///   [`RemoteOptions::retries`] times. So is every call that found no connection.
/// * A write whose answer was lost is not tried again: it may have been taken. It fails with a retryable
///   [`StoreError`](crawldb::StoreError), and its caller reads and decides anew. The same holds for each part of a
///   batch that was sent in several parts.
/// * Batches of any size are sent in parts of at most [`MAX_BATCH`](crate::MAX_BATCH) records and
///   [`RemoteOptions::max_body_bytes`], one after the other. Scans of any size are read in pages.
/// * At most [`MAX_BATCH`](crate::MAX_BATCH) due items and crawls are listed by one call.
#[derive(Clone)]
pub struct RemoteStore {
    exchange: Arc<Exchange>,
}

impl RemoteStore {
    /// A client of the service at `url`, such as `http://crawldb.example:8080`. Nothing is sent yet.
    pub fn new(url: &str, options: RemoteOptions) -> Result<Self, RemoteError> {
        let place = checked(url)?;
        let client = reqwest::Client::builder()
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .redirect(Policy::none())
            .build()
            .map_err(RemoteError::Client)?;
        Ok(Self {
            exchange: Arc::new(Exchange::new(client, place, options)),
        })
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore")
            .field("place", &self.exchange.place())
            .finish_non_exhaustive()
    }
}

/// The address without a slash at its end. Whatever could be a secret in it is refused, so errors can name it.
fn checked(url: &str) -> Result<String, RemoteError> {
    let url = Url::parse(url).map_err(|_| RemoteError::Address("cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(RemoteError::Address("does not begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RemoteError::Address(
            "holds a name or password (use a token instead)",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(RemoteError::Address("goes on after its path"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}
