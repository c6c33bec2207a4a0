//! A running origin: its listeners, its connections, and the handle that owns them.

use crate::checksums::Checksums;
use crate::config::Config;
use crate::connection;
use crate::locks::lock;
use crate::pattern::Pattern;
use crate::stats::Counters;
use crate::store::{Bucket, Due, Settings, Store};
use crate::{Faults, Object, Rule, Shaping, Stats};
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Connections that the kernel may hold until they are accepted; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A connection's thread needs little: its buffers are on the heap.
const STACK_BYTES: usize = 256 << 10;

/// How long to leave `accept` alone after it failed, for example because no descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A running server; dropped, it is gone.
pub struct Origin {
    server: Arc<Server>,
    listeners: Vec<Arc<TcpListener>>,
    addresses: Vec<SocketAddr>,
    acceptors: Vec<JoinHandle<()>>,
}

/// What all threads of a server share.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    pub(crate) checksums: Checksums,
    pub(crate) access_key: Option<String>,
    pub(crate) accept_delay: Duration,
    pub(crate) pattern: Arc<Pattern>,
    max_connections: usize,
    connections: Mutex<Connections>,
}

/// The connections that are open.
#[derive(Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, Connection>,
    /// Threads that have done their last work; joined when the next connection comes.
    ended: Vec<JoinHandle<()>>,
}

struct Connection {
    stream: Arc<TcpStream>,
    thread: JoinHandle<()>,
}

impl Origin {
    /// Binds and begins to serve.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound, a thread not started, or the memory file not created.
    pub fn start(config: Config) -> io::Result<Self> {
        let listeners = listen(&config.listen)?;
        let addresses = listeners
            .iter()
            .map(|listener| listener.local_addr())
            .collect::<io::Result<_>>()?;
        let mut origin = Self {
            server: Arc::new(Server::new(config)?),
            listeners,
            addresses,
            acceptors: Vec::new(),
        };
        for listener in &origin.listeners {
            let (server, listener) = (origin.server.clone(), listener.clone());
            let acceptor = thread::Builder::new()
                .name("origin accept".to_owned())
                .stack_size(STACK_BYTES);
            origin
                .acceptors
                .push(acceptor.spawn(move || accept(&server, &listener))?);
        }
        Ok(origin)
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses, in the order of [`Config::listen`].
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// `http://` and the first address, without a slash at the end: the endpoint of path-style requests.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Makes a bucket, if it is not there.
    pub fn create_bucket(&self, bucket: &str) {
        self.bucket(bucket);
    }

    /// Removes a bucket with its objects, settings and what it remembers of requests.
    pub fn remove_bucket(&self, bucket: &str) {
        self.server.store.remove(bucket);
    }

    /// Adds or overwrites an object, making its bucket if needed.
    pub fn put(&self, bucket: &str, key: &str, object: Object) {
        self.bucket(bucket).put(key, object);
    }

    /// Adds many objects; those that were there are forgotten. A million take about a second.
    pub fn put_many(&self, bucket: &str, objects: impl IntoIterator<Item = (String, Object)>) {
        self.bucket(bucket).put_many(objects.into_iter());
    }

    /// Overwrites an object when `requests` more requests for it were read: the next one is the first of the new version.
    pub fn put_after_requests(&self, bucket: &str, key: &str, requests: u64, object: Object) {
        self.bucket(bucket).schedule(key, object, Due::Requests(requests));
    }

    /// Overwrites an object `delay` from now.
    pub fn put_after(&self, bucket: &str, key: &str, delay: Duration, object: Object) {
        self.bucket(bucket).schedule(key, object, Due::At(now() + delay));
    }

    /// Removes an object and tells what it was.
    pub fn remove(&self, bucket: &str, key: &str) -> Option<Object> {
        self.server.store.find(bucket)?.remove(key)
    }

    /// The object as it is now.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        self.caught_up(bucket)?.object(key)
    }

    /// Every version of an object, oldest first, the present one last; at most the last 65.
    #[must_use]
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<Object> {
        self.caught_up(bucket)
            .map(|bucket| bucket.versions(key))
            .unwrap_or_default()
    }

    /// Changes the delays and rates of a bucket, from its next request on.
    pub fn set_shaping(&self, bucket: &str, shaping: Shaping) {
        self.bucket(bucket).change(|settings| settings.shaping = shaping);
    }

    /// Changes the faults of a bucket; which requests were seen is forgotten.
    pub fn set_faults(&self, bucket: &str, faults: Faults) {
        self.bucket(bucket).change(|settings| settings.faults = faults);
    }

