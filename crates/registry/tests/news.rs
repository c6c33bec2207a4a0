//! What the end of a run queues: calls of webhooks and letters.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Checksum, OwnerName, RunId, ScraperId, Timestamp};
use registry::{
    Account, AccountChange, Asked, Capacity, Cause, Delivery, DeliveryState, Ending, Event, Keyring, Letter,
    MOST_TRIES, NewAccount, NewScraper, News, Origin, Outcome, Registry, RegistryError, RowChanges,
    ScraperSettings, WebhookId,
};

// 2027-01-15T08:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOOK: &str = "https://hooks.example.org/ADDED";

struct World {
    registry: Registry,
    scraper: ScraperId,
}

impl World {
    async fn new() -> Self {
        Self::with(ScraperSettings::default()).await
    }

    async fn with(settings: ScraperSettings) -> Self {
        Self::on(Registry::memory(Keyring::random()).unwrap(), settings).await
    }

    async fn on(registry: Registry, settings: ScraperSettings) -> Self {
        let scraper: ScraperId = "Alice/Parks".parse().unwrap();
        let new = NewScraper {
            id: scraper.clone(),
            origin: Origin::Upload {
                checksum: Checksum::of(b""),
            },
            settings,
        };
        registry.add_scraper(new, NOW).await.unwrap();
        Self { registry, scraper }
    }

    async fn account(&self, name: &str) -> Account {
        let new = NewAccount {
            name: name.parse().unwrap(),
            email: Some(format!("{name}@example.org")),
            password: None,
            is_operator: false,
        };
        self.registry.add_account(new, NOW).await.unwrap()
    }

    async fn hook(&self, events: &[Event]) -> WebhookId {
        let (webhook, _) = self
            .registry
            .add_webhook(&self.scraper, HOOK, events.to_vec(), NOW)
            .await
            .unwrap();
        webhook.id
    }

    /// A run from the wish to its end.
    async fn run(&self, ending: Ending) -> RunId {
        let by: OwnerName = "alice".parse().unwrap();
        let asked = self
            .registry
            .ask(&self.scraper, Cause::Person { by }, NOW)
            .await
            .unwrap();
        let Asked::Queued(run) = asked else {
            panic!("{asked:?}")
        };
        let capacity = Capacity {
            memory_mib: 4096,
            slots: 4,
        };
        let leases = self.registry.admit("worker", capacity, NOW).await.unwrap();
        assert_eq!(leases.len(), 1);
        self.registry
            .finish(run, leases[0].epoch, ending, None, NOW)
            .await
            .unwrap();
        run
    }

    async fn end(&self, outcome: Outcome) -> RunId {
        self.run(Ending::new(outcome, "")).await
    }

    /// Takes a delivery that is due.
    async fn take(&self, now: Timestamp) -> Option<Delivery> {
        let taken = self.registry.due_delivery(now).await.unwrap();
        taken.map(|(delivery, ..)| delivery)
    }

    /// Takes a delivery that is due: its number and tries.
    async fn due(&self, now: Timestamp) -> Option<(u64, u32)> {
        let taken = self.take(now).await?;
        Some((taken.id, taken.tries))
    }

    async fn note(&self, delivery: &Delivery, state: DeliveryState, again_at: Option<Timestamp>) {
        self.registry
            .delivered(delivery, state, "503", 12, again_at)
            .await
            .unwrap();
    }

    async fn change(&self, change: AccountChange) -> Account {
        let alice: OwnerName = "alice".parse().unwrap();
        self.registry.change_account(&alice, change).await.unwrap()
    }

    async fn letters(&self, now: Timestamp) -> Vec<Letter> {
        let mut letters = Vec::new();
        while let Some(letter) = self.registry.next_letter(now).await.unwrap() {
            letters.push(letter);
        }
        letters
    }

    /// Letters as "address: what".
    async fn post(&self, now: Timestamp) -> Vec<String> {
        let mut post: Vec<_> = self.letters(now).await.iter().map(line).collect();
        post.sort();
        post
    }
}

fn line(letter: &Letter) -> String {
    let what = match &letter.about {
        News::Failed(run) => format!("{} failed", run.scraper),
        News::Recovered(run) => format!("{} recovered", run.scraper),
        News::Paused(run) => format!("{} paused", run.scraper),
        News::Digest { failing, .. } => format!("{failing} fail"),
    };
    format!("{}: {what}", letter.to)
}

