//! Calls of webhooks.

use std::time::{Duration, SystemTime};

use notify::signature;
use registry::{DeliveryState, Keyring, Registry};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::http::Server;
use crate::world::{DAY, MINUTE, NOW, World, failed, notifier, succeeded};

#[tokio::test]
async fn a_call_says_what_happened_and_proves_who_says_it() {
    let (world, mut server) = (World::new().await, Server::ok().await);
    let (hook, key) = world.hook(&server.url("/hook")).await;
    let run = world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    let request = server.next().await;
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(
        request.header("x-haul-signature-256"),
        signature(key.reveal(), &request.body)
    );
    let delivery = world.delivery(hook).await;
    assert_eq!(request.header("x-haul-delivery"), delivery.id.to_string());
    assert_eq!(
        (delivery.state, delivery.answer.as_deref()),
        (DeliveryState::Delivered, Some("200 OK"))
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "delivery": delivery.id,
        "scraper": "Alice/Parks",
        "run": run.0,
        "url": format!("https://haul.example.gov/runs/{run}"),
        "outcome": "succeeded",
        "exit_code": 0,
        "status_code": 0,
        "message": "done",
        "cause": {"kind": "person", "by": "Alice"},
        "queued_at": "2027-01-15T08:00:00Z",
        "started_at": null,
        "finished_at": "2027-01-15T08:00:00Z",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "language": null,
        "version": null,
        "rows": {"added": 12, "removed": 2, "changed": 3, "unchanged": 80},
        "tables": {
            "data": {"added": 7, "removed": 1, "changed": 0, "unchanged": 40},
            "places": {"added": 5, "removed": 1, "changed": 3, "unchanged": 40},
        },
        "usage": {"wall_ms": 61_999, "cpu_ms": 5, "peak_memory_bytes": 1_048_576, "disk_bytes": 9},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn words_in_the_address_arrive_replaced() {
    let (world, mut server) = (World::new().await, Server::ok().await);
    world
        .hook(&server.url("/SCRAPER?added=ADDED&outcome=OUTCOME"))
        .await;
    world.end(failed()).await;
    world.caller().make_calls(NOW).await;
    assert_eq!(
        server.next().await.line,
        "POST /Alice%2FParks?added=0&outcome=failed HTTP/1.1"
    );
}

#[tokio::test]
async fn what_is_not_taken_is_tried_six_times() {
    let (world, mut server) = (
        World::new().await,
        Server::start("HTTP/1.1 500 Oops\r\n\r\n").await,
    );
    let (hook, _) = world.hook(&server.url("/")).await;
    world.end(succeeded()).await;
    let caller = world.caller();
    let mut now = NOW;
    for (tries, pause) in [(1, 60), (2, 300), (3, 1800), (4, 7200), (5, 28_800)] {
        caller.make_calls(now).await;
        let delivery = world.delivery(hook).await;
        assert_eq!((delivery.state, delivery.tries), (DeliveryState::Waiting, tries));
        assert_eq!(delivery.answer.as_deref(), Some("500 Internal Server Error"));
        let waits = delivery.due_at.since(now);
        let pause = Duration::from_secs(pause);
        assert!(
            (pause..=pause.mul_f64(1.1)).contains(&waits),
            "{tries}: {waits:?}"
        );
        now = delivery.due_at;
    }
    caller.make_calls(now).await;
    assert_eq!(world.delivery(hook).await.state, DeliveryState::GivenUp);
    caller.make_calls(now.after(DAY)).await;
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (world, mut elsewhere) = (World::new().await, Server::ok().await);
    let answer = format!(
        "HTTP/1.1 307 There\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url("/")
    );
    let server = Server::start(answer).await;
    let (hook, _) = world.hook(&server.url("/")).await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    assert_eq!(
        world.delivery(hook).await.answer.as_deref(),
        Some("307 Temporary Redirect")
    );
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn the_rest_of_an_answer_is_not_waited_for() {
    let (world, server) = (World::new().await, Server::start(endless()).await);
    let (hook, _) = world.hook(&server.url("/")).await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    assert_eq!(world.delivery(hook).await.state, DeliveryState::Delivered);
}

/// More is announced than comes.
fn endless() -> &'static str {
    "HTTP/1.1 202 Accepted\r\ncontent-length: 1000000000000\r\n\r\nsome"
}

#[tokio::test]
async fn nobody_there_is_said_without_the_address() {
    let world = World::new().await;
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let (hook, _) = world
        .hook(&format!("http://127.0.0.1:{port}/token-in-the-path"))
        .await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    let answer = world.delivery(hook).await.answer.unwrap();
    assert!(
        answer.contains("refused") && !answer.contains("token-in-the-path"),
        "{answer}"
    );
}

/// Time passes at once where everybody waits.
#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_left_after_a_while() {
    let (world, server) = (World::new().await, Server::start("").await);
    let (hook, _) = world.hook(&server.url("/")).await;
    world.end(succeeded()).await;
    let begun = tokio::time::Instant::now();
    world.caller().make_calls(NOW).await;
    assert!(
        begun.elapsed() <= Duration::from_secs(21),
        "{:?}",
        begun.elapsed()
    );
    let delivery = world.delivery(hook).await;
    assert_eq!(delivery.state, DeliveryState::Waiting);
    let answer = delivery.answer.unwrap();
    assert!(answer.contains("timed out"), "{answer}");
}

#[tokio::test]
async fn private_addresses_are_refused_before_anything_is_sent() {
    let (world, mut server) = (World::new().await, Server::ok().await);
    let port = server.port;
    let mut hooks = Vec::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "0.0.0.0",
    ] {
        hooks.push(world.hook(&format!("http://{host}:{port}/")).await.0);
    }
    world.end(succeeded()).await;
    world.notifier(false, None).make_calls(NOW).await;
    for hook in hooks {
        let delivery = world.delivery(hook).await;
        assert_eq!(delivery.state, DeliveryState::Waiting);
        assert!(
            delivery.answer.as_ref().unwrap().contains("is a private address"),
            "{delivery:?}"
        );
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn the_machines_credentials_are_never_asked_for() {
    let world = World::new().await;
    let (hook, _) = world.hook("http://169.254.169.254/latest/meta-data/").await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    let answer = world.delivery(hook).await.answer.unwrap();
    assert!(answer.contains("private address"), "{answer}");
}

#[tokio::test]
async fn names_of_this_machine_are_called_where_it_is_allowed() {
    let (world, mut server) = (World::new().await, Server::ok().await);
    world.hook(&format!("http://localhost:{}/", server.port)).await;
    world.end(succeeded()).await;
    world.caller().make_calls(NOW).await;
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_crash_before_the_note_makes_the_same_call_again() {
    let (world, mut hanging) = (World::new().await, Server::start("").await);
    let (hook, _) = world.hook(&hanging.url("/")).await;
    world.end(succeeded()).await;
    let caller = world.caller();
    let first = tokio::select! {
        () = caller.make_calls(NOW) => panic!("nobody answered"),
        request = hanging.next() => request,
    };
    caller.make_calls(NOW.after(MINUTE / 2)).await;
    assert_eq!(hanging.seen().len(), 0, "it is still reserved");
    let second = tokio::select! {
        () = caller.make_calls(NOW.after(MINUTE)) => panic!("nobody answered"),
        request = hanging.next() => request,
    };
    assert_eq!(first.header("x-haul-delivery"), second.header("x-haul-delivery"));
    assert_eq!(first.body, second.body);
    assert_eq!(world.delivery(hook).await.tries, 2);
}

#[tokio::test]
async fn a_call_can_be_made_once_more() {
    let (world, mut server) = (World::new().await, Server::ok().await);
    let (hook, _) = world.hook(&server.url("/")).await;
    world.end(succeeded()).await;
    let caller = world.caller();
    caller.make_calls(NOW).await;
    let first = server.next().await;
    let delivery = world.delivery(hook).await.id;
    world
        .registry
        .redeliver(&world.scraper, delivery, NOW.after(DAY))
        .await
        .unwrap();
    caller.make_calls(NOW.after(DAY)).await;
    assert_eq!(server.next().await.body, first.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn several_processes_make_each_call_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let keyring = Keyring::open(&folder.path().join("keyring")).unwrap();
        Registry::open(&folder.path().join("registry.sqlite"), keyring).unwrap()
    };
    let (world, mut server) = (World::with(open()).await, Server::ok().await);
    for number in 0..20 {
        world.hook(&server.url(&format!("/{number}"))).await;
    }
    world.end(succeeded()).await;
    let calls = [open(), open(), open()].map(|registry| {
        let notifier = notifier(registry, true, None);
        tokio::spawn(async move { notifier.make_calls(NOW).await })
    });
    for calls in calls {
        calls.await.unwrap();
    }
    let mut lines: Vec<_> = server.seen().into_iter().map(|request| request.line).collect();
    assert_eq!(lines.len(), 20);
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 20);
}

#[tokio::test]
async fn a_running_notifier_makes_calls_until_it_is_stopped() {
    let (world, mut server) = (World::new().await, Server::ok().await);
    let (hook, _) = world.hook(&server.url("/")).await;
    let (notifier, stop) = (world.caller(), CancellationToken::new());
    let work = async {
        world.end_at(succeeded(), SystemTime::now().into()).await;
        server.next().await;
        stop.cancel();
    };
    tokio::join!(notifier.run(stop.clone()), work);
    assert_eq!(world.delivery(hook).await.state, DeliveryState::Delivered);
}
