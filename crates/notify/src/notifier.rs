use std::time::{Duration, SystemTime};

use futures::{StreamExt, stream};
use model::Timestamp;
use registry::{Delivery, DeliveryState, Letter, Registry, RegistryError, Secret, Webhook};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::calls::{Answer, Caller};
use crate::letter;
use crate::mail::{MailOptions, Mailer};
use crate::patience::{jitter, pause_after};

/// How often the registry is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How people are told.
#[derive(Clone, Debug)]
pub struct NotifyOptions {
    /// Where this server is reached, for links: `https://haul.example.gov`.
    pub base: String,
    /// How mail is sent; none: it is not.
    pub mail: Option<MailOptions>,
    /// Let webhooks go to private and loopback addresses.
    pub allow_private: bool,
    /// Calls at a time.
    pub concurrency: usize,
}

/// Why there can be no notifier.
#[derive(Debug, Error)]
pub enum NotifyError {
    /// The mail options are wrong.
    #[error("mail cannot be sent as configured: {0}")]
    Mail(String),
    /// TLS cannot be set up.
    #[error("webhooks cannot be called")]
    Http(#[from] reqwest::Error),
}

/// Sends what is due. Any number of processes may do so with one registry.
pub struct Notifier {
    registry: Registry,
    caller: Caller,
    mailer: Option<Mailer>,
    base: String,
    concurrency: usize,
}

type Due = (Delivery, Webhook, Secret);

impl Notifier {
    /// A notifier of what `registry` says.
    ///
    /// # Errors
    ///
    /// When the sender is no mail address, or the system's certificates cannot be used.
    pub fn new(registry: Registry, options: NotifyOptions) -> Result<Self, NotifyError> {
        let NotifyOptions {
            mut base,
            mail,
            allow_private,
            concurrency,
        } = options;
        base.truncate(base.trim_end_matches('/').len());
        let mailer = mail.as_ref().map(Mailer::new).transpose();
        Ok(Self {
            registry,
            caller: Caller::new(&base, allow_private)?,
            mailer: mailer.map_err(|error| NotifyError::Mail(error.to_string()))?,
            base,
            concurrency: concurrency.max(1),
        })
    }

    /// Sends until it is told to stop; looks every second. What is under way is brought to its end, which takes a minute at most; the rest stays in the
    /// registry.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.run_calls(&stop), self.run_letters(&stop));
    }

    /// Makes the calls that are due at `now`, and returns when all of them are over.
    pub async fn make_calls(&self, now: Timestamp) {
        // Those that wait for others of the same scraper are due as soon as these are over.
        while let Some(first) = self.next_call(now).await {
            let more = stream::unfold((), |()| async { Some((self.next_call(now).await?, ())) });
            let due = stream::iter([first]).chain(more);
            due.for_each_concurrent(self.concurrency, |due| self.make_call(due, now))
                .await;
        }
    }

    /// Sends the letters that are due at `now`. Where mail is not configured, they are forgotten.
    pub async fn send_letters(&self, now: Timestamp) {
        while let Some(letter) = self.next_letter(now).await {
            self.send_letter(letter, now).await;
        }
    }

    async fn run_calls(&self, stop: &CancellationToken) {
        let due = stream::unfold((), |()| async { Some((self.wait_for_call().await, ())) });
        due.take_until(stop.cancelled())
            .for_each_concurrent(self.concurrency, |due| self.make_call(due, clock()))
            .await;
    }

    async fn run_letters(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.next_letter(clock()).await {
                Some(letter) => self.send_letter(letter, clock()).await,
                None => {
                    stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
                }
            }
        }
    }

    /// The next call, as soon as there is one. Given up in between, it comes again a minute later.
    async fn wait_for_call(&self) -> Due {
        loop {
            if let Some(due) = self.next_call(clock()).await {
                return due;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn next_call(&self, now: Timestamp) -> Option<Due> {
        let due = self.registry.due_delivery(now).await;
        due.unwrap_or_else(|error| {
            tracing::error!(%error, "webhooks that are due cannot be read");
            None
        })
    }

    async fn make_call(&self, (delivery, webhook, key): Due, now: Timestamp) {
        let begun = std::time::Instant::now();
        let answer = match self.registry.run(delivery.run).await {
            Ok(run) => self.caller.call(&delivery, &webhook, &key, &run).await,
            Err(error) => Answer::failure(error.to_string()),
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Err(error) = self.note(&delivery, &answer, took_ms, now).await {
            tracing::error!(%error, delivery = delivery.id, "a call of a webhook cannot be noted; it is made again");
        }
    }

    async fn note(
        &self,
        delivery: &Delivery,
        answer: &Answer,
        took_ms: u64,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let pause = pause_after(delivery.tries, jitter()).filter(|_| !answer.is_success);
        let state = match (answer.is_success, pause) {
            (true, _) => DeliveryState::Delivered,
            (false, Some(_)) => DeliveryState::Waiting,
            (false, None) => DeliveryState::GivenUp,
        };
        let again_at = pause.map(|pause| now.after(pause));
        self.registry
            .delivered(delivery, state, &answer.text, took_ms, again_at)
            .await
    }

    async fn next_letter(&self, now: Timestamp) -> Option<Letter> {
        self.registry.next_letter(now).await.unwrap_or_else(|error| {
            tracing::error!(%error, "letters that are due cannot be read");
            None
        })
    }

    async fn send_letter(&self, letter: Letter, now: Timestamp) {
        let Some(mailer) = &self.mailer else { return };
        let text = letter::write(&letter.about, &self.base);
        let Err(error) = mailer.send(&letter.to, text).await else {
            return;
        };
        let Some(pause) = pause_after(letter.tries + 1, jitter()) else {
            tracing::error!(%error, "a letter was not sent, and is given up");
            return;
        };
        tracing::warn!(%error, "a letter was not sent; it is tried again");
        if let Err(error) = self.registry.return_letter(letter, now.after(pause)).await {
            tracing::error!(%error, "a letter that was not sent is lost");
        }
    }
}

fn clock() -> Timestamp {
    SystemTime::now().into()
}
