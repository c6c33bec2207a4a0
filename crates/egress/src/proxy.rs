use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::gate::{Gate, Refused};
use crate::outside::{Machine, Outside};
use crate::pace::Pace;
use crate::policy::Policy;
use crate::tape::Tape;
use crate::visits::Visit;
use crate::{connection, dns};

/// What is waited after an error of the listener, lest it be a lasting one.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the connections of one run arrive.
#[derive(Debug)]
pub struct Sockets {
    /// Redirected TCP connections; `SO_ORIGINAL_DST` tells where they wanted to go.
    pub connections: TcpListener,
    /// Questions for names.
    pub names: UdpSocket,
    /// Questions for names over TCP.
    pub names_tcp: TcpListener,
}

/// The proxy of one run. It ends when this is dropped.
pub struct Proxy {
    gate: Arc<Gate>,
}

impl Proxy {
    /// Starts answering on the current runtime.
    ///
    /// # Errors
    ///
    /// When a socket cannot be used.
    pub fn start(
        sockets: Sockets,
        policy: Policy,
        pace: Arc<Pace>,
        tape: Option<Tape>,
        refused: Refused,
    ) -> io::Result<Self> {
        Self::start_with(Machine, sockets, policy, pace, tape, refused)
    }

    /// As [`Self::start`], with another machine's knowledge.
    ///
    /// # Errors
    ///
    /// When a socket cannot be used.
    pub fn start_with(
        outside: impl Outside,
        sockets: Sockets,
        policy: Policy,
        pace: Arc<Pace>,
        tape: Option<Tape>,
        refused: Refused,
    ) -> io::Result<Self> {
        let gate = Arc::new(Gate::new(policy, pace, tape, refused, Arc::new(outside)));
        sockets.connections.set_nonblocking(true)?;
        let connections = tokio::net::TcpListener::from_std(sockets.connections)?;
        dns::start(&gate, sockets.names, sockets.names_tcp)?;
        gate.spawn(accept(gate.clone(), connections));
        Ok(Self { gate })
    }

    /// Whom the run has talked to so far, by first contact.
    pub fn visits(&self) -> Vec<Visit> {
        self.gate.visits.list()
    }

    /// Ends every connection, and returns whom the run talked to. A tape that records is complete afterwards, and no name is looked up for the run any more, which
    /// the system may take its time for.
    pub async fn stop(self) -> Vec<Visit> {
        self.gate.close();
        self.gate.closed().await;
        self.visits()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.close();
    }
}

async fn accept(gate: Arc<Gate>, listener: tokio::net::TcpListener) {
    let most = gate.policy.max_connections.clamp(1, Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let serving = gate.clone();
        gate.spawn(async move {
            let _place = place;
            connection::serve(serving, client).await;
        });
    }
}
