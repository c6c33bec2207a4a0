use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use egress::{Policy, Tape, TapeError, TapeLimits};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::run::{Run, exchange, finding, get, until, within};
use crate::server::{Server, serve_web};

const HOST: &str = "tape.example";

/// A run that records what a server says into a file, or one that plays it back.
struct Studio {
    folder: TempDir,
    policy: Policy,
}

impl Studio {
    fn new(server: &Server) -> Self {
        let policy = finding(&[(HOST, 80, server.address), (HOST, 443, server.address)]);
        Self {
            folder: TempDir::new().unwrap(),
            policy,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cassette")
    }

    fn recording(&self) -> Run {
        self.recording_within(TapeLimits::default())
    }

    fn recording_within(&self, limits: TapeLimits) -> Run {
        let tape = Tape::record(&self.path(), limits).unwrap();
        Run::with_tape(self.policy.clone(), Some(tape))
    }

    /// Plays back where nobody can be found.
    fn replaying(&self) -> Run {
        Run::with_tape(Policy::default(), Some(Tape::replay(&self.path()).unwrap()))
    }
}

/// The status and the body of the answer to a request.
async fn ask(run: &Run, request: &str) -> (u16, String) {
    let heard = exchange(run.connect("tape.example.", 80).await, request).await;
    let (head, body) = heard
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {heard:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn get_page(run: &Run, path: &str) -> (u16, String) {
    ask(run, &get(HOST, path)).await
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /form HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[tokio::test]
async fn what_was_recorded_is_played_back_in_its_order_without_a_network() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let run = studio.recording();
    assert_eq!(get_page(&run, "/a").await, ok("GET /a  #1"));
    assert_eq!(get_page(&run, "/b?c=d").await, ok("GET /b?c=d  #2"));
    assert_eq!(get_page(&run, "/a").await, ok("GET /a  #3"));
    assert_eq!(ask(&run, &post("x=1")).await, ok("POST /form x=1 #4"));
    assert_eq!(ask(&run, &post("x=2")).await, ok("POST /form x=2 #5"));
    let [(_, counts)] = run.stop().await.try_into().unwrap();
    assert!(
        counts.connections == 5 && counts.bytes_in > 300 && counts.bytes_out > 300,
        "{counts:?}"
    );

    let run = studio.replaying();
    assert_eq!(ask(&run, &post("x=2")).await, ok("POST /form x=2 #5"));
    assert_eq!(ask(&run, &post("x=1")).await, ok("POST /form x=1 #4"));
    for body in ["GET /a  #1", "GET /a  #3", "GET /a  #3"] {
        assert_eq!(get_page(&run, "/a").await, ok(body));
    }
    assert_eq!(get_page(&run, "/b?c=d").await, ok("GET /b?c=d  #2"));
    assert_eq!(run.stop().await[0].1.connections, 6);
    assert_eq!(server.met(), 5);
}

#[tokio::test]
async fn what_the_policy_refuses_is_refused_while_it_records() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let run = studio.recording();
    let heard = exchange(run.connect_to(server.address).await, &get("127.0.0.1", "/")).await;
    assert!(
        heard.starts_with("HTTP/1.1 403") && heard.contains("is a private address"),
        "{heard}"
    );
    let [(_, counts)] = run.stop().await.try_into().unwrap();
    assert_eq!(counts.connections + counts.failed, 0);
    assert_eq!((counts.refused, server.met()), (1, 0));
}

#[tokio::test]
async fn a_request_that_was_not_recorded_is_a_gateway_timeout_and_told_once() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    studio.recording().stop().await;
    let run = studio.replaying();
    let sentence = "GET http://tape.example/new is not in the cassette: record it again";
    for _ in 0..2 {
        assert_eq!(
            get_page(&run, "/new?key=sesame").await,
            (504, format!("{sentence}\n"))
        );
    }
    assert_eq!(run.told(), [sentence]);
    assert_eq!(run.stop().await[0].1.failed, 2);
}

#[tokio::test]
async fn answers_keep_their_headers_and_bodies_their_length() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let head = format!("HEAD /h HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let requests = [head, get(HOST, "/chunked")];
    let mut heard = Vec::new();
    for start in [Studio::recording, Studio::replaying] {
        let run = start(&studio);
        for request in &requests {
            let stream = run.connect("tape.example.", 80).await;
            heard.push(exchange(stream, request).await);
        }
        run.stop().await;
    }
    let head = "HTTP/1.1 200 OK\r\nx-odd: \u{ff}\r\nset-cookie: id=1\r\n";
    let expected = [
        format!("{head}content-length: 11\r\nconnection: close\r\n\r\n"),
        format!("{head}connection: close\r\ncontent-length: 16\r\n\r\nGET /chunked  #2"),
    ];
    assert_eq!(heard[2..], expected);
}

#[tokio::test]
async fn several_requests_of_one_connection_are_kept_apart() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    for start in [Studio::recording, Studio::replaying] {
        let run = start(&studio);
        let both = format!("GET /1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n{}", get(HOST, "/2"));
        let heard = exchange(run.connect("tape.example.", 80).await, &both).await;
        assert!(
            heard.contains("GET /1  #1") && heard.ends_with("GET /2  #2"),
            "{heard}"
        );
        run.stop().await;
    }
    assert_eq!(server.met(), 1);
}

