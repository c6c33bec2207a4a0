use std::time::Duration;

use crawldb::ItemErrorKind;
use model::{PageUrl, Timestamp};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Client, Response, StatusCode};
use rustc_hash::FxHashMap;

use super::error::FetchError;
use super::reply::{Body, Probed, Reply, too_large};
use super::resolve::{Allowed, InvalidOverride, Override};
use super::retry_after;

/// Overrides of one source at most; each has connections of its own.
const MAX_OVERRIDES: usize = 100;
/// Bytes of a body that show what it is, where the headers do not.
pub(crate) const SNIFFED_BYTES: usize = 1_445;
/// A header value that is kept (`ETag`, `Last-Modified`) is at most this long.
const MAX_KEPT_HEADER_BYTES: usize = 512;

const ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// How the requests of one source are made.
#[derive(Clone, Debug)]
pub(crate) struct FetchOptions<'a> {
    pub(crate) user_agent: &'a str,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) allow_private_addresses: bool,
    pub(crate) overrides: &'a [String],
}

/// Makes the requests of one source. Follows no redirects: where one leads is a page of its own.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    /// An override counts for its port only, so each has a client of its own.
    overridden: FxHashMap<(String, u16), Client>,
    allowed: Allowed,
}

/// One request.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a PageUrl,
    pub(crate) etag: Option<&'a str>,
    pub(crate) last_modified: Option<&'a str>,
    /// Bytes of the body at most.
    pub(crate) max_bytes: u64,
    /// Asked with the `Content-Type` and the first bytes (none at first) until it answers a media type that is
    /// not wanted.
    pub(crate) unwanted: fn(Option<&str>, &[u8], &PageUrl) -> Option<String>,
    pub(crate) now: Timestamp,
}

impl Fetcher {
    pub(crate) fn new(options: &FetchOptions<'_>) -> Result<Self, FetcherError> {
        let mut overridden = FxHashMap::default();
        for text in options.overrides.iter().take(MAX_OVERRIDES) {
            let Override { name, port, address } = Override::parse(text)?;
            let client = builder(options).resolve(&name, (address, port).into()).build()?;
            overridden.insert((name, port), client);
        }
        let allowed = if options.allow_private_addresses {
            Allowed::Private
        } else {
            Allowed::Public
        };
        Ok(Self {
            client: builder(options).dns_resolver(allowed).build()?,
            overridden,
            allowed,
        })
    }

    /// The client that may ask for this URL.
    fn client_for(&self, url: &PageUrl) -> Result<&Client, FetchError> {
        let port = url.as_url().port_or_known_default().unwrap_or(0);
        let name = url.as_url().host_str().unwrap_or_default();
        if !self.overridden.is_empty()
            && let Some(client) = self.overridden.get(&(name.to_owned(), port))
        {
            return Ok(client);
        }
        let address = match url.as_url().host() {
            Some(url::Host::Ipv4(address)) => address.into(),
            Some(url::Host::Ipv6(address)) => address.into(),
            _ => return Ok(&self.client),
        };
        match self.allowed.check(name, address) {
            Ok(()) => Ok(&self.client),
            Err(refused) => Err(FetchError::permanent(ItemErrorKind::Address, refused.to_string())),
        }
    }

    pub(crate) async fn fetch(&self, request: &Request<'_>) -> Result<Reply, FetchError> {
        judge(self.send(request).await?, request).await
    }

    /// Whether the page is there; its body is not read.
    pub(crate) async fn probe(&self, request: &Request<'_>) -> Result<Probed, FetchError> {
        let response = self.send(request).await?;
        let status = response.status();
        let moved = |response: &Response| {
            redirect(response.headers(), status).map(|target| match status.as_u16() {
                301 | 308 => Probed::Moved(target),
                _ => Probed::Elsewhere(target),
            })
        };
        match status.as_u16() {
            200..=299 | 304 => Ok(Probed::There),
            301 | 302 | 303 | 307 | 308 => moved(&response),
            404 | 410 => Ok(Probed::Gone(format!("HTTP {status}"))),
            _ => Err(refused(&response, request)),
        }
    }

