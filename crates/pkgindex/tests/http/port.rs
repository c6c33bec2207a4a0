use std::net::SocketAddr;
use std::sync::Arc;

use pkgindex::store::MemoryStore;
use pkgindex::{Http, HttpOptions, Index, Options};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server on a free port, and who asks it.
pub(crate) struct Port {
    pub(crate) index: Index,
    pub(crate) address: SocketAddr,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl Port {
    pub(crate) async fn of(index: Index, options: HttpOptions) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), index, options).await
    }

    pub(crate) async fn at(address: SocketAddr, index: Index, options: HttpOptions) -> Self {
        let http = Http::bind(&[address], options).await.unwrap();
        let address = http.addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let run = http.run(index.clone(), Arc::new(Vec::new), async {
            let _ = stopped.await;
        });
        Self {
            index,
            address,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            stop: Some(stop),
            served: tokio::spawn(run),
        }
    }

    /// With these packages in memory.
    pub(crate) async fn with(lines: &str) -> Self {
        let index = in_memory();
        index.batch(lines.as_bytes()).await.unwrap();
        Self::of(index, HttpOptions::default()).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).body(body);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Ends the server and waits for it.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.served.await.unwrap();
    }
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let kind = response.headers().get("content-type");
        Self {
            status: response.status(),
            kind: kind.map_or(String::new(), |kind| kind.to_str().unwrap().to_owned()),
            text: response.text().await.unwrap(),
        }
    }

    /// The JSON of an answer that is what was asked for.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        assert_eq!(self.kind, "application/json");
        let value: Value = serde_json::from_str(&self.text).unwrap();
        assert!(value["revision"].is_u64(), "{value}");
        value
    }

    /// The problem that an answer tells, whose detail holds `detail`.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, detail: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.kind, "application/problem+json");
        let value: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(value["status"], status);
        assert_eq!(value["type"], "about:blank");
        let told = value["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{told}");
        value
    }
}

pub(crate) fn in_memory() -> Index {
    Index::open(Box::new(MemoryStore::new()), Options::default()).unwrap()
}
