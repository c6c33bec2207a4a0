//! Servers whose certificate nobody vouches for are told nothing; those that are vouched for are told everything.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::{MailOptions, MailTls};
use registry::{DeliveryState, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::smtp::{Begin, Manners, Server};
use crate::world::{MINUTE, NOW, World, failed, plain_mail, succeeded};

fn acceptor(certificate: CertificateDer<'static>, key: Vec<u8>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A web server, and whether it ever read a byte inside TLS.
async fn web(acceptor: TlsAcceptor) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let was_trusted = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&was_trusted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let read = stream.read(&mut [0; 9000]).await;
            noted.fetch_or(read.is_ok_and(|bytes| bytes > 0), Ordering::SeqCst);
            // Whoever does not trust is gone by now.
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    (port, was_trusted)
}

fn stranger() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    acceptor(made.cert.der().clone(), made.signing_key.serialize_der())
}

#[tokio::test]
async fn webhooks_verify_certificates() {
    let (world, (port, was_trusted)) = (World::new().await, web(stranger()).await);
    let (hook, _) = world.hook(&format!("https://localhost:{port}/")).await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    let answer = world.delivery(hook).await.answer.unwrap();
    assert!(answer.contains("certificate"), "{answer}");
    assert!(!was_trusted.load(Ordering::SeqCst));
}

/// A letter to a server on this machine, with a password.
async fn send(world: &World, tls: MailTls, port: u16) {
    let options = MailOptions {
        host: "localhost".to_owned(),
        tls,
        credentials: Some(("haul".to_owned(), Secret::new("pass word"))),
        ..plain_mail(port)
    };
    world.mailer(options).send_letters(NOW).await;
}

async fn mail_server(acceptor: TlsAcceptor, begin: Begin) -> Server {
    let abilities: &[&str] = match begin {
        Begin::AtOnce => &["AUTH PLAIN"],
        Begin::WhenAsked => &["STARTTLS", "AUTH PLAIN"],
    };
    Server::start(Manners {
        abilities,
        tls: Some((acceptor, begin)),
        ..Manners::default()
    })
    .await
}

#[tokio::test]
async fn mail_verifies_certificates() {
    for (tls, begin) in [
        (MailTls::Implicit, Begin::AtOnce),
        (MailTls::StartTls, Begin::WhenAsked),
    ] {
        let (world, server) = (World::new().await, mail_server(stranger(), begin).await);
        world.add_alice().await;
        world.end(failed()).await;
        send(&world, tls, server.port).await;
        let said = server.said();
        assert!(
            said.iter()
                .all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")),
            "{said:?}"
        );
        let again = world.registry.next_letter(NOW.after(2 * MINUTE)).await;
        assert!(again.unwrap().is_some());
    }
}

/// Whom a process trusts is decided when it starts, so this one starts another.
#[test]
fn whoever_is_vouched_for_is_told_everything() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("certificate"), made.cert.der()).unwrap();
    std::fs::write(folder.path().join("key"), made.signing_key.serialize_der()).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::among_the_trusted", "--ignored"])
        .env("SSL_CERT_FILE", folder.path().join("certificate.pem"))
        .env("HAUL_TEST_TLS", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "started by whoever_is_vouched_for_is_told_everything, which says whom to trust"]
async fn among_the_trusted() {
    let folder = std::env::var_os("HAUL_TEST_TLS").unwrap();
    let read = |name| std::fs::read(Path::new(&folder).join(name)).unwrap();
    let acceptor = acceptor(CertificateDer::from(read("certificate")), read("key"));
    let (world, (port, was_trusted)) = (World::new().await, web(acceptor.clone()).await);
    let (hook, _) = world.hook(&format!("https://localhost:{port}/")).await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    let delivery = world.delivery(hook).await;
    assert_eq!(delivery.state, DeliveryState::Delivered, "{delivery:?}");
    assert!(was_trusted.load(Ordering::SeqCst));
    for (tls, begin) in [
        (MailTls::Implicit, Begin::AtOnce),
        (MailTls::StartTls, Begin::WhenAsked),
    ] {
        let (world, server) = (World::new().await, mail_server(acceptor.clone(), begin).await);
        world.add_alice().await;
        world.end(failed()).await;
        send(&world, tls, server.port).await;
        assert_eq!(server.letters().len(), 1, "{tls:?}: {:?}", server.said());
    }
}