    /// Changes the rules of a bucket; they begin to count anew.
    pub fn set_rules(&self, bucket: &str, rules: Vec<Rule>) {
        self.bucket(bucket).change(|settings| settings.rules = rules);
    }

    /// What was counted since the start or the last reset.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.server.counters.read()
    }

    /// Begins to count anew.
    pub fn reset_stats(&self) {
        self.server.counters.reset();
    }

    /// Bytes of an object that were sent more than once, version by version; 0 unless
    /// [`Duplicates::Counted`](crate::Duplicates::Counted).
    #[must_use]
    pub fn duplicate_bytes(&self, bucket: &str, key: &str) -> u64 {
        self.server.counters.duplicate_bytes(bucket, key)
    }

    fn bucket(&self, name: &str) -> Arc<Bucket> {
        self.server.store.find_or_create(name)
    }

    fn caught_up(&self, name: &str) -> Option<Arc<Bucket>> {
        let bucket = self.server.store.find(name)?;
        bucket.catch_up(now(), None);
        Some(bucket)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        for listener in &self.listeners {
            // Wakes `accept`, which then fails.
            _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
        }
        join(self.acceptors.drain(..));
        self.server.close_connections();
    }
}

impl Server {
    fn new(config: Config) -> io::Result<Self> {
        let settings = Settings {
            shaping: config.shaping,
            faults: config.faults,
            rules: config.rules,
        };
        Ok(Self {
            store: Store::new(settings),
            counters: Counters::new(config.duplicates),
            checksums: Checksums::default(),
            access_key: config.access_key,
            accept_delay: config.accept_delay,
            pattern: Pattern::shared()?,
            max_connections: config.max_connections,
            connections: Mutex::default(),
        })
    }

    /// Gives a connection its thread. One too many, or one that gets no thread, is closed.
    fn open(self: &Arc<Self>, stream: TcpStream, address: &str) {
        let mut connections = self.connections();
        join(connections.ended.drain(..));
        if connections.open.len() >= self.max_connections {
            return;
        }
        let (id, stream) = (connections.next, Arc::new(stream));
        let (server, its_stream) = (self.clone(), stream.clone());
        let serve = move || {
            connection::serve(&server, &its_stream);
            drop(its_stream);
            server.forget(id);
        };
        let thread = thread::Builder::new()
            .name("origin".to_owned())
            .stack_size(STACK_BYTES);
        // Counted first: the thread may be quicker than this one.
        self.counters.connection_opened(address);
        match thread.spawn(serve) {
            Ok(thread) => _ = connections.open.insert(id, Connection { stream, thread }),
            Err(_) => self.counters.connection_closed(),
        }
        connections.next += 1;
    }

    /// What a connection's thread does last.
    fn forget(&self, id: u64) {
        let mut connections = self.connections();
        if let Some(Connection { stream, thread }) = connections.open.remove(&id) {
            drop(stream);
            connections.ended.push(thread);
        }
        self.counters.connection_closed();
    }

    fn close_connections(&self) {
        let Connections { open, ended, .. } = std::mem::take(&mut *self.connections());
        for connection in open.values() {
            _ = connection.stream.shutdown(Shutdown::Both);
        }
        join(
            ended
                .into_iter()
                .chain(open.into_values().map(|connection| connection.thread)),
        );
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        lock(&self.connections)
    }
}

/// Binds all addresses; port 0 of a later one is the port of the first.
fn listen(addresses: &[SocketAddr]) -> io::Result<Vec<Arc<TcpListener>>> {
    let mut listeners: Vec<Arc<TcpListener>> = Vec::new();
    for address in addresses {
        let mut address = *address;
        if let (0, Some(first)) = (address.port(), listeners.first()) {
            address.set_port(first.local_addr()?.port());
        }
        let listener = TcpListener::bind(address)?;
        rustix::net::listen(&listener, BACKLOG)?;
        listeners.push(Arc::new(listener));
    }
    if listeners.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no address to listen on; name at least one",
        ));
    }
    Ok(listeners)
}

/// Waits for threads to end; one that panicked has ended too.
fn join(threads: impl Iterator<Item = JoinHandle<()>>) {
    for thread in threads {
        _ = thread.join();
    }
}

/// Accepts until the listener is shut down.
fn accept(server: &Arc<Server>, listener: &TcpListener) {
    let address = listener
        .local_addr()
        .map(|address| address.to_string())
        .unwrap_or_default();
    loop {
        match listener.accept() {
            Ok((stream, _)) => server.open(stream, &address),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// The one place that reads the clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}
