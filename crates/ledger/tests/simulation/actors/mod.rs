//! Everybody who works on the sources, as the crawler does it.

mod conductor;
mod janitor;
mod listener;
mod person;
mod worker;

use std::sync::Arc;

use crawldb::{CrawldbError, StartError, StoreError};
use ledger::LedgerError;
use updates::LogError;

use crate::stage::{Life, Stage};

/// Who does what; the number is that of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The sources themselves: what they hold changes.
    Change,
    /// Tells what has changed.
    Feed(usize),
    Conductor(usize),
    Worker,
    Listener,
    Janitor,
    Person,
}

impl Role {
    pub(crate) const ALL: [Self; 11] = [
        Self::Change,
        Self::Feed(0),
        Self::Feed(1),
        Self::Conductor(0),
        Self::Conductor(1),
        Self::Worker,
        Self::Worker,
        Self::Listener,
        Self::Listener,
        Self::Janitor,
        Self::Person,
    ];

    pub(crate) fn is_mortal(self) -> bool {
        self != Self::Change
    }

    /// Whether it may sleep while another one takes its place. A source tells things in their order, so its feed does not.
    pub(crate) fn may_sleep(self) -> bool {
        self.is_mortal() && !matches!(self, Self::Feed(_))
    }

    pub(crate) async fn live(self, stage: Arc<Stage>, name: String) {
        let life = Life::new(&stage, &name);
        let end = match self {
            Self::Change => change(&life).await,
            Self::Feed(site) => listener::feed(&life, site).await,
            Self::Conductor(site) => conductor::conduct(&life, site).await,
            Self::Worker => worker::work(&life).await,
            Self::Listener => listener::listen(&life).await,
            Self::Janitor => janitor::tidy(&life).await,
            Self::Person => person::decide(&life).await,
        };
        stage.world.note(|| format!("ends its life: {end:?}"));
    }
}

/// Why a life ended.
#[derive(Debug)]
#[expect(dead_code, reason = "only the trace reads it")]
pub(crate) enum End {
    Ledger(LedgerError),
    Start(StartError),
    /// There is nothing left to do.
    Done,
}

impl From<LedgerError> for End {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<CrawldbError> for End {
    fn from(error: CrawldbError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<StartError> for End {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

async fn change(life: &Life) -> End {
    let world = &life.stage.world;
    loop {
        life.sleep(500, 6_000).await;
        if life.stage.is_quiet() {
            return End::Done;
        }
        let now = world.now();
        let changed = world.roll(|dice| {
            let mut sites = life.stage.sites();
            let site = dice.index(sites.len());
            sites[site].change(dice, now)
        });
        world.note(|| changed);
    }
}
