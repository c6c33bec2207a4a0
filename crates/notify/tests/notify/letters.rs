//! Letters about runs.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use notify::{MailOptions, MailTls, Notifier, NotifyError, NotifyOptions};
use registry::Secret;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::smtp::{Manners, Server};
use crate::world::{BASE, DAY, MINUTE, NOW, World, failed, plain_mail, succeeded};

async fn world_with_alice() -> World {
    let world = World::new().await;
    world.add_alice().await;
    world
}

/// Its headers, and its text as it is read.
fn parts(letter: &str) -> (String, String) {
    let (head, body) = letter.split_once("\r\n\r\n").unwrap();
    let body = match head.to_ascii_lowercase() {
        head if head.contains("quoted-printable") => unquoted(body),
        head if head.contains("base64") => {
            String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap()
        }
        _ => body.to_owned(),
    };
    (head.to_owned(), body.replace("\r\n", "\n"))
}

/// Quoted-printable, as far as our letters use it.
fn unquoted(text: &str) -> String {
    text.replace("=\r\n", "")
        .replace("=20", " ")
        .replace("=3D", "=")
        .replace("=0D", "\r")
        .replace("=0A", "\n")
}

#[tokio::test]
async fn the_first_failure_says_what_happened_and_where_to_look() {
    let (world, server) = (world_with_alice().await, Server::start(Manners::default()).await);
    let run = world.end(failed()).await;
    let mailer = world.mailer(plain_mail(server.port));
    mailer.send_letters(NOW).await;
    mailer.send_letters(NOW.after(MINUTE)).await;
    let letters = server.letters();
    assert_eq!(letters.len(), 1);
    let said = server.said();
    assert!(
        said.contains(&"MAIL FROM:<haul@example.gov>".to_owned()),
        "{said:?}"
    );
    let recipients: Vec<_> = said.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<alice@example.org>"]);
    let (head, body) = parts(&letters[0]);
    for header in [
        "From: Haul <haul@example.gov>",
        "To: alice@example.org",
        "Subject: Alice/Parks failed: exit code 3",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(
            head.lines().any(|line| line == header),
            "{header} is not in\n{head}"
        );
    }
    assert!(
        head.contains("Message-ID: <") && head.contains("@example.gov>"),
        "{head}"
    );
    assert!(!head.contains("Bcc"), "{head}");
    let expected = format!(
        "Alice/Parks failed, and did not before.\n\n\
         Run {run}: exit code 3\n\
         the program said: \"no table\"\nBcc: all@example.org\n\
         Finished: 2027-01-15T08:00:00Z\n\
         Log: https://haul.example.gov/runs/{run}\n\n\
         You get the next letter when it works again, and a list of all that fail once a day.\n\n\
         -- \nYou get mail about your scrapers because your account says so. Change that at https://haul.example.gov/account\n"
    );
    assert_eq!(body.trim_end(), expected.trim_end());
}

#[tokio::test]
async fn recovery_pause_and_digest_have_letters_of_their_own() {
    let (world, server) = (world_with_alice().await, Server::start(Manners::default()).await);
    let mailer = world.mailer(plain_mail(server.port));
    for ending in [failed(), succeeded(), failed(), failed()] {
        world.end(ending).await;
        mailer.send_letters(NOW).await;
    }
    mailer.send_letters(NOW.after(DAY)).await;
    let letters: Vec<_> = server.letters().iter().map(|letter| parts(letter)).collect();
    let subject = |(head, _): &(String, String)| {
        let line = head.lines().find(|line| line.starts_with("Subject: ")).unwrap();
        line["Subject: ".len()..].to_owned()
    };
    let subjects: Vec<_> = letters.iter().map(subject).collect();
    let expected = [
        "Alice/Parks failed: exit code 3",
        "Alice/Parks works again",
        "Alice/Parks failed: exit code 3",
        "Alice/Parks is paused",
        "Alice/Parks still fails",
    ];
    assert_eq!(subjects, expected);
    let recovered = &letters[1].1;
    assert!(
        recovered.contains("Table places: 5 added, 1 removed, 3 changed, 40 unchanged\n"),
        "{recovered}"
    );
    let digest = &letters[4].1;
    let entry = "Alice/Parks: exit code 3\nhttps://haul.example.gov/runs/4\n";
    assert!(digest.contains(entry), "{digest}");
}

#[tokio::test]
async fn what_the_server_refuses_is_tried_again_and_given_up() {
    let world = world_with_alice().await;
    let refusing = Server::start(Manners {
        refused: "RCPT",
        ..Manners::default()
    })
    .await;
    world.end(failed()).await;
    let mailer = world.mailer(plain_mail(refusing.port));
    let tries = async || {
        refusing
            .said()
            .iter()
            .filter(|line| line.starts_with("RCPT"))
            .count()
    };
    // Each a little after the longest that the pause may be.
    let mut now = NOW;
    for (count, minutes) in [(1, 1), (2, 5), (3, 30), (4, 120), (5, 480), (6, 600)] {
        mailer.send_letters(now).await;
        assert_eq!(tries().await, count);
        mailer.send_letters(now.after(MINUTE / 2)).await;
        assert_eq!(tries().await, count);
        now = now.after(MINUTE * minutes * 11 / 10);
    }
    mailer.send_letters(now).await;
    assert_eq!(tries().await, 6);
}

