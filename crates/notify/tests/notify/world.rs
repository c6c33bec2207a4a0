//! A registry with one scraper, whose runs end as a test says.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Checksum, RunId, ScraperId, Timestamp};
use notify::{MailOptions, MailTls, Notifier, NotifyOptions};
use registry::{
    Asked, Capacity, Cause, Delivery, Ending, Event, Keyring, NewAccount, NewScraper, Origin, Outcome,
    Registry, RowChanges, ScraperSettings, Secret, Usage, WebhookId,
};

/// 2027-01-15T08:00:00Z
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(crate) const BASE: &str = "https://haul.example.gov";

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) scraper: ScraperId,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Registry::memory(Keyring::random()).unwrap()).await
    }

    pub(crate) async fn with(registry: Registry) -> Self {
        let scraper: ScraperId = "Alice/Parks".parse().unwrap();
        let new = NewScraper {
            id: scraper.clone(),
            origin: Origin::Upload {
                checksum: Checksum::of(b""),
            },
            settings: ScraperSettings {
                schedule: Some("daily".to_owned()),
                pause_after_failures: 2,
                ..ScraperSettings::default()
            },
        };
        registry.add_scraper(new, NOW).await.unwrap();
        Self { registry, scraper }
    }

    pub(crate) async fn add_alice(&self) {
        let new = NewAccount {
            name: "alice".parse().unwrap(),
            email: Some("alice@example.org".to_owned()),
            password: None,
            is_operator: false,
        };
        self.registry.add_account(new, NOW).await.unwrap();
    }

    pub(crate) async fn hook(&self, url: &str) -> (WebhookId, Secret) {
        let (webhook, key) = self
            .registry
            .add_webhook(&self.scraper, url, vec![Event::Finished], NOW)
            .await
            .unwrap();
        (webhook.id, key)
    }

    pub(crate) async fn end(&self, ending: Ending) -> RunId {
        self.end_at(ending, NOW).await
    }

    /// A run from the wish to its end.
    pub(crate) async fn end_at(&self, ending: Ending, now: Timestamp) -> RunId {
        let by = self.scraper.owner.clone();
        let asked = self
            .registry
            .ask(&self.scraper, Cause::Person { by }, now)
            .await
            .unwrap();
        let Asked::Queued(run) = asked else {
            panic!("{asked:?}")
        };
        let capacity = Capacity {
            memory_mib: 4096,
            slots: 4,
        };
        let leases = self.registry.admit("worker", capacity, now).await.unwrap();
        self.registry
            .finish(run, leases[0].epoch, ending, None, now)
            .await
            .unwrap();
        run
    }

    pub(crate) async fn delivery(&self, hook: WebhookId) -> Delivery {
        self.registry
            .deliveries(&self.scraper, hook)
            .await
            .unwrap()
            .remove(0)
    }

    /// Calls go to this machine.
    pub(crate) fn caller(&self) -> Notifier {
        self.notifier(true, None)
    }

    pub(crate) fn mailer(&self, mail: MailOptions) -> Notifier {
        self.notifier(true, Some(mail))
    }

    pub(crate) fn notifier(&self, allow_private: bool, mail: Option<MailOptions>) -> Notifier {
        notifier(self.registry.clone(), allow_private, mail)
    }
}

pub(crate) fn notifier(registry: Registry, allow_private: bool, mail: Option<MailOptions>) -> Notifier {
    let options = NotifyOptions {
        base: BASE.to_owned(),
        mail,
        allow_private,
        concurrency: 4,
    };
    Notifier::new(registry, options).unwrap()
}

pub(crate) fn plain_mail(port: u16) -> MailOptions {
    MailOptions {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        credentials: None,
        from: "Haul <haul@example.gov>".to_owned(),
    }
}

pub(crate) fn succeeded() -> Ending {
    let rows = |added, changed| RowChanges {
        added,
        removed: 1,
        changed,
        unchanged: 40,
    };
    Ending {
        exit_code: Some(0),
        changes: BTreeMap::from([("data".to_owned(), rows(7, 0)), ("places".to_owned(), rows(5, 3))]),
        revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        usage: Usage {
            wall_ms: 61_999,
            cpu_ms: 5,
            peak_memory_bytes: 1 << 20,
            disk_bytes: 9,
        },
        ..Ending::new(Outcome::Succeeded, "done")
    }
}

pub(crate) fn failed() -> Ending {
    Ending {
        exit_code: Some(3),
        ..Ending::new(
            Outcome::Failed,
            "the program said: \"no table\"\r\nBcc: all@example.org",
        )
    }
}
