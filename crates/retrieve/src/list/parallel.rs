use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::error::{Error, ErrorKind};
use crate::list::pages::{Listed, Page, Pages};
use crate::list::split::{Bounds, Request, Segments};

/// Pages that are taken out of the listing before somebody asks for them.
const READY_PAGES: usize = 2;

type Found = Result<Vec<Listed>, Error>;
type Requests = JoinSet<(Request, Result<Page, Error>)>;

/// A listing under way; dropping it ends its requests.
#[derive(Debug)]
pub(crate) struct Listing {
    found: mpsc::Receiver<Found>,
    /// The one task that drives the listing and owns its requests.
    driver: JoinSet<()>,
}

impl Listing {
    /// Begins to list everything that begins with `prefix`, which `pages` must know, too.
    pub(crate) fn start(pages: Arc<dyn Pages>, prefix: &str, bounds: Bounds) -> Self {
        let (sender, found) = mpsc::channel(READY_PAGES);
        let driver = Driver {
            pages,
            segments: Segments::new(prefix, bounds),
            page: bounds.page,
            requests: Requests::new(),
        };
        let mut task = JoinSet::new();
        task.spawn(driver.run(sender));
        Self { found, driver: task }
    }

    /// The next entries in key order, never none at all; an error is the last.
    pub(crate) async fn next(&mut self) -> Option<Found> {
        if let Some(found) = self.found.recv().await {
            return Some(found);
        }
        let ended = self.driver.join_next().await?;
        ended.err().map(|error| Err(broken(error)))
    }
}

struct Driver {
    pages: Arc<dyn Pages>,
    segments: Segments,
    page: usize,
    requests: Requests,
}

impl Driver {
    async fn run(mut self, found: mpsc::Sender<Found>) {
        loop {
            let ready = self.segments.is_ready();
            if self.segments.is_finished() {
                return;
            }
            self.ask();
            tokio::select! {
                slot = found.reserve(), if ready => {
                    let (Ok(slot), Some(next)) = (slot, self.segments.take()) else { return };
                    slot.send(next);
                }
                Some(answer) = self.requests.join_next() => match answer {
                    Ok((request, answer)) => self.segments.answer(&request, answer),
                    Err(error) => return drop(found.send(Err(broken(error))).await),
                },
            }
        }
    }

    fn ask(&mut self) {
        while let Some(request) = self.segments.next_request() {
            let (pages, max) = (Arc::clone(&self.pages), self.page);
            self.requests.spawn(async move {
                let answer = pages.page(&request.start_after, max).await;
                (request, answer)
            });
        }
    }
}

/// A request that ended without an answer must not look like the end of the listing.
fn broken(error: JoinError) -> Error {
    let kind = if error.is_cancelled() {
        ErrorKind::Cancelled
    } else {
        ErrorKind::Server
    };
    Error::new(kind, "the listing broke off: a request ended without an answer").caused_by(error)
}
