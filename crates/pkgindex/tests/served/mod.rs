//! A server on a port of its own, and clients that speak bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pkgindex::store::{MemoryStore, Store};
use pkgindex::{Index, Options, Server, ServerCounts, ServerOptions};
use tokio::sync::oneshot;

/// A running server; stopped when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<ServerCounts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// An empty index in memory.
    pub(crate) fn start(options: ServerOptions) -> Self {
        Self::on(Box::new(MemoryStore::new()), options)
    }

    pub(crate) fn on(store: Box<dyn Store>, options: ServerOptions) -> Self {
        let index = Index::open(store, Options::default()).unwrap();
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], options).unwrap();
        let (address, counts) = (server.addresses()[0], server.counts());
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { stopped.await.unwrap_or_default() };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let thread = thread::spawn(move || runtime.block_on(server.run(index, stopped)).unwrap());
        Self {
            address,
            counts,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Tells the server to stop and does not wait for it.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits until the server has ended.
    pub(crate) fn join(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            self.join();
        }
    }
}

/// A client. What it waits for must come within ten seconds.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends and returns as many answers as newlines were sent.
    pub(crate) fn ask(&mut self, lines: impl AsRef<[u8]>) -> String {
        let lines = lines.as_ref();
        self.send(lines);
        self.answers(lines.iter().filter(|&&byte| byte == b'\n').count())
    }

    /// The next `count` answers.
    pub(crate) fn answers(&mut self, count: usize) -> String {
        let mut answers = Vec::new();
        let mut missing = count;
        let mut buffer = vec![0; 64 << 10];
        while missing > 0 {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "closed, {missing} answers are missing");
            let piece = &buffer[..length];
            missing -= piece.iter().filter(|&&byte| byte == b'\n').count();
            answers.extend_from_slice(piece);
        }
        String::from_utf8(answers).unwrap()
    }

    /// Everything up to the end of the stream.
    pub(crate) fn rest(mut self) -> String {
        let mut answers = String::new();
        self.stream.read_to_string(&mut answers).unwrap();
        answers
    }

    /// Sends its last and returns everything that comes.
    pub(crate) fn end(self) -> String {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.rest()
    }
}
