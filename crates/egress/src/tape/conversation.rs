//! HTTP with one client, in the place of the server that it calls.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::gate::{Gate, Stop};
use crate::opening;
use crate::tape::Reel;
use crate::tape::cassette::Asked;
use crate::tape::memory::Memory;
use crate::tape::origin::Origin;
use crate::visits::Host;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;
type Answer = Response<Full<Bytes>>;

/// The longest time that a client may be silent, whatever the policy says.
const IDLE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What one connection's requests share.
pub(crate) struct Conversation {
    gate: Arc<Gate>,
    reel: Arc<Reel>,
    host: Arc<Host>,
    origin: Origin,
    memory: Memory,
    /// Whether the cassette has answered on this connection.
    is_met: AtomicBool,
}

impl Conversation {
    pub(crate) fn new(
        gate: Arc<Gate>,
        reel: Arc<Reel>,
        host: Arc<Host>,
        origin: Origin,
        memory: Memory,
    ) -> Self {
        Self {
            gate,
            reel,
            host,
            origin,
            memory,
            is_met: AtomicBool::default(),
        }
    }

    /// Answers requests until the client goes.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the client speaks no HTTP.
    pub(crate) async fn hold<S>(self, client: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut server = Builder::new();
        server
            .preserve_header_case(true)
            .auto_date_header(false)
            .half_close(true);
        server
            .timer(TokioTimer::new())
            .header_read_timeout(self.gate.policy.idle_timeout.min(IDLE_MAX));
        let conversation = Arc::new(self);
        let service = service_fn(move |request| answer(conversation.clone(), request));
        server
            .serve_connection(TokioIo::new(client), service)
            .await
            .map_err(io::Error::other)
    }

    /// Whom a request calls: a connection may carry requests for several.
    fn authority(&self, parts: &Parts) -> String {
        let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(Authority::as_str).or(named);
        authority.unwrap_or(self.host.name()).to_ascii_lowercase()
    }

    /// What is asked for; the reason when that is denied.
    fn asked(&self, parts: &Parts, body: &[u8]) -> Result<Asked, String> {
        let authority = self.authority(parts);
        self.gate
            .policy
            .judge_name(&opening::host(&authority).unwrap_or_default())?;
        let scheme = if self.origin.is_tls() { "https" } else { "http" };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{scheme}://{authority}{path}");
        Ok(Asked {
            method: parts.method.to_string(),
            url,
            body_sha256: sha256(body),
        })
    }

    /// Asks the real server and writes down what it says.
    async fn record(
        self: Arc<Self>,
        connector: &TlsConnector,
        asked: Asked,
        parts: Parts,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let sentence = match self.origin.fetch(connector, parts, body).await {
            Ok(answer) => return self.keep(asked, answer).await,
            Err(Stop::Refused(sentence)) => return Ok(self.refuse(sentence)),
            Err(Stop::Failed(sentence)) => sentence,
            Err(Stop::Broken(error)) => format!("{} did not answer: {error}", asked.place()),
        };
        self.gate.fail(&self.host, &sentence);
        // Closes the connection, as it would be without a tape.
        Err(sentence.into())
    }

    /// Writes an answer down before the client hears it.
    async fn keep(&self, asked: Asked, answer: Response<Bytes>) -> Result<Answer, Failure> {
        let (reel, written) = (self.reel.clone(), answer.clone());
        let place = asked.place().to_owned();
        let kept = self
            .gate
            .spawn_blocking(move || reel.keep(asked, &written))
            .await?;
        match kept {
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                self.gate.say(&format!(
                    "the cassette is full: it lacks {place}, and what follows"
                ));
            }
            Err(error) => {
                self.gate.fail(
                    &self.host,
                    &format!("the cassette lacks an answer of {place}: {error}"),
                );
            }
            Ok(()) => {}
        }
        Ok(answer.map(Full::new))
    }

    /// Says what is in the cassette.
    async fn replay(&self, asked: Asked) -> Result<Answer, Failure> {
        let (reel, sought) = (self.reel.clone(), asked.clone());
        let Some(answer) = self.gate.spawn_blocking(move || reel.find(&sought)).await?? else {
            let sentence = format!(
                "{} {} is not in the cassette: record it again",
                asked.method,
                asked.place()
            );
            self.gate.fail(&self.host, &sentence);
            return Ok(say(StatusCode::GATEWAY_TIMEOUT, sentence));
        };
        // The connection that would have been made.
        if !self.is_met.swap(true, Ordering::Relaxed) {
            self.host.connections.fetch_add(1, Ordering::Relaxed);
        }
        Ok(answer.map(Full::new))
    }

    fn cannot_take(&self, error: &Failure) -> Answer {
        let sentence = format!("a request cannot be taken: {error}");
        self.gate.fail(&self.host, &sentence);
        say(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    }

    fn refuse(&self, sentence: String) -> Answer {
        self.gate.refuse(&self.host, &sentence);
        say(StatusCode::FORBIDDEN, sentence)
    }
}

async fn answer(conversation: Arc<Conversation>, request: Request<Incoming>) -> Result<Answer, Failure> {
    let (parts, body) = request.into_parts();
    let idle = conversation.gate.policy.idle_timeout;
    let body = match conversation.memory.whole(body, idle).await {
        Ok(body) => body,
        Err(error) => return Ok(conversation.cannot_take(&error)),
    };
    let asked = match conversation.asked(&parts, &body) {
        Ok(asked) => asked,
        Err(sentence) => return Ok(conversation.refuse(sentence)),
    };
    let reel = conversation.reel.clone();
    match &*reel {
        Reel::Record { connector, .. } => conversation.record(connector, asked, parts, body).await,
        Reel::Replay(_) => conversation.replay(asked).await,
    }
}

fn say(status: StatusCode, sentence: String) -> Answer {
    let mut answer = Response::new(Full::from(sentence + "\n"));
    *answer.status_mut() = status;
    answer
}

fn sha256(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    digest(&SHA256, body)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
