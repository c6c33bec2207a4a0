//! A small language for sites.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};

/// What is asked of a page: how often before, and with which headers.
pub(crate) struct Asked<'a> {
    pub(crate) before: usize,
    pub(crate) headers: &'a HeaderMap,
}

/// What a page answers.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn html(body: &str) -> Self {
        Self::of("text/html; charset=utf-8", body.as_bytes())
    }

    pub(crate) fn of(content_type: &str, body: &[u8]) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", content_type.into())],
            body: body.to_vec(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Page = Box<dyn Fn(&Asked<'_>) -> Answer + Send + Sync>;

#[derive(Default)]
pub(crate) struct Site {
    pages: BTreeMap<String, Page>,
    otherwise: Option<fn(&str) -> Answer>,
}

impl Site {
    /// A page of links: `"/a /b"` links to both.
    pub(crate) fn links(self, path: &str, links: &str) -> Self {
        let anchors: String = links
            .split_whitespace()
            .map(|link| format!("<a href='{link}'>to {link}</a> "))
            .collect();
        self.html(path, &format!("<p>This is the page {path}.</p>{anchors}"))
    }

    pub(crate) fn html(self, path: &str, body: &str) -> Self {
        let html =
            format!("<!doctype html><html><head><title>{path}</title></head><body>{body}</body></html>");
        self.answer(path, Answer::html(&html))
    }

    pub(crate) fn redirect(self, path: &str, target: &str) -> Self {
        self.answer(path, Answer::status(302).with("location", target))
    }

    pub(crate) fn answer(self, path: &str, answer: Answer) -> Self {
        self.on(path, move |_| answer.clone())
    }

    pub(crate) fn on(
        mut self,
        path: &str,
        page: impl Fn(&Asked<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.pages.insert(path.to_owned(), Box::new(page));
        self
    }

    /// What every other path answers, instead of 404.
    pub(crate) fn otherwise(mut self, answer: fn(&str) -> Answer) -> Self {
        self.otherwise = Some(answer);
        self
    }

    pub(crate) async fn serve(self) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::new(Served {
            site: self,
            requests: Mutex::default(),
        });
        let app = Router::new().fallback(reply).with_state(Arc::clone(&served));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Server { port, served, task }
    }
}

struct Served {
    site: Site,
    requests: Mutex<Vec<(String, Instant)>>,
}

/// A site while it is up.
pub(crate) struct Server {
    pub(crate) port: u16,
    served: Arc<Served>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://site.test:{}{path}", self.port)
    }

    /// How often each path was asked for, but for robots.txt and the usual sitemap.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (path, _) in self.served.requests.lock().unwrap().iter() {
            if path != "/robots.txt" && path != "/sitemap.xml" {
                *counts.entry(path.clone()).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) fn times(&self) -> Vec<Instant> {
        let requests = self.served.requests.lock().unwrap();
        let pages = requests
            .iter()
            .filter(|(path, _)| path != "/robots.txt" && path != "/sitemap.xml");
        pages.map(|(_, at)| *at).collect()
    }

    pub(crate) fn asked_for(&self, path: &str) -> usize {
        self.served
            .requests
            .lock()
            .unwrap()
            .iter()
            .filter(|(asked, _)| asked == path)
            .count()
    }

    pub(crate) fn forget_requests(&self) {
        self.served.requests.lock().unwrap().clear();
    }
}

async fn reply(State(served): State<Arc<Served>>, request: Request) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let before = {
        let mut requests = served.requests.lock().unwrap();
        let before = requests.iter().filter(|(asked, _)| *asked == path).count();
        requests.push((path.clone(), Instant::now()));
        before
    };
    let asked = Asked {
        before,
        headers: request.headers(),
    };
    let answer = match (served.site.pages.get(&path), served.site.otherwise) {
        (Some(page), _) => page(&asked),
        (None, Some(otherwise)) if path != "/robots.txt" && path != "/sitemap.xml" => otherwise(&path),
        _ => Answer::status(404),
    };
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}
