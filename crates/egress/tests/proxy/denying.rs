use std::sync::Arc;
use std::time::Duration;

use egress::Policy;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::run::{Run, exchange, finding, get, until, within};
use crate::server::Server;

fn denying(places: &[(&str, u16, std::net::SocketAddr)]) -> Policy {
    Policy {
        deny: vec!["denied.example".to_owned()],
        ..finding(places)
    }
}

/// Shakes hands under a name, and returns why that failed.
async fn tls_error(run: &Run, name: &str, sni: &'static str) -> std::io::Error {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let stream = run.connect(name, 443).await;
    let connector = TlsConnector::from(Arc::new(config));
    within(connector.connect(ServerName::try_from(sni).unwrap(), stream))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_denied_name_is_not_even_looked_up() {
    let run = Run::start(denying(&[]));
    let heard = exchange(
        run.connect("www.denied.example.", 80).await,
        &get("www.denied.example", "/"),
    )
    .await;
    assert!(heard.starts_with("HTTP/1.1 403"), "{heard}");
    assert_eq!(
        run.told(),
        ["www.denied.example is refused: the operator denies denied.example"]
    );
}

#[tokio::test]
async fn a_denied_name_is_not_reached_through_another_ones_server() {
    let server = Server::web().await;
    let run = Run::start(denying(&[("front.example", 80, server.address)]));
    let heard = exchange(
        run.connect("front.example.", 80).await,
        &get("DENIED.example", "/"),
    )
    .await;
    assert!(heard.starts_with("HTTP/1.1 403"), "{heard}");
    let absolute = "GET http://denied.example/ HTTP/1.1\r\nHost: front.example\r\n\r\n";
    let heard = exchange(run.connect("front.example.", 80).await, absolute).await;
    assert!(heard.starts_with("HTTP/1.1 403"), "{heard}");
    assert_eq!(run.counts()[0].1.refused, 2);
}

#[tokio::test]
async fn a_client_of_tls_hears_an_alert() {
    let server = Server::start(|mut stream| async move {
        // It must not hear the hello.
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    })
    .await;
    let run = Run::start(denying(&[("front.example", 443, server.address)]));
    for (name, sni) in [
        ("front.example.", "denied.example"),
        ("denied.example.", "front.example"),
    ] {
        let error = tls_error(&run, name, sni).await;
        assert!(error.to_string().contains("AccessDenied"), "{error}");
    }
}

/// A connection to a host that is not denied, which the server has taken, in a time that passes by itself.
async fn connected(server: &Server) -> (Run, TcpStream) {
    let run = Run::start(denying(&[("front.example", 80, server.address)]));
    let stream = run.connect("front.example.", 80).await;
    until(|| server.met() == 1).await;
    tokio::time::pause();
    (run, stream)
}

#[tokio::test]
async fn a_denied_name_that_is_said_late_is_refused_as_well() {
    let server = Server::web().await;
    let (_run, stream) = connected(&server).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let heard = exchange(stream, &get("denied.example", "/")).await;
    assert!(heard.starts_with("HTTP/1.1 403"), "{heard}");
}

#[tokio::test]
async fn a_request_that_never_says_whom_it_calls_is_refused() {
    let server = Server::web().await;
    let (run, mut stream) = connected(&server).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: den").await.unwrap();
    // As soon as nothing more can happen, time goes on to where it does.
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert_eq!(String::from_utf8_lossy(&heard), "");
    assert_eq!(
        run.told(),
        [
            "front.example is refused: the connection does not say in time whom it calls, and the operator denies some hosts"
        ]
    );
}