#[tokio::test]
async fn a_denied_host_is_refused_in_every_request() {
    let server = Server::web().await;
    let mut studio = Studio::new(&server);
    studio.policy.deny = vec!["denied.example".to_owned()];
    let run = studio.recording();
    let both = format!(
        "GET /1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n{}",
        get("www.denied.example", "/2")
    );
    let heard = exchange(run.connect("tape.example.", 80).await, &both).await;
    assert!(
        heard.contains("GET /1  #1") && heard.contains("HTTP/1.1 403"),
        "{heard}"
    );
}

#[tokio::test]
async fn no_secret_of_the_run_is_in_the_cassette() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let run = studio.recording();
    let secrets = "Authorization: Bearer sesame\r\nCookie: sesame\r\nProxy-Authorization: sesame\r\nX-Api-Key: sesame\r\n";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\n{secrets}Content-Length: 6\r\nConnection: close\r\n\r\nsesame"
    );
    // The server repeats the body, so that it is seen to arrive.
    assert_eq!(
        ask(&run, &request.replace("\r\n\r\nsesame", "\r\n\r\nopened")).await,
        ok("POST / opened #1")
    );
    run.stop().await;
    let written = zstd::decode_all(fs::File::open(studio.path()).unwrap()).unwrap();
    let written = String::from_utf8_lossy(&written);
    assert!(written.contains("http://tape.example/"), "{written}");
    assert!(!written.contains("sesame"), "{written}");
}

#[tokio::test]
async fn what_is_not_http_passes_by_a_recording_and_is_refused_when_played_back() {
    let server = Server::echo().await;
    let studio = Studio::new(&server);
    let run = studio.recording();
    assert_eq!(echo(&run).await, "\0hiend");
    run.stop().await;
    let run = studio.replaying();
    assert_eq!(echo(&run).await, "");
    assert_eq!(
        run.told(),
        ["tape.example is not in the cassette, which only has HTTP"]
    );
}

async fn echo(run: &Run) -> String {
    let mut stream = run.connect("tape.example.", 80).await;
    stream.write_all(b"\0hi").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    // A refusal may reset the connection.
    let _ = within(stream.read_to_end(&mut heard)).await;
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn tls_is_recorded_from_a_server_that_is_verified_and_played_back_under_the_runs_own_authority() {
    let (server, root) = tls_server().await;
    let studio = Studio::new(&server);
    let record = |path: &Path| Tape::record_trusting(path, TapeLimits::default(), &root).unwrap();
    let replay = |path: &Path| Tape::replay(path).unwrap();
    for open in [&record as &dyn Fn(&Path) -> Tape, &replay] {
        let tape = open(&studio.path());
        let trust = tape.trust();
        let run = Run::with_tape(studio.policy.clone(), Some(tape));
        let heard = ask_tls(&run, &trust.bundle_pem).await.unwrap();
        assert!(heard.ends_with("GET /secure  #1"), "{heard}");
        run.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_recorded() {
    let (server, _) = tls_server().await;
    let studio = Studio::new(&server);
    let tape = Tape::record(&studio.path(), TapeLimits::default()).unwrap();
    let trust = tape.trust();
    let run = Run::with_tape(studio.policy.clone(), Some(tape));
    assert!(ask_tls(&run, &trust.bundle_pem).await.is_err());
    let [told] = run.told().try_into().unwrap();
    assert!(
        told.starts_with("https://tape.example/secure did not answer: invalid peer certificate"),
        "{told}"
    );
}

/// A server with a certificate for the host, and the authority that signed it.
async fn tls_server() -> (Server, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([HOST.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_web(stream, Arc::default()).await;
            }
        }
    });
    (server.await, issuer.pem())
}

async fn ask_tls(run: &Run, trusted: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = run.connect("tape.example.", 443).await;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = within(connector.connect(ServerName::try_from(HOST).unwrap(), stream)).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(get(HOST, "/secure").as_bytes()).await?;
    let mut heard = String::new();
    within(stream.read_to_string(&mut heard)).await?;
    Ok(heard)
}

#[tokio::test]
async fn a_recording_that_was_killed_plays_what_was_whole() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let run = studio.recording();
    get_page(&run, "/1").await;
    let whole = fs::metadata(studio.path()).unwrap().len();
    get_page(&run, "/2").await;
    run.stop().await;
    let all = fs::read(studio.path()).unwrap();
    for length in usize::try_from(whole).unwrap()..all.len() {
        fs::write(studio.path(), &all[..length]).unwrap();
        Tape::replay(&studio.path()).unwrap_or_else(|error| panic!("at {length}: {error}"));
    }
    let run = studio.replaying();
    assert_eq!(get_page(&run, "/1").await, ok("GET /1  #1"));
    assert_eq!(get_page(&run, "/2").await.0, 504);
}