fn changed(added: u64) -> Ending {
    let rows = RowChanges {
        added,
        unchanged: 7,
        ..RowChanges::default()
    };
    Ending {
        changes: BTreeMap::from([("data".to_owned(), rows)]),
        ..Ending::new(Outcome::Succeeded, "")
    }
}

#[tokio::test]
async fn webhooks_are_called_for_what_they_name() {
    let world = World::new().await;
    let hooks = [
        world.hook(&[Event::Finished]).await,
        world.hook(&[Event::Failed]).await,
        world.hook(&[Event::Recovered]).await,
        world.hook(&[Event::Changed]).await,
        world.hook(&[Event::Changed, Event::Failed]).await,
    ];
    for (ending, expected) in [
        (changed(0), [1, 0, 0, 0, 0]),
        (changed(2), [1, 0, 0, 1, 1]),
        (Ending::new(Outcome::Failed, ""), [1, 1, 0, 0, 1]),
        (Ending::new(Outcome::NoData, ""), [1, 1, 0, 0, 1]),
        (changed(1), [1, 0, 1, 1, 1]),
        (changed(0), [1, 0, 0, 0, 0]),
    ] {
        let run = world.run(ending.clone()).await;
        for (hook, expected) in hooks.iter().zip(expected) {
            let deliveries = world.registry.deliveries(&world.scraper, *hook).await.unwrap();
            let count = deliveries.iter().filter(|delivery| delivery.run == run).count();
            assert_eq!(count, expected, "{hook:?} for {ending:?}");
        }
    }
}

#[tokio::test]
async fn a_delivery_that_was_taken_is_nobody_elses_for_a_minute() {
    let world = World::new().await;
    let hook = world.hook(&[Event::Finished]).await;
    world.end(Outcome::Succeeded).await;
    let (delivery, webhook, key) = world.registry.due_delivery(NOW).await.unwrap().unwrap();
    assert_eq!(
        (webhook.id, webhook.url.as_str(), webhook.scraper),
        (hook, HOOK, world.scraper.clone())
    );
    assert_eq!(key.reveal().len(), 32);
    assert_eq!(world.due(NOW.after(MINUTE - Duration::from_secs(1))).await, None);
    let second = world.take(NOW.after(MINUTE)).await.unwrap();
    assert_eq!((second.id, second.tries), (delivery.id, 2));
    let again_at = NOW.after(5 * MINUTE);
    world.note(&second, DeliveryState::Waiting, Some(again_at)).await;
    assert_eq!(world.due(NOW.after(4 * MINUTE)).await, None);
    let third = world.take(again_at).await.unwrap();
    assert_eq!(third.tries, 3);
    world.note(&third, DeliveryState::Delivered, None).await;
    assert_eq!(world.due(NOW.after(DAY)).await, None);
    let kept = &world.registry.deliveries(&world.scraper, hook).await.unwrap()[0];
    assert_eq!(
        (kept.state, kept.answer.as_deref(), kept.took_ms),
        (DeliveryState::Delivered, Some("503"), Some(12))
    );
}

#[tokio::test]
async fn a_delivery_can_be_made_once_more() {
    let world = World::new().await;
    world.hook(&[Event::Finished]).await;
    world.end(Outcome::Succeeded).await;
    let delivery = world.take(NOW).await.unwrap();
    world.note(&delivery, DeliveryState::GivenUp, None).await;
    let id = delivery.id;
    let later = NOW.after(DAY);
    let again = world.registry.redeliver(&world.scraper, id, later).await.unwrap();
    assert_eq!(
        (again.state, again.tries, again.answer.as_deref()),
        (DeliveryState::Waiting, 0, Some("503"))
    );
    assert_eq!(world.due(later).await, Some((id, 1)));
    let elsewhere: ScraperId = "bob/lakes".parse().unwrap();
    let refused = world.registry.redeliver(&elsewhere, id, later).await;
    assert!(matches!(
        refused,
        Err(RegistryError::NotFound { what: "delivery", .. })
    ));
}

