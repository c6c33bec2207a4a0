use std::net::SocketAddr;

use egress::{Counts, Policy};
use tokio::io::AsyncReadExt;

use crate::run::{Run, exchange, finding, get, within};
use crate::server::Server;

/// Asserts that a plain HTTP client is told why, in one sentence that begins so.
fn assert_refused(heard: &str, begin: &str) {
    let (head, body) = heard
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {heard:?}"));
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
    assert!(body.starts_with(begin) && body.ends_with('\n'), "{body}");
}

#[tokio::test]
async fn addresses_are_refused_as_numbers() {
    let run = Run::start(Policy::default());
    let private = [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "0.0.0.0",
        "198.18.200.1",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "[fd00::1]",
    ];
    for address in private {
        let target: SocketAddr = format!("{address}:80").parse().unwrap();
        let heard = exchange(run.connect_to(target).await, &get("innocent.example", "/")).await;
        let target = SocketAddr::new(target.ip().to_canonical(), 80);
        assert_refused(&heard, &format!("{target} is refused: it is a private address"));
    }
    assert_eq!(
        run.told().len(),
        private.len(),
        "some hid behind the name that they claim"
    );
}

#[tokio::test]
async fn metadata_is_refused_whatever_the_operator_allows() {
    let places = [("chosen.example", 80, "169.254.169.254:80".parse().unwrap())];
    let run = Run::start(Policy {
        allow_private: true,
        ..finding(&places)
    });
    for address in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "168.63.129.16",
        "[fe80::1]",
    ] {
        let target: SocketAddr = format!("{address}:80").parse().unwrap();
        let heard = exchange(run.connect_to(target).await, &get("innocent.example", "/")).await;
        let target = SocketAddr::new(target.ip().to_canonical(), 80);
        assert_refused(&heard, &format!("{target} is refused: the metadata"));
    }
    let stream = run.connect("chosen.example.", 80).await;
    assert_refused(
        &exchange(stream, &get("chosen.example", "/")).await,
        "chosen.example (169.254.169.254:80) is refused",
    );
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to_when_it_is_called() {
    let server = Server::web().await;
    let port = server.address.port();
    let run = Run::start(Policy::default());
    // An answer that changes between the question and the connection (DNS rebinding).
    run.finds("rebind.example", &[&["1.2.3.4"], &["127.0.0.1"]]);
    let heard = exchange(
        run.connect("rebind.example.", port).await,
        &get("rebind.example", "/"),
    )
    .await;
    assert_refused(
        &heard,
        &format!("rebind.example (127.0.0.1:{port}) is refused: it is a private address"),
    );
    for _ in 0..2 {
        exchange(
            run.connect("rebind.example.", port).await,
            &get("rebind.example", "/"),
        )
        .await;
    }
    assert_eq!(server.met(), 0);
    assert_eq!(run.told().len(), 1);
    assert_eq!(
        run.stop().await,
        [(
            "rebind.example".to_owned(),
            Counts {
                refused: 3,
                ..Counts::default()
            }
        )]
    );
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_called() {
    let server = Server::web().await;
    let run = Run::start(Policy {
        allow_private: true,
        ..Policy::default()
    });
    run.finds("mixed.example", &[&["169.254.169.254", "127.0.0.1"]]);
    let stream = run.connect("mixed.example.", server.address.port()).await;
    assert!(
        exchange(stream, &get("mixed.example", "/"))
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn this_machine_is_refused_under_its_public_address_too() {
    let run = Run::start(Policy::default());
    let stream = run.connect_to("1.1.1.1:5432".parse().unwrap()).await;
    let heard = exchange(stream, "GET / HTTP/1.0\r\n\r\n").await;
    assert_refused(
        &heard,
        "1.1.1.1:5432 is refused: it is an address of this machine",
    );
    for form in ["::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::"] {
        run.finds("mapped.example", &[&[form]]);
        let stream = run.connect("mapped.example.", 5432).await;
        let heard = exchange(stream, "GET / HTTP/1.0\r\n\r\n").await;
        assert!(
            heard.contains("is refused: it is an address of this machine"),
            "{form}: {heard}"
        );
    }
}

#[tokio::test]
async fn nobody_sends_mail() {
    let server = Server::echo().await;
    let run = Run::start(finding(&[("mx.example", 25, server.address)]));
    let mut stream = run.connect("mx.example.", 25).await;
    within(stream.read_u8()).await.unwrap_err();
    assert_eq!(server.met(), 0);
    assert_eq!(
        run.told(),
        ["mx.example:25 is refused: no mail is sent from here; use a mail service on port 587"]
    );
}

#[tokio::test]
async fn a_host_too_many_is_refused() {
    let server = Server::web().await;
    let run = Run::start(Policy {
        max_hosts: 1,
        allow_private: true,
        ..Policy::default()
    });
    exchange(run.connect_to(server.address).await, &get("127.0.0.1", "/")).await;
    let heard = exchange(
        run.connect_to("127.0.0.2:80".parse().unwrap()).await,
        &get("b", "/"),
    )
    .await;
    assert_refused(&heard, "further hosts are refused: this run has asked for 1");
    assert_eq!(server.met(), 1);
    assert_eq!(run.stop().await.len(), 1);
}

#[tokio::test]
async fn the_operator_may_say_where_an_address_is() {
    let server = Server::web().await;
    let run = Run::start(finding(&[("1.1.1.1", 80, server.address)]));
    let stream = run.connect_to("1.1.1.1:80".parse().unwrap()).await;
    assert!(
        exchange(stream, &get("1.1.1.1", "/"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(run.stop().await[0].0, "1.1.1.1");
}
