//! The demo site: three hosts of an invented county, part of this program, served on the loopback interface.
//!
//! It has what real sites have: redirects (one to another host), a dead link, a page that fails, one that robots.txt
//! forbids, one that only the sitemap knows, one that asks not to be indexed, a canonical duplicate, HTML that was never
//! valid, a charset that is not what the page says, a PDF, two languages.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use model::Checksum;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One folder for each host.
static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/demo");

const HOSTS: [&str; 3] = [
    "www.hollow.example",
    "library.hollow.example",
    "parques.hollow.example",
];

/// Queries that have a good answer on the demo site.
const SAMPLE_QUERIES: [&str; 6] = [
    "recycling glass",
    "library opening hours",
    "does the bus run in snow",
    "dog licence fee",
    "roof",
    "laguna aves",
];

/// How the links between the hosts are written in the files, where no port is known yet.
const UNPORTED: &str = ".hollow.example/";

const REDIRECTS: [(&str, StatusCode, &str); 3] = [
    ("/recycling", StatusCode::MOVED_PERMANENTLY, "/services/recycling"),
    ("/today", StatusCode::FOUND, "/news/snow-day"),
    (
        "/books",
        StatusCode::MOVED_PERMANENTLY,
        "http://library.hollow.example/",
    ),
];

/// A page of the first host that always fails.
const BROKEN: &str = "/council/minutes";

/// The demo site while it is served.
pub(crate) struct DemoSite {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The names that it answers to.
    pub(crate) hosts: [&'static str; 3],
    /// Queries that have a good answer.
    pub(crate) sample_queries: &'static [&'static str],
    stopping: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl DemoSite {
    /// The address where a crawl of everything begins.
    pub(crate) fn start(&self) -> String {
        format!("http://{}:{}/", self.hosts[0], self.addr.port())
    }

    /// Where its hosts are found, as `--resolve` takes it.
    pub(crate) fn resolve(&self) -> Vec<String> {
        self.hosts
            .iter()
            .map(|host| format!("{host}:{}:{}", self.addr.port(), self.addr.ip()))
            .collect()
    }

    /// Ends it; requests that are being answered are answered.
    pub(crate) async fn stop(self) -> io::Result<()> {
        self.stopping.cancel();
        self.server.await.map_err(io::Error::other)?
    }
}

/// Serves the demo site on a free port of 127.0.0.1.
pub(crate) async fn serve() -> io::Result<DemoSite> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let stopping = CancellationToken::new();
    let stopped = stopping.clone().cancelled_owned();
    let router = Router::new().fallback(answer).with_state(addr.port());
    let server = tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await
    });
    Ok(DemoSite {
        addr,
        hosts: HOSTS,
        sample_queries: &SAMPLE_QUERIES,
        stopping,
        server,
    })
}

async fn answer(State(port): State<u16>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let Some(host) = host_of(&headers) else {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if host == HOSTS[0] {
        if let Some((_, status, to)) = REDIRECTS.iter().find(|(from, ..)| *from == path) {
            return (*status, [(LOCATION, with_port(to, port))]).into_response();
        }
        if path == BROKEN {
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the minutes are at the binder's",
            )
                .into_response();
        }
    }
    file(host, path, port, &headers)
}

fn host_of(headers: &HeaderMap) -> Option<&'static str> {
    let named = headers.get(HOST)?.to_str().ok()?;
    let name = named.split(':').next().unwrap_or(named);
    HOSTS.into_iter().find(|host| *host == name)
}

fn file(host: &str, path: &str, port: u16, headers: &HeaderMap) -> Response {
    let Some((contents, content_type)) = find(host, path) else {
        return (StatusCode::NOT_FOUND, "there is no such page in Hollow County").into_response();
    };
    let body = match std::str::from_utf8(contents) {
        Ok(text) if content_type != PDF => with_port(text, port).into_bytes(),
        _ => contents.to_vec(),
    };
    let etag = format!("\"{}\"", Checksum::of(&body));
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    let described: [(HeaderName, String); 2] = [(CONTENT_TYPE, content_type.to_owned()), (ETAG, etag)];
    (described, body).into_response()
}

const PDF: &str = "application/pdf";

/// The file behind a path: `/a` is `a` or `a.html`, `/a/` is `a/index.html`.
fn find(host: &str, path: &str) -> Option<(&'static [u8], &'static str)> {
    let page = if path.ends_with('/') {
        format!("{path}index.html")
    } else {
        format!("{path}.html")
    };
    let file = FILES
        .get_file(format!("{host}{path}"))
        .or_else(|| FILES.get_file(format!("{host}{page}")))?;
    let content_type = match file.path().extension().and_then(|extension| extension.to_str()) {
        // Without a charset: the pages say it themselves, one of them wrongly.
        Some("html") => "text/html",
        Some("pdf") => PDF,
        Some("xml") => "application/xml",
        Some("css") => "text/css",
        _ => "text/plain",
    };
    Some((file.contents(), content_type))
}

fn with_port(text: &str, port: u16) -> String {
    text.replace(UNPORTED, &format!(".hollow.example:{port}/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers of a demo site to one request each, as text.
    async fn check_answers(cases: &[(&str, &str, &str)]) {
        let site = serve().await.unwrap();
        for (host, path, expected) in cases {
            let mut stream = tokio::net::TcpStream::connect(site.addr).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer).replace(&site.addr.port().to_string(), "PORT");
            assert!(answer.contains(expected), "{host}{path}: {answer}");
        }
        site.stop().await.unwrap();
    }

    #[tokio::test]
    async fn pages_are_found_by_host_and_path() {
        check_answers(&[
            (HOSTS[0], "/", "<h1>Hollow County</h1>"),
            (HOSTS[0], "/services/recycling", "<h2 id=\"glass\">"),
            (HOSTS[1], "/events/", "<h1>Events</h1>"),
            (HOSTS[2], "/senderos/laguna", "avefrías"),
            (HOSTS[0], "/council/budget-2026.pdf", "application/pdf"),
            (HOSTS[0], "/old-map", "404 Not Found"),
            (HOSTS[2], "/services/recycling", "404 Not Found"),
            ("elsewhere.example", "/", "421 Misdirected"),
        ])
        .await;
    }

    #[tokio::test]
    async fn redirects_and_faults_are_as_on_real_sites() {
        check_answers(&[
            (HOSTS[0], "/recycling", "location: /services/recycling"),
            (HOSTS[0], "/today", "302 Found"),
            (
                HOSTS[0],
                "/books",
                "location: http://library.hollow.example:PORT/",
            ),
            (HOSTS[0], BROKEN, "500 Internal Server Error"),
            (
                HOSTS[0],
                "/sitemap.xml",
                "<loc>http://www.hollow.example:PORT/services/archive-room</loc>",
            ),
        ])
        .await;
    }
}