#[tokio::test]
async fn a_full_cassette_plays_what_it_has_and_the_run_goes_on() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let file_bytes = 1_000;
    let run = studio.recording_within(TapeLimits {
        file_bytes,
        ..TapeLimits::default()
    });
    for number in 1..=20 {
        assert_eq!(get_page(&run, "/a").await, ok(&format!("GET /a  #{number}")));
    }
    assert_eq!(
        run.told(),
        ["the cassette is full: it lacks http://tape.example/a, and what follows"]
    );
    assert_eq!(run.stop().await[0].1.failed, 0);
    assert!(fs::metadata(studio.path()).unwrap().len() <= file_bytes);
    let run = studio.replaying();
    assert_eq!(get_page(&run, "/a").await, ok("GET /a  #1"));
    assert_eq!(get_page(&run, "/a").await, ok("GET /a  #2"));
}

#[tokio::test]
async fn bodies_have_as_much_memory_as_the_tape_may_take() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    let run = studio.recording_within(TapeLimits {
        memory_bytes: 1_500_000,
        ..TapeLimits::default()
    });
    let [small, large, larger] = [100_000, 700_000, 950_000].map(|bytes| post(&"a".repeat(bytes)));
    let mut first = run.connect("tape.example.", 80).await;
    let (most, end) = large.split_at(large.len() - 1);
    first.write_all(most.as_bytes()).await.unwrap();
    let taken = |run: &Run| run.counts().first().map_or(0, |(_, counts)| counts.bytes_out);
    until(|| taken(&run) >= most.len() as u64).await;
    let (status, sentence) = ask(&run, &larger).await;
    assert_eq!(
        (status, sentence.as_str()),
        (
            413,
            "a request cannot be taken: what is recorded at a time may have 1 MiB; ask for less at once\n"
        )
    );
    assert_eq!(ask(&run, &small).await.0, 200);
    let heard = exchange(first, end).await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{}", &heard[..100]);
    assert_eq!(
        ask(&run, &small).await.0,
        200,
        "what was answered has no room any more"
    );
    assert_eq!(server.met(), 3);
}

#[tokio::test]
async fn a_client_that_is_slow_to_speak_is_recorded_and_played_back() {
    let server = Server::web().await;
    let studio = Studio::new(&server);
    for start in [Studio::recording, Studio::replaying] {
        let run = start(&studio);
        let stream = run.connect("tape.example.", 80).await;
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(8)).await;
        tokio::time::resume();
        let heard = exchange(stream, &get(HOST, "/slow")).await;
        assert!(heard.ends_with("GET /slow  #1"), "{heard}");
        run.stop().await;
    }
    assert_eq!(server.met(), 1);
}

#[test]
fn what_is_no_cassette_is_called_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cassette");
    let frame = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    let cases = [
        (Vec::new(), "it does not begin like one"),
        (b"<html>".to_vec(), "it does not begin like one"),
        (
            frame("{\"cassette\":2}\n"),
            "its format is 2, and this version reads 1; record it again",
        ),
        (
            [frame("{\"cassette\":1}\n"), frame("?")].concat(),
            "expected value at line 1 column 1",
        ),
    ];
    for (bytes, reason) in cases {
        fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        check_damaged(&path, reason);
    }
    assert!(matches!(
        Tape::replay(&folder.path().join("none")),
        Err(TapeError::Io { .. })
    ));
}

fn check_damaged(path: &Path, expected: &str) {
    match Tape::replay(path) {
        Err(TapeError::Damaged { reason, .. }) => assert_eq!(reason, expected),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken, and should not be: {expected}"),
    }
}

/// Format 1 will be readable by every later release. The fixture was recorded by the first one that wrote it.
#[tokio::test]
async fn format_1_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cassettes/v1.cassette");
    let run = Run::with_tape(Policy::default(), Some(Tape::replay(&path).unwrap()));
    assert_eq!(get_page(&run, "/a").await, ok("GET /a  #1"));
    assert_eq!(get_page(&run, "/a").await, ok("GET /a  #3"));
    assert_eq!(ask(&run, &post("x=1")).await, ok("POST /form x=1 #4"));
}
