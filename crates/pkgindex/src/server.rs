//! The TCP server of the three commands.

mod connection;
mod counts;
mod descriptors;
mod framer;
mod listeners;
mod worker;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_util::sync::CancellationToken;

use crate::index::Index;

pub use counts::ServerCounts;
pub use descriptors::raise_descriptor_limit;

use listeners::Listeners;
use worker::Worker;

/// How long the server accepts nobody after the system had no descriptor or no memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a [`Server`] behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// How many connections may be open. Whoever comes then waits in the system's queue until another one leaves. By default 20,000,
    /// or what the limit of descriptors leaves; see [`raise_descriptor_limit`].
    pub max_connections: usize,
    /// How long a line may be, in bytes, its newline not counted. A longer one is answered ERROR. A connection may hold as much memory
    /// while a line comes in.
    pub max_line_bytes: usize,
    /// After how long without a byte from the client a connection is closed; `None` for never.
    pub idle_timeout: Option<Duration>,
    /// How long a client may take to receive the answers to what was read at once.
    pub write_timeout: Duration,
    /// How long a stop may take: what has been received by then is answered, and what is not done after this time is cut off.
    pub drain_timeout: Duration,
    /// How many threads answer. By default one for every two processors: commands are decided one at a time, so more threads only take
    /// time from clients on the same machine, and wait for each other.
    pub workers: NonZero<usize>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_connections: descriptors::allowed_connections().min(20_000),
            max_line_bytes: 1 << 20,
            idle_timeout: None,
            write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            workers: half_of_the_processors(),
        }
    }
}

fn half_of_the_processors() -> NonZero<usize> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    NonZero::new(processors / 2).unwrap_or(NonZero::<usize>::MIN)
}

/// The three commands over TCP: `INDEX|package|dependencies`, `REMOVE|package|` and `QUERY|package|`, one answer for each line.
///
/// Every connection belongs to one of a few threads, each with a reactor of its own, so that a command is read, decided and answered
/// without a switch between threads. A connection reads nothing while its answers wait, and holds no buffer while it is idle.
///
/// A connection is closed without an answer when the index is [`Unavailable`](crate::Unavailable): what was asked may have happened or
/// not, and no word of the protocol says so.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    options: ServerOptions,
    counts: Arc<ServerCounts>,
}

/// What all connections have in common.
struct Service {
    index: Index,
    options: ServerOptions,
    counts: Arc<ServerCounts>,
    /// Cancelled when no more is to be read than what has been received.
    stop: CancellationToken,
}

impl Server {
    /// Listens on all of `addresses`. An IPv6 address takes IPv4 clients as well, unless an IPv4 address is given beside it. The error
    /// names the address.
    pub fn bind(addresses: &[SocketAddr], options: ServerOptions) -> io::Result<Self> {
        check(&options)?;
        let listeners = listeners::bind(addresses)?;
        let addresses = listeners.iter().map(TcpListener::local_addr);
        Ok(Self {
            addresses: addresses.collect::<Result<_, _>>()?,
            listeners,
            options,
            counts: Arc::default(),
        })
    }

    /// Where it listens, in the order that was given, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it counts, also after [`Server::run`] has taken it.
    pub fn counts(&self) -> Arc<ServerCounts> {
        Arc::clone(&self.counts)
    }

    /// Answers until `stop` is done; then accepts nobody any more, answers what has been received, and closes. Fails when
    /// its threads cannot be started.
    pub async fn run(self, index: Index, stop: impl Future<Output = ()>) -> io::Result<()> {
        let listeners = Listeners::new(self.listeners)?;
        let service = Arc::new(Service {
            index,
            options: self.options,
            counts: self.counts,
            stop: CancellationToken::new(),
        });
        // Also when this future is dropped: then the threads drain by themselves.
        let _stop_at_end = service.stop.clone().drop_guard();
        let workers = (0..service.options.workers.get()).map(|number| Worker::start(number, &service));
        let workers: Vec<_> = workers.collect::<Result<_, _>>()?;
        tokio::select! {
            never = accept(listeners, &service, &workers) => match never {},
            () = stop => {}
        }
        service.stop.cancel();
        for worker in workers {
            worker.end().await;
        }
        Ok(())
    }
}

fn check(options: &ServerOptions) -> io::Result<()> {
    let nothing = match (options.max_connections, options.max_line_bytes) {
        (0, _) => "connection",
        (_, 0) => "byte of a line",
        _ => return Ok(()),
    };
    let message = format!("the server must be allowed at least one {nothing}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Gives each connection to the worker that has the fewest.
async fn accept(mut listeners: Listeners, service: &Service, workers: &[Worker]) -> Infallible {
    let places = Arc::new(Semaphore::new(
        service.options.max_connections.min(Semaphore::MAX_PERMITS),
    ));
    loop {
        let place = free_place(&places, &service.counts).await;
        let accepted = listeners.accept().await;
        match accepted {
            Ok(stream) => {
                if let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) {
                    worker.admit(stream, place);
                }
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; raise the limit of open files or lower the one of connections");
                service.counts.accept_failed();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn free_place(places: &Arc<Semaphore>, counts: &ServerCounts) -> OwnedSemaphorePermit {
    match Arc::clone(places).try_acquire_owned() {
        Ok(place) => return place,
        Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => counts.waited(),
    }
    Arc::clone(places)
        .acquire_owned()
        .await
        .expect("nobody closes the semaphore")
}

/// Whether the client went away before it was accepted, which says nothing about the next one.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