    async fn send(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        let mut get = self.client_for(request.url)?.get(request.url.as_url().clone());
        if let Some(etag) = request.etag {
            get = get.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(last_modified) = request.last_modified {
            get = get.header(header::IF_MODIFIED_SINCE, last_modified);
        }
        get.send().await.map_err(|error| FetchError::of(&error))
    }
}

fn builder(options: &FetchOptions<'_>) -> reqwest::ClientBuilder {
    // Bodies stay as they come: only so can both their size on the network and their size in memory be limited.
    Client::builder()
        .user_agent(options.user_agent)
        .default_headers(HeaderMap::from_iter([
            (header::ACCEPT, header::HeaderValue::from_static(ACCEPT)),
            (header::ACCEPT_ENCODING, header::HeaderValue::from_static("gzip")),
        ]))
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
}

const ACCEPT: &str =
    "text/html,application/xhtml+xml,text/markdown,text/plain,application/pdf;q=0.9,*/*;q=0.1";

/// Why the requests of a source cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetcherError {
    #[error(transparent)]
    Override(#[from] InvalidOverride),
    #[error("the HTTP client could not be set up")]
    Client(#[from] reqwest::Error),
}

async fn judge(response: Response, request: &Request<'_>) -> Result<Reply, FetchError> {
    let status = response.status();
    let headers = response.headers();
    match status.as_u16() {
        200..=299 => read(response, request).await,
        304 => Ok(Reply::NotModified {
            etag: kept_header(headers, header::ETAG),
            last_modified: kept_header(headers, header::LAST_MODIFIED),
        }),
        301 | 302 | 303 | 307 | 308 => redirect(headers, status).map(Reply::Redirect),
        404 | 410 => Ok(Reply::Gone(status.as_u16())),
        _ => Err(refused(&response, request)),
    }
}

fn redirect(headers: &HeaderMap, status: StatusCode) -> Result<String, FetchError> {
    let missing = || {
        FetchError::permanent(
            ItemErrorKind::Redirect,
            format!("HTTP {status} without a Location"),
        )
    };
    text(headers, header::LOCATION)
        .map(str::to_owned)
        .ok_or_else(missing)
}

fn refused(response: &Response, request: &Request<'_>) -> FetchError {
    let retry_after = text(response.headers(), header::RETRY_AFTER);
    refusal(response.status(), retry_after, request.now)
}

fn refusal(status: StatusCode, retry_after: Option<&str>, now: Timestamp) -> FetchError {
    let (kind, retryable) = match status.as_u16() {
        429 | 503 => (ItemErrorKind::Throttled, true),
        408 => (ItemErrorKind::Timeout, true),
        500..=599 => (ItemErrorKind::Server, true),
        _ => (ItemErrorKind::Client, false),
    };
    let retry_after = retry_after.and_then(|value| retry_after::parse(value, now));
    FetchError {
        kind,
        message: format!("HTTP {status}"),
        retryable,
        retry_after,
    }
}

async fn read(mut response: Response, request: &Request<'_>) -> Result<Reply, FetchError> {
    let headers = response.headers();
    let is_gzip = is_gzip(headers)?;
    let content_type = text(headers, header::CONTENT_TYPE).map(str::to_owned);
    let (etag, last_modified) = (
        kept_header(headers, header::ETAG),
        kept_header(headers, header::LAST_MODIFIED),
    );
    let tags = headers
        .get_all(ROBOTS_TAG)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let robots_tags = tags.map(str::to_owned).collect();
    if let Some(media_type) = (request.unwanted)(content_type.as_deref(), &[], request.url) {
        return Ok(Reply::Unwanted(media_type));
    }
    let announced = response.content_length().unwrap_or(0);
    if announced > request.max_bytes {
        return Err(too_large(request.max_bytes));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    let mut sniffed = is_gzip;
    while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::of(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > request.max_bytes {
            return Err(too_large(request.max_bytes));
        }
        if !sniffed && bytes.len() >= SNIFFED_BYTES {
            sniffed = true;
            if let Some(media_type) = (request.unwanted)(content_type.as_deref(), &bytes, request.url) {
                return Ok(Reply::Unwanted(media_type));
            }
        }
    }
    Ok(Reply::Page(Body {
        bytes,
        is_gzip,
        content_type,
        etag,
        last_modified,
        robots_tags,
    }))
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, FetchError> {
    let encoding = text(headers, header::CONTENT_ENCODING)
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => {
            let message = format!("the content encoding {encoding:?} was not asked for and cannot be read");
            Err(FetchError::permanent(ItemErrorKind::Content, message))
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn kept_header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    kept(text(headers, name)?.to_owned())
}

/// The value of a validator, unless it is too long to be kept.
pub(crate) fn kept(value: String) -> Option<String> {
    (value.len() <= MAX_KEPT_HEADER_BYTES).then_some(value)
}
