//! The real server, whose answers are recorded.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::gate::{Gate, Stop, Target};
use crate::pace::Place;
use crate::tape::memory::Memory;
use crate::visits::Host;

/// Headers that belong to one connection (RFC 9110, section 7.6.1), and the wish for a 100 that is granted by us.
const OF_ONE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A server, and the connection to it that is open.
pub(crate) struct Origin {
    gate: Arc<Gate>,
    target: Target,
    host: Arc<Host>,
    /// The name by which TLS knows it; nothing for plain HTTP.
    tls: Option<String>,
    memory: Memory,
    kept: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Origin {
    pub(crate) fn new(
        gate: Arc<Gate>,
        target: Target,
        host: Arc<Host>,
        tls: Option<String>,
        memory: Memory,
    ) -> Self {
        Self {
            gate,
            target,
            host,
            tls,
            memory,
            kept: Mutex::default(),
        }
    }

    /// Whether it speaks TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Asks it, and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// When the policy does not allow it, or no whole answer comes.
    pub(crate) async fn fetch(
        &self,
        connector: &TlsConnector,
        parts: Parts,
        body: Bytes,
    ) -> Result<Response<Bytes>, Stop> {
        let answered = timeout(
            self.gate.policy.idle_timeout,
            self.ask(connector, request(parts, body)?),
        );
        answered
            .await
            .unwrap_or_else(|_| Err(Stop::Broken(io::ErrorKind::TimedOut.into())))
    }

    async fn ask(
        &self,
        connector: &TlsConnector,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Stop> {
        let mut kept = self.kept.lock().await;
        let mut sender = self.sender(connector, kept.take()).await?;
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let (mut parts, body) = answer.into_parts();
        let body = self.memory.whole(body, self.gate.policy.idle_timeout);
        let body = body.await.map_err(io::Error::other)?;
        strip(&mut parts.headers);
        *kept = Some(sender);
        Ok(Response::from_parts(parts, body))
    }

    /// The connection that was kept, unless the server has closed it; else a new one.
    async fn sender(
        &self,
        connector: &TlsConnector,
        kept: Option<SendRequest<Full<Bytes>>>,
    ) -> Result<SendRequest<Full<Bytes>>, Stop> {
        if let Some(mut kept) = kept
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let (stream, place) = self.gate.dial(&self.target, &self.host).await?;
        self.host.connections.fetch_add(1, Ordering::Relaxed);
        let Some(name) = &self.tls else {
            return shake_hands(stream, place).await;
        };
        let name = ServerName::try_from(name.clone()).map_err(io::Error::other)?;
        let connected = timeout(self.gate.policy.connect_timeout, connector.connect(name, stream)).await;
        shake_hands(connected.map_err(io::Error::from)??, place).await
    }
}

/// A client's request, as it goes on.
fn request(parts: Parts, body: Bytes) -> io::Result<Request<Full<Bytes>>> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let path: Uri = path.parse().map_err(io::Error::other)?;
    let mut request = Request::from_parts(parts, Full::new(body));
    *request.uri_mut() = path;
    strip(request.headers_mut());
    Ok(request)
}

async fn shake_hands<S>(stream: S, place: Place) -> Result<SendRequest<Full<Bytes>>, Stop>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = Builder::new();
    client.preserve_header_case(true);
    let (sender, connection) = client
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends when the sender is dropped.
    tokio::spawn(async move {
        let _place = place;
        connection.await
    });
    Ok(sender)
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
}
