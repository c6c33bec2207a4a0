use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::fixture::{Parts, add, see, start};

/// A server on a free port of this machine.
struct Server {
    parts: Parts,
    address: std::net::SocketAddr,
    served: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let parts = Parts::with_content().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(web::serve(listener, parts.router.clone(), parts.stop.clone()));
        Self {
            parts,
            address,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes until the server closes.
    async fn answer(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses a request may reset the connection while the rest of it is on its way.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn pages_come_over_a_socket() {
    let server = Server::start().await;
    let page = server.answer(&request("/?q=old+passport", "")).await;
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<mark>passport</mark>"),
        "{page}"
    );
}

#[tokio::test]
async fn what_exceeds_a_limit_is_refused() {
    let server = Server::start().await;
    let status = async |request: &str| {
        server
            .answer(request)
            .await
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        status(&request(&format!("/?q={}", "a".repeat(100_000)), "")).await,
        "414"
    );
    assert_eq!(status(&request("/", &"x: y\r\n".repeat(100))).await, "431");
    assert_eq!(
        status(&request("/", &format!("x: {}\r\n", "y".repeat(200_000)))).await,
        "431"
    );
    assert_eq!(status("nonsense\r\n\r\n").await, "400");
    assert_eq!(status(&request("/?q=\u{e9}", "")).await, "200");
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams_and_returns() {
    let server = Server::start().await;
    let source = add(&server.parts.crawldb, "live").await;
    let crawl = start(&server.parts.crawldb, &source.id, "test").await;
    see(&server.parts.crawldb, &crawl, 3).await;
    let mut stream = server.connect().await;
    let path = format!("/api/v1/crawls/{}/events", crawl.id.as_str().replace('@', "%40"));
    stream.write_all(request(&path, "").as_bytes()).await.unwrap();
    let mut begin = vec![0; 4_096];
    let read = stream.read(&mut begin).await.unwrap();
    assert!(begin[..read].starts_with(b"HTTP/1.1 200 OK"));
    server.parts.stop.cancel();
    server.served.await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(!rest.contains("event: end"), "the crawl is not over: {rest}");
}
