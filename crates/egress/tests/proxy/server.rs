use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A server of the test, which counts who comes.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    met: Arc<AtomicUsize>,
}

impl Server {
    /// Serves every connection by `serve`.
    pub(crate) async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0", serve).await
    }

    async fn start_at<F: Future<Output = ()> + Send + 'static>(
        address: &str,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let met = Arc::new(AtomicUsize::default());
        let meeting = met.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                meeting.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, met }
    }

    /// A web server that says how often it was asked, and for what.
    pub(crate) async fn web() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// The same at another address of this machine.
    pub(crate) async fn at(address: &str) -> Self {
        let asked = Arc::new(AtomicUsize::default());
        Self::start_at(address, move |stream| serve_web(stream, asked.clone())).await
    }

    /// Sends back what it hears, and "end" when it hears no more.
    pub(crate) async fn echo() -> Self {
        Self::start(|mut stream| async move {
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.write_all(b"end").await;
        })
        .await
    }

    /// Connections so far.
    pub(crate) fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }
}

/// Answers `METHOD PATH BODY` and the number of the request. `/large` is chunked; a cookie is set.
pub(crate) async fn serve_web<S: AsyncRead + AsyncWrite + Unpin>(stream: S, asked: Arc<AtomicUsize>) {
    let mut stream = BufReader::new(stream);
    while let Some(Asked {
        method,
        path,
        body,
        is_last,
    }) = read_request(&mut stream).await
    {
        let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let content = format!("{method} {path} {body} #{number}");
        let head = "HTTP/1.1 200 OK\r\nX-Odd: \u{ff}\r\nSet-Cookie: id=1\r\n";
        let rest = match (method.as_str(), path.as_str()) {
            ("HEAD", _) => format!("Content-Length: {}\r\n\r\n", content.len()),
            (_, "/chunked") => {
                format!(
                    "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{content}\r\n0\r\n\r\n",
                    content.len()
                )
            }
            _ => format!("Content-Length: {}\r\n\r\n{content}", content.len()),
        };
        stream
            .write_all((head.to_owned() + &rest).as_bytes())
            .await
            .unwrap();
        stream.flush().await.unwrap();
        if is_last {
            return;
        }
    }
}

struct Asked {
    method: String,
    path: String,
    body: String,
    is_last: bool,
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Asked> {
    let mut line = String::new();
    stream
        .read_line(&mut line)
        .await
        .ok()
        .filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut length, mut is_last) = (0, false);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        if header.trim().is_empty() {
            break;
        }
        is_last |= header.eq_ignore_ascii_case("connection: close\r\n");
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        method,
        path,
        body: String::from_utf8_lossy(&body).into_owned(),
        is_last,
    })
}
