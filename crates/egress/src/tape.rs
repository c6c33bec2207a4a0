mod authority;
mod cassette;
mod conversation;
mod memory;
mod metered;
mod origin;

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::gate::{Gate, Target};
use crate::opening::Speech;
use crate::tape::authority::Authority;
use crate::tape::cassette::{Asked, Recorder, Shelf};
use crate::tape::conversation::Conversation;
use crate::tape::memory::Memory;
use crate::tape::metered::Metered;
use crate::tape::origin::Origin;
use crate::visits::Host;

/// Why a tape cannot be used.
#[derive(Debug, Error)]
pub enum TapeError {
    /// The file cannot be read or written.
    #[error("the cassette {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is no cassette.
    #[error("{path} is no cassette: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Certificates cannot be made or read.
    #[error("TLS cannot be set up for the cassette: {0}")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

/// What a tape may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapeLimits {
    /// Bytes of the file. What would not fit is not recorded, nor what follows it; the run goes on.
    pub file_bytes: u64,
    /// Bytes of all bodies of requests and answers that are in memory at a time. A request too much is answered with 413; where an answer is, the connection
    /// is closed.
    pub memory_bytes: usize,
}

impl Default for TapeLimits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 30,
            memory_bytes: 128 << 20,
        }
    }
}

/// A cassette: what a run said over HTTP/1.1 and heard, request by request.
///
/// A request is known by its method, its URL and the SHA-256 of its body; nothing else of it is written: no header, so no password, token or cookie that
/// the run sends; but queries of URLs are. Answers are written with all their headers, among them the cookies that they set. What was asked several times is answered in the order that was recorded, and then with the last answer again.
///
/// A connection that does not speak HTTP is not recorded, and refused when played back. Bodies have at most 64 MiB; upgrades (WebSocket) are not made.
pub struct Tape {
    authority: Authority,
    reel: Arc<Reel>,
    memory: Memory,
}

enum Reel {
    Record {
        recorder: Recorder,
        connector: TlsConnector,
    },
    Replay(Shelf),
}

impl Reel {
    fn find(&self, asked: &Asked) -> io::Result<Option<Response<Bytes>>> {
        match self {
            Self::Record { .. } => Ok(None),
            Self::Replay(shelf) => shelf.take(asked),
        }
    }

    fn keep(&self, asked: Asked, answer: &Response<Bytes>) -> io::Result<()> {
        match self {
            Self::Record { recorder, .. } => recorder.write(asked, answer),
            Self::Replay(_) => Ok(()),
        }
    }
}

impl Tape {
    /// Records into the file at `path`, which is emptied. What was answered is in the file at once and survives the process. Servers are verified by the
    /// authorities that the system trusts.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or the system's authorities cannot be read.
    pub fn record(path: &Path, limits: TapeLimits) -> Result<Self, TapeError> {
        Self::record_trusting(path, limits, "")
    }

    /// As [`Self::record`], where servers may also be signed by other authorities (PEM).
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or the authorities cannot be read.
    pub fn record_trusting(path: &Path, limits: TapeLimits, roots_pem: &str) -> Result<Self, TapeError> {
        let client = authority::client(roots_pem).map_err(TapeError::Tls)?;
        let recorder = Recorder::create(path, limits.file_bytes)?;
        let reel = Reel::Record {
            recorder,
            connector: TlsConnector::from(Arc::new(client)),
        };
        Self::new(reel, limits.memory_bytes)
    }

    /// Plays back from the file at `path`; a request that is not in it is answered with 504 and a sentence.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no cassette. An end that is missing, because the recording was killed, is none.
    pub fn replay(path: &Path) -> Result<Self, TapeError> {
        let reel = Reel::Replay(Shelf::open(path)?);
        Self::new(reel, TapeLimits::default().memory_bytes)
    }

    fn new(reel: Reel, memory_bytes: usize) -> Result<Self, TapeError> {
        Ok(Self {
            authority: Authority::new().map_err(TapeError::Tls)?,
            reel: Arc::new(reel),
            memory: Memory::new(memory_bytes),
        })
    }

    /// The certificate authority that the run must trust for this.
    pub fn trust(&self) -> Trust {
        Trust {
            bundle_pem: self.authority.pem(),
        }
    }

    pub(crate) fn is_replay(&self) -> bool {
        matches!(*self.reel, Reel::Replay(_))
    }

    /// Whether a connection is for the tape. Nothing passes by one that plays back.
    pub(crate) fn takes(&self, speech: &Speech) -> bool {
        self.is_replay() || matches!(speech, Speech::Tls(_) | Speech::Http(_))
    }

    /// Talks to a client in the place of the servers that it calls.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(crate) async fn serve(&self, gate: Arc<Gate>, call: Call, client: TcpStream) -> io::Result<()> {
        let Call {
            target,
            host,
            speech,
            opening,
        } = call;
        let client = Metered::new(opening.into(), client, host.clone());
        let tls = match speech {
            Speech::Http(_) => None,
            Speech::Tls(name) => Some(name.unwrap_or_else(|| host.name().to_owned())),
            Speech::Other | Speech::Cut | Speech::Silent => {
                let sentence = format!("{} is not in the cassette, which only has HTTP", host.name());
                gate.fail(&host, &sentence);
                return Ok(());
            }
        };
        let limit = gate.policy.connect_timeout;
        let origin = Origin::new(
            gate.clone(),
            target,
            host.clone(),
            tls.clone(),
            self.memory.clone(),
        );
        let conversation = Conversation::new(gate, self.reel.clone(), host, origin, self.memory.clone());
        let Some(name) = tls else {
            return conversation.hold(client).await;
        };
        let acceptor = TlsAcceptor::from(self.authority.server(&name)?);
        let client = timeout(limit, acceptor.accept(client)).await??;
        conversation.hold(client).await
    }
}

/// A connection whose opening was read.
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) host: Arc<Host>,
    pub(crate) speech: Speech,
    pub(crate) opening: Vec<u8>,
}

/// What makes programs trust an authority: its certificate, and the environment variables that name the file with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The authority's certificate, PEM. No other is needed: with a tape every TLS connection is answered by it.
    pub bundle_pem: String,
}

impl Trust {
    /// Where Debian and its kin keep the authorities that programs trust. The bundle should lie there inside the sandbox, for the programs that no variable
    /// convinces: PHP's curl, and whatever else uses libcurl.
    pub const SYSTEM_PATH: &str = "/etc/ssl/certs/ca-certificates.crt";

    /// The variables, for a bundle that lies at `path` inside the sandbox.
    pub fn variables(path: &str) -> Vec<(String, String)> {
        let names = [
            // OpenSSL: Python's ssl and httpx, Ruby, PHP's streams, Perl.
            "SSL_CERT_FILE",
            // Programs that bring authorities of their own, or look elsewhere.
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "PIP_CERT",
            "GIT_SSL_CAINFO",
            "NODE_EXTRA_CA_CERTS",
            "PERL_LWP_SSL_CA_FILE",
        ];
        names.map(|name| (name.to_owned(), path.to_owned())).to_vec()
    }
}
