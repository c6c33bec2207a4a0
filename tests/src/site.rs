use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::runtime::Runtime;

/// What a client asks of a [`Site`].
#[derive(Clone, Debug)]
pub struct Request {
    /// The name that it asks for, with the port.
    pub host: String,
    /// The path, with the query.
    pub path: String,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its method.
    pub method: String,
    /// Its body, of 2 MB at most.
    pub body: Vec<u8>,
}

/// What a [`Site`] answers.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    after: Duration,
}

impl Answer {
    /// HTML in UTF-8.
    pub fn html(text: impl Into<String>) -> Self {
        Self::bytes("text/html; charset=utf-8", text.into())
    }

    /// A body of any type.
    pub fn bytes(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self {
            status: 200,
            headers,
            body: body.into(),
            after: Duration::ZERO,
        }
    }

    /// A page with a title, some text, and links.
    pub fn page(title: &str, text: &str, links: &[String]) -> Self {
        let links: String = links
            .iter()
            .map(|link| format!("<li><a href=\"{link}\">next</a>\n"))
            .collect();
        let head = format!("<!doctype html>\n<html lang=\"en\"><title>{title}</title>\n<h1>{title}</h1>\n");
        Self::html(format!("{head}<p>{text}</p>\n<ul>{links}</ul>\n"))
    }

    /// A status and nothing else.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            after: Duration::ZERO,
        }
    }

    /// A redirect.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::status(302).header("location", to)
    }

    /// With one more header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sent after a while.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

type Answering = dyn Fn(&Request) -> Answer + Send + Sync;

struct Shared {
    answering: Box<Answering>,
    asked: Mutex<BTreeMap<String, usize>>,
}

/// A web server in this process, under as many names as are asked for; ends when dropped.
pub struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Site {
    /// Serves what `answering` says on a free port of 127.0.0.1.
    pub fn serve(answering: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let shared = Arc::new(Shared {
            answering: Box::new(answering),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, router).await?;
            Ok::<_, io::Error>(())
        });
        Ok(Self {
            address,
            shared,
            runtime: Some(runtime),
        })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address of a path on a host of this site.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port())
    }

    /// Flags that let Haul crawl these hosts here, without waiting between requests.
    pub fn flags(&self, hosts: &[&str]) -> Vec<String> {
        let mut flags: Vec<String> = ["--allow-private", "--delay-ms", "0"].map(str::to_owned).into();
        for host in hosts {
            flags.push("--resolve".to_owned());
            flags.push(format!("{host}:{}:127.0.0.1", self.port()));
        }
        flags
    }

    /// How often each path (`host/path`, without the port) was asked for.
    pub fn asked(&self) -> BTreeMap<String, usize> {
        self.shared
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often one path was asked for.
    pub fn asked_for(&self, path: &str) -> usize {
        self.asked().get(path).copied().unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let name = host.split(':').next().unwrap_or_default();
    let counted = format!("{name}{path}");
    *shared
        .asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(counted)
        .or_default() += 1;
    let request = Request {
        host,
        path,
        headers,
        method: method.to_string(),
        body: body.into(),
    };
    let answer = (shared.answering)(&request);
    tokio::time::sleep(answer.after).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Body::from(answer.body))
        .unwrap_or_else(|_| StatusCode::IM_A_TEAPOT.into_response())
}