#[tokio::test]
async fn what_a_try_brought_counts_only_while_it_is_the_last() {
    let world = World::new().await;
    let hook = world.hook(&[Event::Finished]).await;
    world.end(Outcome::Succeeded).await;
    let first = world.take(NOW).await.unwrap();
    let again = world
        .registry
        .redeliver(&world.scraper, first.id, NOW)
        .await
        .unwrap();
    world.note(&first, DeliveryState::GivenUp, None).await;
    let kept = world.registry.deliveries(&world.scraper, hook).await.unwrap();
    assert_eq!(kept, [again], "asked for once more");
    let second = world.take(NOW.after(MINUTE)).await.unwrap();
    let third = world.take(NOW.after(2 * MINUTE)).await.unwrap();
    world.note(&second, DeliveryState::GivenUp, None).await;
    let kept = world.registry.deliveries(&world.scraper, hook).await.unwrap();
    assert_eq!(kept, [third], "somebody else's by now");
}

#[tokio::test]
async fn a_call_that_ends_the_process_is_given_up() {
    let world = World::new().await;
    let hook = world.hook(&[Event::Finished]).await;
    world.end(Outcome::Succeeded).await;
    for number in 0..MOST_TRIES {
        let now = NOW.after(number * MINUTE);
        assert_eq!(world.due(now).await, Some((1, number + 1)));
    }
    assert_eq!(world.due(NOW.after(DAY)).await, None);
    let given_up = &world.registry.deliveries(&world.scraper, hook).await.unwrap()[0];
    assert_eq!(given_up.state, DeliveryState::GivenUp);
}

#[tokio::test]
async fn two_calls_for_one_scraper_are_made_at_a_time() {
    let mut world = World::new().await;
    for _ in 0..3 {
        world.hook(&[Event::Finished]).await;
    }
    world.end(Outcome::Succeeded).await;
    let slow = world.take(NOW).await.unwrap();
    assert_eq!(world.due(NOW).await, Some((2, 1)));
    assert_eq!(world.due(NOW).await, None, "two are under way");

    let lakes: ScraperId = "bob/lakes".parse().unwrap();
    let new = NewScraper {
        id: lakes.clone(),
        origin: Origin::Upload {
            checksum: Checksum::of(b""),
        },
        settings: ScraperSettings::default(),
    };
    world.registry.add_scraper(new, NOW).await.unwrap();
    world.scraper = lakes;
    world.hook(&[Event::Finished]).await;
    world.end(Outcome::Succeeded).await;
    assert_eq!(world.due(NOW).await, Some((4, 1)), "of another scraper");

    let soon = NOW.after(MINUTE / 2);
    world.note(&slow, DeliveryState::Waiting, Some(soon)).await;
    assert_eq!(world.due(soon).await, Some((3, 1)), "who waits longest");
    assert_eq!(world.due(soon).await, None);
}

#[tokio::test]
async fn what_waits_goes_with_its_webhook() {
    let world = World::new().await;
    let hook = world.hook(&[Event::Finished]).await;
    world.end(Outcome::Succeeded).await;
    world.registry.remove_webhook(&world.scraper, hook).await.unwrap();
    assert_eq!(world.due(NOW).await, None);
    assert!(world.registry.remove_webhook(&world.scraper, hook).await.is_err());
    assert!(world.registry.deliveries(&world.scraper, hook).await.is_err());
    assert_ne!(
        world.hook(&[Event::Finished]).await,
        hook,
        "numbers are not given twice"
    );
}

#[tokio::test]
async fn the_newest_hundred_deliveries_are_kept() {
    let world = World::new().await;
    let hook = world.hook(&[Event::Finished]).await;
    for _ in 0..103 {
        world.end(Outcome::Succeeded).await;
    }
    let ids: Vec<_> = world
        .registry
        .deliveries(&world.scraper, hook)
        .await
        .unwrap()
        .iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(ids, (4..=103).rev().collect::<Vec<u64>>());
}