#[tokio::test]
async fn a_server_that_was_away_gets_the_letter_once() {
    let world = world_with_alice().await;
    world.end(failed()).await;
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    world.mailer(plain_mail(port)).send_letters(NOW).await;
    let server = Server::start(Manners::default()).await;
    let mailer = world.mailer(plain_mail(server.port));
    mailer.send_letters(NOW.after(2 * MINUTE)).await;
    mailer.send_letters(NOW.after(4 * MINUTE)).await;
    assert_eq!(server.letters().len(), 1);
}

#[tokio::test]
async fn the_server_learns_name_and_password() {
    let world = world_with_alice().await;
    let server = Server::start(Manners {
        abilities: &["AUTH PLAIN"],
        ..Manners::default()
    })
    .await;
    world.end(failed()).await;
    let options = MailOptions {
        credentials: Some(("haul".to_owned(), Secret::new("pass word"))),
        ..plain_mail(server.port)
    };
    assert!(!format!("{options:?}").contains("pass word"));
    world.mailer(options).send_letters(NOW).await;
    let expected = format!("AUTH PLAIN {}", STANDARD.encode("\0haul\0pass word"));
    assert!(server.said().contains(&expected), "{:?}", server.said());
    assert_eq!(server.letters().len(), 1);
}

#[tokio::test]
async fn without_starttls_nothing_is_said_in_clear() {
    let world = world_with_alice().await;
    let server = Server::start(Manners {
        abilities: &["AUTH PLAIN"],
        ..Manners::default()
    })
    .await;
    world.end(failed()).await;
    let options = MailOptions {
        tls: MailTls::StartTls,
        credentials: Some(("haul".to_owned(), Secret::new("pass word"))),
        ..plain_mail(server.port)
    };
    world.mailer(options).send_letters(NOW).await;
    let said = server.said();
    assert!(
        said.iter()
            .all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")),
        "{said:?}"
    );
    let again = world.registry.next_letter(NOW.after(2 * MINUTE)).await;
    assert!(again.unwrap().is_some());
}

#[tokio::test]
async fn where_mail_is_not_configured_letters_are_forgotten() {
    let world = world_with_alice().await;
    world.end(failed()).await;
    world.notifier(true, None).send_letters(NOW).await;
    let left = world.registry.next_letter(NOW.after(MINUTE)).await;
    assert_eq!(left.unwrap(), None);
}

#[tokio::test]
async fn a_sender_that_is_no_address_is_refused_at_once() {
    let world = World::new().await;
    for from in [
        "",
        "haul",
        "Haul <haul>",
        "haul@example.gov\r\nBcc: all@example.org",
    ] {
        let options = NotifyOptions {
            base: BASE.to_owned(),
            mail: Some(MailOptions {
                from: from.to_owned(),
                ..plain_mail(25)
            }),
            allow_private: false,
            concurrency: 1,
        };
        let refused = Notifier::new(world.registry.clone(), options).err();
        assert!(matches!(refused, Some(NotifyError::Mail(_))), "{from}");
    }
}

#[tokio::test]
async fn a_running_notifier_sends_letters() {
    let (world, server) = (world_with_alice().await, Server::start(Manners::default()).await);
    let (mailer, stop) = (world.mailer(plain_mail(server.port)), CancellationToken::new());
    let work = async {
        world.end_at(failed(), SystemTime::now().into()).await;
        server.first_letter().await;
        stop.cancel();
    };
    tokio::join!(mailer.run(stop.clone()), work);
    assert_eq!(server.letters().len(), 1);
}

/// Three letters, and a server that keeps the sender waiting at the end of each until it is let go.
async fn three_letters_and_a_slow_server() -> (World, Server, Arc<Semaphore>) {
    let (world, gate) = (world_with_alice().await, Arc::new(Semaphore::new(0)));
    for ending in [failed(), succeeded(), failed()] {
        world.end_at(ending, SystemTime::now().into()).await;
    }
    let manners = Manners {
        gate: Some(Arc::clone(&gate)),
        ..Manners::default()
    };
    (world, Server::start(manners).await, gate)
}

#[tokio::test]
async fn who_is_stopped_sends_the_letter_under_way_and_leaves_the_others() {
    let (world, server, gate) = three_letters_and_a_slow_server().await;
    let (mailer, stop) = (world.mailer(plain_mail(server.port)), CancellationToken::new());
    let work = async {
        server.first_letter().await;
        stop.cancel();
        gate.add_permits(9);
    };
    tokio::join!(mailer.run(stop.clone()), work);
    assert_eq!(server.letters().len(), 1);
    let left = world.registry.next_letter(SystemTime::now().into()).await;
    assert_eq!(left.unwrap().unwrap().tries, 0, "it was not tried");
    mailer.send_letters(SystemTime::now().into()).await;
    assert_eq!(server.letters().len(), 2);
}

#[tokio::test]
async fn who_dies_loses_no_more_than_the_letter_under_way() {
    let (world, server, gate) = three_letters_and_a_slow_server().await;
    let mailer = world.mailer(plain_mail(server.port));
    tokio::select! {
        () = mailer.run(CancellationToken::new()) => panic!("nobody told it to stop"),
        () = server.first_letter() => {}
    }
    gate.add_permits(9);
    mailer.send_letters(SystemTime::now().into()).await;
    assert_eq!(server.letters().len(), 3, "the first one arrived, as it happens");
}
