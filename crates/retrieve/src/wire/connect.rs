use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Transport};
use crate::error::{Error, ErrorKind};

/// Servers of object stores change their addresses every few seconds; asking again adds to what is known.
const RESOLVE_EVERY: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses of a name that are remembered, and how many of them one attempt tries.
const MAX_ADDRESSES: usize = 64;
const TRIES: usize = 3;

/// A server: where requests are sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// Without brackets where it is an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    /// Of the origin of a web address: `http://host:port`.
    pub(crate) fn of(origin: &url::Url) -> Option<Self> {
        let host = match origin.host()? {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        Some(Self {
            tls: origin.scheme() == "https",
            host,
            port: origin.port_or_known_default()?,
        })
    }

    /// As in the `Host` header: the port only where it is not the usual one.
    pub(crate) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// Opens connections, to all addresses of a name in turn.
pub(crate) struct Connector {
    tls: TlsConnector,
    known: Mutex<HashMap<(String, u16), Known>>,
}

struct Known {
    addresses: Vec<SocketAddr>,
    next: usize,
    asked: Instant,
}

impl Connector {
    pub(crate) fn new() -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let failed = |error: rustls::Error| {
            Error::new(ErrorKind::Unreachable, "TLS cannot be set up on this machine").caused_by(error)
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_platform_verifier()
            .map_err(failed)?;
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            known: Mutex::default(),
        })
    }

    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> io::Result<Connection> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.addresses(endpoint).await? {
            match tokio::time::timeout(CONNECT_TIMEOUT, self.open(endpoint, address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
            self.forget(endpoint, address);
        }
        Err(last)
    }

    async fn open(&self, endpoint: &Endpoint, address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if !endpoint.tls {
            return Ok(Connection::new(Transport::Plain(stream)));
        }
        let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        // A certificate that does not fit, or a server without TLS: nothing was asked yet, so it is no bad answer.
        let stream = self.tls.connect(name, stream).await;
        let stream = stream.map_err(|error| io::Error::other(format!("TLS: {error}")))?;
        Ok(Connection::new(Transport::Tls(Box::new(stream))))
    }

    /// A few addresses, beginning with another one every time.
    async fn addresses(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        let key = (endpoint.host.clone(), endpoint.port);
        if let Some(addresses) = self.turn(&key) {
            return Ok(addresses);
        }
        let resolved: Vec<_> = tokio::net::lookup_host((key.0.as_str(), key.1)).await?.collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(key.clone()).or_insert_with(|| Known {
            addresses: Vec::new(),
            next: 0,
            asked: Instant::now(),
        });
        entry.asked = Instant::now();
        for address in resolved {
            if !entry.addresses.contains(&address) && entry.addresses.len() < MAX_ADDRESSES {
                entry.addresses.push(address);
            }
        }
        drop(known);
        Ok(self.turn(&key).unwrap_or_default())
    }

    fn turn(&self, key: &(String, u16)) -> Option<Vec<SocketAddr>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.get_mut(key)?;
        if entry.addresses.is_empty() || entry.asked.elapsed() > RESOLVE_EVERY {
            return None;
        }
        let start = entry.next;
        entry.next = entry.next.wrapping_add(1);
        let count = entry.addresses.len();
        let turned = entry
            .addresses
            .iter()
            .cycle()
            .skip(start % count)
            .take(count.min(TRIES));
        Some(turned.copied().collect())
    }

    /// An address that does not answer is left out until the name is resolved again.
    fn forget(&self, endpoint: &Endpoint, address: SocketAddr) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&(endpoint.host.clone(), endpoint.port)) {
            entry.addresses.retain(|candidate| *candidate != address);
        }
    }
}
