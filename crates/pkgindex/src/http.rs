//! The second port: HTTP and JSON over the same [`Index`], for what the three commands cannot say.
//!
//! Names stand in the query string, because they may hold `/`. Every answer in JSON carries the `revision` that it knows; errors are
//! `application/problem+json` (RFC 9457) and say what to do. Programs change the index, pages do not: a POST that a browser sent is refused.

mod app;
mod body;
mod commands;
mod feed;
mod guard;
mod metrics;
mod pages;
mod params;
mod problem;
mod questions;
mod router;
mod serve;
mod slow;
mod transfer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::index::Index;

use app::App;
pub(crate) use feed::Feed;
pub use metrics::{Measure, Sample, Samples};
pub(crate) use transfer::INSTANCE;

/// The limits of the HTTP port.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Connections at a time; more wait in the backlog of the system.
    pub connections: usize,
    /// Bytes of a body of `/v1/commands` and `/v1/batch` at most.
    pub body_bytes: usize,
    /// Lines of a body of `/v1/commands` at most; they are executed under one lock.
    pub commands: usize,
    /// Bytes of a body of `/v1/load` at most.
    pub load_bytes: usize,
    /// Packages in one answer at most.
    pub page: usize,
    /// Edges that one question may look at, at most.
    pub budget: usize,
    /// Questions that are worked on at a time; who asks one more is told to come back.
    pub questions: usize,
    /// As `questions`, of dumps and loads.
    pub transfers: usize,
    /// How long a question for changes may wait for one, at most.
    pub wait: Duration,
    /// From the headers of a request to the headers of its answer, at most; the waiting for a change comes on top.
    pub answer_time: Duration,
    /// As `answer_time`, of a load.
    pub load_time: Duration,
    /// How long the other side of a dump or a load may do nothing; then it is broken off.
    pub patience: Duration,
    /// A request that takes longer is noted in `/v1/slow`.
    pub slow: Duration,
    /// How many of the newest slow requests are kept.
    pub slow_kept: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connections: 1_024,
            body_bytes: 16 << 20,
            commands: 10_000,
            load_bytes: 1 << 30,
            page: 10_000,
            budget: 10_000_000,
            questions: 4,
            transfers: 4,
            wait: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
            load_time: Duration::from_secs(600),
            patience: Duration::from_secs(30),
            slow: Duration::from_millis(100),
            slow_kept: 128,
        }
    }
}

/// The HTTP port, bound and not answering yet.
#[derive(Debug)]
pub struct Http {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    options: HttpOptions,
}

impl Http {
    /// Takes the addresses; port 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had, with the address.
    pub async fn bind(addresses: &[SocketAddr], options: HttpOptions) -> io::Result<Self> {
        let (mut listeners, mut bound) = (Vec::new(), Vec::new());
        for address in addresses {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })?;
            bound.push(listener.local_addr()?);
            listeners.push(listener);
        }
        Ok(Self {
            listeners,
            addresses: bound,
            options,
        })
    }

    /// Where it listens, in the order of the addresses that were asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers until `stop` is over, then lets answers end, for at most ten seconds. `more` are numbers of other parts of the process that
    /// `/metrics` shows beside those of `index`.
    pub async fn run(self, index: Index, more: Samples, stop: impl Future<Output = ()>) {
        let stopped = CancellationToken::new();
        let _stops = stopped.clone().drop_guard();
        let slots = app::slots(self.options.connections);
        let app = Arc::new(App::new(index, self.options, more, stopped.clone()));
        let router = router::router(&app);
        let mut listening = tokio::task::JoinSet::new();
        for listener in self.listeners {
            let served = serve::serve(listener, router.clone(), Arc::clone(&slots), stopped.clone());
            listening.spawn(served);
        }
        stop.await;
        stopped.cancel();
        while listening.join_next().await.is_some() {}
    }
}