#[tokio::test]
async fn addresses_are_checked() {
    let world = World::new().await;
    let add = async |url: &str, events: Vec<Event>| {
        world.registry.add_webhook(&world.scraper, url, events, NOW).await
    };
    let long = format!("https://example.org/{}", "a".repeat(2000));
    for url in [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https://me:pass@example.org/",
        &long,
    ] {
        let refused = add(url, vec![Event::Finished]).await;
        assert!(matches!(refused, Err(RegistryError::Invalid(_))), "{url}");
    }
    assert!(matches!(add(HOOK, vec![]).await, Err(RegistryError::Invalid(_))));
    for _ in 0..20 {
        world.hook(&[Event::Failed, Event::Finished, Event::Failed]).await;
    }
    assert!(matches!(
        add(HOOK, vec![Event::Failed]).await,
        Err(RegistryError::Invalid(_))
    ));
    let webhooks = world.registry.webhooks(&world.scraper).await.unwrap();
    assert_eq!(
        (webhooks.len(), &webhooks[0].events),
        (20, &vec![Event::Finished, Event::Failed])
    );
}

#[tokio::test]
async fn the_first_failure_and_the_recovery_are_told_once() {
    let world = World::new().await;
    world.account("alice").await;
    for (outcome, expected) in [
        (Outcome::Succeeded, vec![]),
        (Outcome::Failed, vec!["alice@example.org: Alice/Parks failed"]),
        (Outcome::TimedOut, vec![]),
        (
            Outcome::Succeeded,
            vec!["alice@example.org: Alice/Parks recovered"],
        ),
        (Outcome::Succeeded, vec![]),
    ] {
        world.end(outcome).await;
        assert_eq!(world.post(NOW).await, expected, "{outcome:?}");
        assert_eq!(world.post(NOW).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_pause_is_told_instead_of_the_failure() {
    let settings = ScraperSettings {
        schedule: Some("daily".to_owned()),
        pause_after_failures: 1,
        ..ScraperSettings::default()
    };
    let world = World::with(settings).await;
    world.account("alice").await;
    world.end(Outcome::Failed).await;
    assert_eq!(world.post(NOW).await, ["alice@example.org: Alice/Parks paused"]);
}

#[tokio::test]
async fn only_who_wants_mail_and_may_get_it_gets_it() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.account("bob").await;
    for unwanted in [
        AccountChange {
            wants_mail: Some(false),
            ..AccountChange::default()
        },
        AccountChange {
            email: Some(None),
            ..AccountChange::default()
        },
        AccountChange {
            is_disabled: Some(true),
            ..AccountChange::default()
        },
    ] {
        let wanted = AccountChange {
            email: Some(alice.email.clone()),
            wants_mail: Some(true),
            is_operator: None,
            is_disabled: Some(false),
        };
        assert_eq!(world.change(wanted).await, alice);
        world.end(Outcome::Failed).await;
        // Between the failure and the letter.
        world.change(unwanted.clone()).await;
        assert_eq!(world.post(NOW).await, Vec::<String>::new(), "{unwanted:?}");
        world.end(Outcome::Succeeded).await;
        assert_eq!(world.post(NOW).await, Vec::<String>::new(), "{unwanted:?}");
    }
}

#[tokio::test]
async fn members_get_the_mail_of_their_organisation() {
    let registry = Registry::memory(Keyring::random()).unwrap();
    let scraper: ScraperId = "council/parks".parse().unwrap();
    let world = World {
        registry,
        scraper: scraper.clone(),
    };
    let (alice, bob) = (world.account("alice").await.name, world.account("bob").await.name);
    world.account("eve").await;
    world
        .registry
        .set_organisation(&scraper.owner, vec![alice, bob], NOW)
        .await
        .unwrap();
    let new = NewScraper {
        id: scraper,
        origin: Origin::Upload {
            checksum: Checksum::of(b""),
        },
        settings: ScraperSettings::default(),
    };
    world.registry.add_scraper(new, NOW).await.unwrap();
    world.end(Outcome::Failed).await;
    let expected = [
        "alice@example.org: council/parks failed",
        "bob@example.org: council/parks failed",
    ];
    assert_eq!(world.post(NOW).await, expected);
    let tomorrow = NOW.after(DAY);
    assert_eq!(
        world.post(tomorrow).await,
        ["alice@example.org: 1 fail", "bob@example.org: 1 fail"]
    );
}

#[tokio::test]
async fn a_digest_comes_once_a_day_while_something_fails() {
    let world = World::new().await;
    world.account("alice").await;
    world.end(Outcome::Failed).await;
    assert_eq!(world.post(NOW).await, ["alice@example.org: Alice/Parks failed"]);
    // 22 hours later it is six in the morning, 23 hours later seven.
    assert_eq!(
        world.post(NOW.after(DAY - 120 * MINUTE)).await,
        Vec::<String>::new()
    );
    assert_eq!(
        world.post(NOW.after(DAY - 60 * MINUTE)).await,
        ["alice@example.org: 1 fail"]
    );
    assert_eq!(world.post(NOW.after(DAY)).await, Vec::<String>::new());
    assert_eq!(
        world.post(NOW.after(2 * DAY)).await,
        ["alice@example.org: 1 fail"]
    );
    world.end(Outcome::Succeeded).await;
    assert_eq!(
        world.post(NOW.after(3 * DAY)).await,
        ["alice@example.org: Alice/Parks recovered"]
    );
}

#[tokio::test]
async fn a_letter_that_was_not_sent_comes_back() {
    let world = World::new().await;
    world.account("alice").await;
    let run = world.end(Outcome::Failed).await;
    let letter = world.letters(NOW).await.pop().unwrap();
    let later = NOW.after(MINUTE);
    world.registry.return_letter(letter.clone(), later).await.unwrap();
    assert_eq!(world.letters(NOW).await, []);
    let again = world.letters(later).await.pop().unwrap();
    assert_eq!((again.tries, &again.about), (1, &letter.about));
    assert!(matches!(&again.about, News::Failed(about) if about.id == run));
    let digest = world.letters(NOW.after(DAY)).await.pop().unwrap();
    world
        .registry
        .return_letter(digest, NOW.after(DAY + MINUTE))
        .await
        .unwrap();
    assert_eq!(
        world.post(NOW.after(DAY + MINUTE)).await,
        ["alice@example.org: 1 fail"]
    );
}

#[tokio::test]
async fn letters_are_taken_one_at_a_time() {
    let world = World::new().await;
    world.account("alice").await;
    world.end(Outcome::Failed).await;
    world.end(Outcome::Succeeded).await;
    let first = world.registry.next_letter(NOW).await.unwrap().unwrap();
    assert!(matches!(first.about, News::Failed(_)));
    assert_eq!(
        world.post(NOW).await,
        ["alice@example.org: Alice/Parks recovered"]
    );
}

/// As after a newer Haul, which tells of more.
#[tokio::test]
async fn what_is_told_of_and_not_known_here_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let registry = Registry::open(&path, Keyring::random()).unwrap();
    let world = World::on(registry, ScraperSettings::default()).await;
    world.account("alice").await;
    let hook = world.hook(&[Event::Finished]).await;
    world.end(Outcome::Failed).await;
    let file = rusqlite::Connection::open(&path).unwrap();
    for sql in [
        "UPDATE letters SET news = 'sneezed'",
        "UPDATE webhooks SET events = '[\"sneezed\", \"recovered\"]'",
    ] {
        file.execute(sql, []).unwrap();
    }
    world.end(Outcome::Succeeded).await;
    world.end(Outcome::Succeeded).await;
    assert_eq!(
        world.post(NOW).await,
        ["alice@example.org: Alice/Parks recovered"]
    );
    let calls = [world.due(NOW).await, world.due(NOW).await, world.due(NOW).await];
    assert_eq!(calls, [Some((1, 1)), Some((2, 1)), None]);
    let listed = world.registry.webhooks(&world.scraper).await.unwrap();
    assert_eq!((listed[0].id, &listed[0].events), (hook, &vec![Event::Recovered]));
}

#[tokio::test]
async fn letters_about_what_is_gone_go_too() {
    let world = World::new().await;
    world.account("alice").await;
    world.hook(&[Event::Finished]).await;
    world.end(Outcome::Failed).await;
    let (letter, _) = (
        world.letters(NOW).await.pop().unwrap(),
        world.end(Outcome::Succeeded).await,
    );
    world.registry.remove_scraper(&world.scraper).await.unwrap();
    world.registry.return_letter(letter, NOW).await.unwrap();
    assert_eq!(world.letters(NOW).await, []);
    assert_eq!(world.due(NOW).await, None);
}
