use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::OwnerName;
use registry::KeyId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::visitor::Visitor;

/// Questions that are answered at a time: each has a thread and memory of its own.
const SEATS: usize = 8;
/// Of these, for one asker.
const SEATS_EACH: u32 = 4;
/// How long a question waits for a seat.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Questions that an asker may ask at once, after a pause.
const BURST: f64 = 120.0;
/// Questions in a second, on and on.
const RATE: f64 = 10.0;
/// Askers that are remembered.
const MAX_ASKERS: usize = 10_000;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// Whoever holds this key.
    Key(KeyId),
    /// Somebody who is signed in.
    Person(OwnerName),
    /// Everybody else, together.
    Anyone,
}

impl From<&Visitor> for Asker {
    fn from(visitor: &Visitor) -> Self {
        match visitor {
            Visitor::Anyone | Visitor::Nobody => Self::Anyone,
            Visitor::Person(account) => Self::Person(account.name.clone()),
            Visitor::Program(key) => Self::Key(key.id),
        }
    }
}

/// What one asker did lately.
struct Tally {
    /// Questions that may be asked now.
    left: f64,
    at: Instant,
    seats: u32,
}

impl Tally {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * RATE).min(BURST);
        self.at = now;
    }

    fn is_idle(&self) -> bool {
        self.seats == 0 && self.left >= BURST
    }
}

/// Lets questions in, one asker not before the others.
#[derive(Clone)]
pub(crate) struct Desk {
    seats: Arc<Semaphore>,
    tallies: Arc<Mutex<HashMap<Asker, Tally>>>,
}

/// Come again after this many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// This asker asks too much.
    You(u64),
    /// All seats are taken.
    All(u64),
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(SEATS)),
            tallies: Arc::default(),
        }
    }
}

impl Desk {
    /// A seat, which is free again when it is dropped.
    pub(crate) async fn seat(&self, asker: Asker) -> Result<Seat, Busy> {
        self.count(&asker, Instant::now())?;
        // From here on the tally goes down again whatever happens.
        let mut seat = Seat {
            desk: self.clone(),
            asker,
            permit: None,
        };
        let wait = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.seats).acquire_owned());
        seat.permit = wait.await.ok().and_then(Result::ok);
        if seat.permit.is_none() {
            return Err(Busy::All(MAX_WAIT.as_secs()));
        }
        Ok(seat)
    }

    fn count(&self, asker: &Asker, now: Instant) -> Result<(), Busy> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MAX_ASKERS && !tallies.contains_key(asker) {
            tallies.retain(|_, tally| {
                tally.refill(now);
                !tally.is_idle()
            });
        }
        let tally = tallies.entry(asker.clone()).or_insert(Tally {
            left: BURST,
            at: now,
            seats: 0,
        });
        tally.refill(now);
        if tally.left < 1.0 {
            return Err(Busy::You(((1.0 - tally.left) / RATE).ceil() as u64));
        }
        if tally.seats >= SEATS_EACH {
            return Err(Busy::You(MAX_WAIT.as_secs()));
        }
        tally.left -= 1.0;
        tally.seats += 1;
        Ok(())
    }
}

/// The right to ask one question.
pub(crate) struct Seat {
    desk: Desk,
    asker: Asker,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut tallies = self.desk.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = tallies.get_mut(&self.asker) {
            tally.seats = tally.seats.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Asker = Asker::Key(KeyId(1));

    /// Asks and is answered at once.
    fn ask(desk: &Desk, now: Instant) -> Result<(), Busy> {
        desk.count(&ONE, now)?;
        drop(Seat {
            desk: desk.clone(),
            asker: ONE,
            permit: None,
        });
        Ok(())
    }

    #[test]
    fn a_burst_is_answered_and_then_so_many_a_second() {
        let (desk, now) = (Desk::default(), Instant::now());
        for _ in 0..120 {
            assert_eq!(ask(&desk, now), Ok(()));
        }
        assert_eq!(ask(&desk, now), Err(Busy::You(1)));
        assert_eq!(desk.count(&Asker::Anyone, now), Ok(()));
        let later = now + Duration::from_secs(1);
        for _ in 0..10 {
            assert_eq!(ask(&desk, later), Ok(()));
        }
        assert_eq!(ask(&desk, later), Err(Busy::You(1)));
    }

    #[test]
    fn one_asker_does_not_take_all_seats() {
        let (desk, now) = (Desk::default(), Instant::now());
        for _ in 0..SEATS_EACH {
            assert_eq!(desk.count(&ONE, now), Ok(()));
        }
        assert_eq!(desk.count(&ONE, now), Err(Busy::You(5)));
        assert_eq!(desk.count(&Asker::Key(KeyId(2)), now), Ok(()));
    }
}
