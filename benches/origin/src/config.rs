//! What an origin is started with.

use crate::{Faults, Rule, Shaping};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How an origin listens and what its buckets begin with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Port 0 is any free port for the first address; for the others it is the port of the first.
    pub listen: Vec<SocketAddr>,
    /// The only access key that is let in; `None` lets everybody in. Signatures are looked at, not verified.
    pub access_key: Option<String>,
    /// From the first byte of a connection that the server could read to when it reads it.
    pub accept_delay: Duration,
    /// More connections at a time than this are closed at once.
    pub max_connections: usize,
    /// Whether to keep, per object, which bytes were sent, so that those sent twice can be counted.
    pub duplicates: Duplicates,
    /// Delays and rates of buckets that have no others.
    pub shaping: Shaping,
    /// Faults of buckets that have no others.
    pub faults: Faults,
    /// Rules of buckets that have no others.
    pub rules: Vec<Rule>,
}

/// Whether bytes sent twice are counted, which costs a lock and some memory per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// They are not.
    Ignored,
    /// They are.
    Counted,
}

impl Default for Config {
    /// Any free port of 127.0.0.1, everybody is let in, no delays, no faults, 4096 connections.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            access_key: None,
            accept_delay: Duration::ZERO,
            max_connections: 4096,
            duplicates: Duplicates::Ignored,
            shaping: Shaping::default(),
            faults: Faults::none(),
            rules: Vec::new(),
        }
    }
}
