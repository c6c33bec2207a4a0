//! A server whose certificate nobody vouches for.

use std::sync::Arc;
use std::time::Instant;

use crawldb::{CrawlStatus, ItemErrorKind};
use model::PageUrl;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::site::Site;
use crate::world::World;

/// A TLS server with a certificate of its own making; gives its port.
async fn self_signed() -> u16 {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["site.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // The client hangs up when it sees the certificate.
            let _ = acceptor.accept(socket).await;
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_named_at_once() {
    let port = self_signed().await;
    let unused = Site::default().serve().await;
    let mut world = World::new(&unused, |site| {
        site.start = vec![PageUrl::parse(&format!("https://site.test:{port}/")).unwrap()];
        site.resolve = vec![format!("site.test:{port}:127.0.0.1")];
    })
    .await;
    world.options.robots_patience = std::time::Duration::from_secs(3_600);
    let begun = Instant::now();
    let crawl = world.crawl().await;
    assert!(
        begun.elapsed().as_secs() < 10,
        "a certificate does not get better by waiting"
    );
    assert_eq!(crawl.status, CrawlStatus::Failed);
    let item = world.all_items().await.remove(0);
    let error = item.last_error.unwrap();
    assert_eq!(error.kind, ItemErrorKind::Tls, "{}", error.message);
    assert!(error.message.contains("certificate"), "{}", error.message);
}
