use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use egress::{Counts, Outside, Pace, Policy, Proxy, Resolve, Sockets, Tape};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What the proxy believes of the machine.
#[derive(Default)]
pub(crate) struct World {
    /// Where connections wanted to go, by where they come from.
    targets: Mutex<HashMap<SocketAddr, SocketAddr>>,
    /// What a name's lookups find, one after the other; the last one again and again.
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    lookups: AtomicUsize,
}

struct Shared(Arc<World>);

#[async_trait]
impl Outside for Shared {
    fn target(&self, connection: &TcpStream) -> io::Result<SocketAddr> {
        let client = connection.peer_addr()?;
        Ok(self.0.targets.lock().unwrap()[&client])
    }

    /// Nobody ever answers for what is below `stuck`.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.0.lookups.fetch_add(1, Ordering::SeqCst);
        if name.ends_with(".stuck") {
            std::future::pending::<()>().await;
        }
        let mut answers = self.0.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        if answers.len() > 1 {
            return Ok(answers.pop_front().unwrap());
        }
        Ok(answers[0].clone())
    }

    fn own(&self) -> Vec<IpAddr> {
        vec!["1.1.1.1".parse().unwrap()]
    }
}

/// A run whose traffic goes through a proxy.
pub(crate) struct Run {
    proxy: Proxy,
    world: Arc<World>,
    front: SocketAddr,
    names: SocketAddr,
    names_tcp: SocketAddr,
    told: Arc<Mutex<Vec<String>>>,
}

impl Run {
    pub(crate) fn start(policy: Policy) -> Self {
        Self::with_tape(policy, None)
    }

    pub(crate) fn with_tape(policy: Policy, tape: Option<Tape>) -> Self {
        Self::begin(policy, Arc::default(), tape)
    }

    /// A run that calls sites together with others.
    pub(crate) fn sharing(policy: Policy, pace: &Arc<Pace>) -> Self {
        Self::begin(policy, pace.clone(), None)
    }

    fn begin(policy: Policy, pace: Arc<Pace>, tape: Option<Tape>) -> Self {
        let sockets = Sockets {
            connections: TcpListener::bind("127.0.0.1:0").unwrap(),
            names: UdpSocket::bind("127.0.0.1:0").unwrap(),
            names_tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
        };
        let front = sockets.connections.local_addr().unwrap();
        let names = sockets.names.local_addr().unwrap();
        let names_tcp = sockets.names_tcp.local_addr().unwrap();
        let world = Arc::new(World::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let hear = told.clone();
        let refused = Arc::new(move |sentence: &str| hear.lock().unwrap().push(sentence.to_owned()));
        let proxy = Proxy::start_with(Shared(world.clone()), sockets, policy, pace, tape, refused).unwrap();
        Self {
            proxy,
            world,
            front,
            names,
            names_tcp,
            told,
        }
    }

    /// Lets lookups of a name find these addresses, one list after the other.
    pub(crate) fn finds(&self, name: &str, answers: &[&[&str]]) {
        let parse = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.world
            .answers
            .lock()
            .unwrap()
            .insert(name.to_owned(), answers);
    }

    /// How many names were looked up so far.
    pub(crate) fn lookups(&self) -> usize {
        self.world.lookups.load(Ordering::SeqCst)
    }

    /// Sends bytes as a question for a name and returns the bytes of the answer.
    pub(crate) async fn datagram(&self, question: &[u8]) -> Vec<u8> {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(question, self.names).await.unwrap();
        let mut answer = vec![0; 4096];
        let (length, _) = within(socket.recv_from(&mut answer)).await.unwrap();
        answer.truncate(length);
        answer
    }

    /// Where questions for names go.
    pub(crate) fn names(&self) -> SocketAddr {
        self.names
    }

    pub(crate) async fn query(&self, name: &str, kind: RecordType) -> Message {
        let answer = self.datagram(&question(name, kind).to_vec().unwrap()).await;
        Message::from_vec(&answer).unwrap()
    }

    pub(crate) async fn query_tcp(&self, name: &str) -> Message {
        let question = question(name, RecordType::A).to_vec().unwrap();
        let mut stream = TcpStream::connect(self.names_tcp).await.unwrap();
        stream
            .write_u16(question.len().try_into().unwrap())
            .await
            .unwrap();
        stream.write_all(&question).await.unwrap();
        let mut answer = vec![0; within(stream.read_u16()).await.unwrap().into()];
        within(stream.read_exact(&mut answer)).await.unwrap();
        Message::from_vec(&answer).unwrap()
    }

    /// The address of a name, as `getaddrinfo` would find it.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Ipv4Addr, ResponseCode> {
        let answer = self.query(name, RecordType::A).await;
        match answer.answers.first().map(|record| &record.data) {
            Some(RData::A(address)) => Ok(address.0),
            _ => Err(answer.metadata.response_code),
        }
    }

    /// A connection that believes that it goes to this address.
    pub(crate) async fn connect_to(&self, target: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = socket.local_addr().unwrap();
        self.world.targets.lock().unwrap().insert(client, target);
        socket.connect(self.front).await.unwrap()
    }

    /// A connection to a name.
    pub(crate) async fn connect(&self, name: &str, port: u16) -> TcpStream {
        let address = self.resolve(name).await.unwrap();
        self.connect_to((address, port).into()).await
    }

    /// What was told to the run's log.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Hosts and their figures so far.
    pub(crate) fn counts(&self) -> Vec<(String, Counts)> {
        self.proxy
            .visits()
            .into_iter()
            .map(|visit| (visit.host, visit.counts))
            .collect()
    }

    pub(crate) async fn stop(self) -> Vec<(String, Counts)> {
        let visits = within(self.proxy.stop()).await;
        visits
            .into_iter()
            .map(|visit| (visit.host, visit.counts))
            .collect()
    }
}

pub(crate) fn question(name: &str, kind: RecordType) -> Message {
    let labels = name
        .split('.')
        .filter(|label| !label.is_empty())
        .map(str::as_bytes);
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_labels(labels).unwrap(), kind));
    question
}

/// A policy under which names are found at servers of the test.
pub(crate) fn finding(places: &[(&str, u16, SocketAddr)]) -> Policy {
    let resolve = places.iter().map(|(host, port, address)| Resolve {
        host: (*host).to_owned(),
        port: *port,
        address: *address,
    });
    Policy {
        resolve: resolve.collect(),
        ..Policy::default()
    }
}

/// What a client hears until the other side closes.
pub(crate) async fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    within(stream.read_to_end(&mut heard)).await.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// Says something and hears the answer.
pub(crate) async fn exchange(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    hear(&mut stream).await
}

/// A request for a page, after which the server closes.
pub(crate) fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// Everything here is done in ten seconds or never.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("it takes too long")
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
