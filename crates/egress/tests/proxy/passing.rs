use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egress::{Counts, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::run::{Run, exchange, finding, get, hear, until, within};
use crate::server::Server;

#[tokio::test]
async fn what_is_said_with_a_name_is_passed_and_counted() {
    let server = Server::web().await;
    let run = Run::start(finding(&[("example.gov", 80, server.address)]));
    let request = get("example.gov", "/page");
    let heard = exchange(run.connect("example.gov.", 80).await, &request).await;
    assert!(heard.ends_with("GET /page  #1"), "{heard}");
    let bytes = Counts {
        bytes_in: heard.len() as u64,
        bytes_out: request.len() as u64,
        ..Counts::default()
    };
    let counts = Counts {
        connections: 1,
        ..bytes
    };
    assert_eq!(run.stop().await, [("example.gov".to_owned(), counts)]);
}

#[tokio::test]
async fn a_side_that_has_closed_still_hears() {
    let server = Server::echo().await;
    let run = Run::start(finding(&[("echo.example", 7, server.address)]));
    let mut stream = run.connect("echo.example.", 7).await;
    stream.write_all(b"\0hello ").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(hear(&mut stream).await, "\0hello end");
}

#[tokio::test]
async fn a_server_may_speak_first_and_is_answered_at_once() {
    let server = Server::start(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        let mut word = [0; 8];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"USER me\r");
        stream.write_all(b"331 go on\r\n").await.unwrap();
    })
    .await;
    let policy = finding(&[("ftp.example", 21, server.address)]);
    for denied in ["", "denied.example"] {
        let run = Run::start(Policy {
            deny: vec![denied.to_owned()],
            ..policy.clone()
        });
        let mut stream = run.connect("ftp.example.", 21).await;
        let mut greeting = [0; 11];
        within(stream.read_exact(&mut greeting)).await.unwrap();
        let start = Instant::now();
        stream.write_all(b"USER me\r\n").await.unwrap();
        let mut answer = [0; 11];
        within(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"331 go on\r\n");
        assert!(start.elapsed() < Duration::from_secs(2), "denied: {denied:?}");
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole_in_both_directions() {
    let server = Server::echo().await;
    let run = Run::start(finding(&[("echo.example", 7, server.address)]));
    let (mut from, mut to) = run.connect("echo.example.", 7).await.into_split();
    let sent: Vec<u8> = (0..4_000_000_u32)
        .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let sending = sent.clone();
    let sender = tokio::spawn(async move {
        to.write_all(&sending).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    within(from.read_to_end(&mut heard)).await.unwrap();
    sender.await.unwrap();
    assert!(heard.strip_suffix(b"end") == Some(&sent), "the bytes differ");
    let [(_, counts)] = run.stop().await.try_into().unwrap();
    assert_eq!((counts.bytes_in, counts.bytes_out), (4_000_003, 4_000_000));
}

#[tokio::test]
async fn a_bare_address_is_counted_for_the_host_that_is_said_where_that_is_true() {
    let server = Server::web().await;
    let run = Run::start(Policy {
        allow_private: true,
        ..Policy::default()
    });
    run.finds("example.gov", &[&["127.0.0.1"]]);
    run.finds("forged.example", &[&["1.2.3.4"]]);
    for claim in ["Example.gov:80", "forged.example", "nobody.example"] {
        exchange(run.connect_to(server.address).await, &get(claim, "/")).await;
    }
    let mut silent = run.connect_to(server.address).await;
    silent.shutdown().await.unwrap();
    hear(&mut silent).await;
    let visits = run.stop().await;
    let hosts: Vec<_> = visits
        .iter()
        .map(|(host, counts)| (host.as_str(), counts.connections))
        .collect();
    assert_eq!(hosts, [("example.gov", 1), ("127.0.0.1", 3)]);
}

#[tokio::test]
async fn a_connection_that_breaks_does_not_look_complete() {
    let server = Server::start(|mut stream| async move {
        stream.write_all(b"half").await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let run = Run::start(finding(&[("broken.example", 80, server.address)]));
    let mut stream = run.connect("broken.example.", 80).await;
    let ended = within(stream.read_to_end(&mut Vec::new())).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_resets_and_is_told_once() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let run = Run::start(finding(&[("gone.example", 80, gone)]));
    for _ in 0..2 {
        let mut stream = run.connect("gone.example.", 80).await;
        let ended = within(stream.read_u8()).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let [told] = run.told().try_into().unwrap();
    assert!(
        told.starts_with(&format!("gone.example cannot be reached: {gone}: ")),
        "{told}"
    );
    assert_eq!(
        run.counts(),
        [(
            "gone.example".to_owned(),
            Counts {
                failed: 2,
                ..Counts::default()
            }
        )]
    );
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_reset() {
    let server = Server::echo().await;
    let policy = finding(&[("echo.example", 7, server.address)]);
    let run = Run::start(Policy {
        idle_timeout: Duration::from_millis(300),
        ..policy
    });
    let mut stream = run.connect("echo.example.", 7).await;
    let start = Instant::now();
    for _ in 0..4 {
        stream.write_all(b"!").await.unwrap();
        assert_eq!(within(stream.read_u8()).await.unwrap(), b'!');
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(start.elapsed() > Duration::from_millis(300));
    let ended = within(stream.read_u8()).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn connections_to_one_site_keep_their_distance_whichever_run_makes_them() {
    let server = Server::web().await;
    let hosts = ["a.slow.example", "b.slow.example", "other.example"];
    let policy = Policy {
        gap: Duration::from_secs(1),
        ..finding(&hosts.map(|host| (host, 80, server.address)))
    };
    let pace = Arc::default();
    let runs = [(); 3].map(|()| Run::sharing(policy.clone(), &pace));
    let call = async |run: &Run, host: &str| {
        exchange(run.connect(&format!("{host}."), 80).await, &get(host, "/")).await;
    };
    let start = Instant::now();
    call(&runs[0], hosts[0]).await;
    call(&runs[1], hosts[2]).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    call(&runs[2], hosts[1]).await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    let [(_, waited)] = runs[2].counts().try_into().unwrap();
    assert!(waited.waited_ms > 0 && waited.failed == 0, "{waited:?}");
    assert_eq!(runs[2].told(), [""; 0]);
}

/// A run with two connections to a site, which may have no more.
async fn two_connections(server: &Server) -> (Run, [TcpStream; 2]) {
    let run = Run::start(Policy {
        max_connections_per_site: 2,
        ..finding(&[("echo.example", 7, server.address)])
    });
    let mut streams = [
        run.connect("echo.example.", 7).await,
        run.connect("echo.example.", 7).await,
    ];
    for stream in &mut streams {
        stream.write_all(b"1").await.unwrap();
        within(stream.read_u8()).await.unwrap();
    }
    (run, streams)
}

#[tokio::test]
async fn a_connection_too_many_for_a_site_waits_until_another_ends() {
    let server = Server::echo().await;
    let (run, streams) = two_connections(&server).await;
    let mut third = run.connect("echo.example.", 7).await;
    third.write_all(b"3").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), third.read_u8()).await;
    assert!(early.is_err(), "the third connection did not wait");
    drop(streams);
    assert_eq!(within(third.read_u8()).await.unwrap(), b'3');
}

#[tokio::test]
async fn a_client_that_has_given_up_does_not_wait_for_its_turn() {
    let server = Server::echo().await;
    let (run, _streams) = two_connections(&server).await;
    let mut third = run.connect("echo.example.", 7).await;
    third.write_all(b"\x16\x03\x01").await.unwrap();
    third.shutdown().await.unwrap();
    within(third.read_u8()).await.unwrap_err();
    assert_eq!(server.met(), 2);
}

#[tokio::test]
async fn an_address_that_does_not_answer_does_not_hold_up_the_next_one() {
    // Nobody accepts at the first address, and what would wait for that is there already.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = deaf.listen(0).unwrap();
    let port = deaf.local_addr().unwrap().port();
    let _waiting = TcpStream::connect(deaf.local_addr().unwrap()).await.unwrap();
    let _server = Server::at(&format!("127.0.0.2:{port}")).await;
    let run = Run::start(Policy {
        allow_private: true,
        ..Policy::default()
    });
    run.finds("half.example", &[&["127.0.0.1", "127.0.0.2"]]);
    let start = Instant::now();
    let heard = exchange(
        run.connect("half.example.", port).await,
        &get("half.example", "/"),
    )
    .await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let server = Server::echo().await;
    let policy = finding(&[("echo.example", 7, server.address)]);
    let run = Run::start(Policy {
        max_connections: 1,
        ..policy
    });
    let mut first = run.connect("echo.example.", 7).await;
    first.write_all(b"1").await.unwrap();
    within(first.read_u8()).await.unwrap();
    let mut second = run.connect("echo.example.", 7).await;
    second.write_all(b"2").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "the second connection did not wait");
    drop(first);
    assert_eq!(within(second.read_u8()).await.unwrap(), b'2');
}

#[tokio::test]
async fn a_proxy_that_is_stopped_or_dropped_leaves_no_connection() {
    let server = Server::echo().await;
    for is_stopped in [true, false] {
        let run = Run::start(finding(&[("echo.example", 7, server.address)]));
        let mut stream = run.connect("echo.example.", 7).await;
        stream.write_all(b"1").await.unwrap();
        within(stream.read_u8()).await.unwrap();
        if is_stopped {
            run.stop().await;
        } else {
            drop(run);
        }
        assert!(within(stream.read_u8()).await.is_err());
    }
}

#[tokio::test]
async fn what_is_counted_is_seen_while_it_happens() {
    let server = Server::echo().await;
    let run = Run::start(finding(&[("echo.example", 7, server.address)]));
    let mut stream = run.connect("echo.example.", 7).await;
    for bytes in 1..4 {
        stream.write_all(b"1").await.unwrap();
        within(stream.read_u8()).await.unwrap();
        until(|| run.counts()[0].1.bytes_in == bytes).await;
    }
}
