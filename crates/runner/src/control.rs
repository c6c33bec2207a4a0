//! How a run that goes on here is told to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::RunId;
use sandbox::Stopper;
use tokio_util::sync::CancellationToken;

/// Why a run is to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Somebody wants it: who.
    Person(String),
    /// It is no longer this worker's.
    Fenced,
    /// This worker ends.
    Shutdown,
}

/// One run that goes on here.
#[derive(Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    halted: CancellationToken,
    /// Its data is not to be taken in either.
    hurried: CancellationToken,
    over: CancellationToken,
}

#[derive(Default)]
struct State {
    halt: Option<Halt>,
    job: Option<Stopper>,
    collects: bool,
}

impl Control {
    /// Stops what runs, and whatever would start next. The first reason stays, but for a lease that is over.
    pub(crate) fn halt(&self, why: Halt) {
        let mut state = self.lock();
        let is_news = state.halt.is_none() || why == Halt::Fenced;
        if is_news && (why == Halt::Fenced || state.collects && why != Halt::Shutdown) {
            self.hurried.cancel();
        }
        if is_news {
            state.halt = Some(why);
        }
        if let Some(job) = &state.job {
            job.stop();
        }
        self.halted.cancel();
    }

    /// Why it is to stop, where it is.
    pub(crate) fn why(&self) -> Option<Halt> {
        self.lock().halt.clone()
    }

    /// Ends when the run is to stop.
    pub(crate) async fn halted(&self) {
        self.halted.cancelled().await;
    }

    /// Whether it is to stop.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.is_cancelled()
    }

    /// Its data is taken in from now on, also where somebody had it stopped before. Ends when even that is to stop.
    pub(crate) async fn hurried(&self) {
        self.lock().collects = true;
        self.hurried.cancelled().await;
    }

    /// Ends when nothing of it goes on here any more.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// From now on this job is what stops.
    pub(crate) fn runs(&self, job: Stopper) {
        let mut state = self.lock();
        if state.halt.is_some() {
            job.stop();
        }
        state.job = Some(job);
    }

    pub(crate) fn runs_nothing(&self) {
        self.lock().job = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All runs that go on here, with the epochs of their leases.
#[derive(Default)]
pub(crate) struct Active {
    runs: Mutex<HashMap<RunId, (u64, Arc<Control>)>>,
}

impl Active {
    /// Notes that a run goes on under this epoch. Where it goes on here under an older one as well, because a lease could not be renewed in time, that one
    /// is fenced and comes back: wait until it is over.
    pub(crate) fn begin(&self, run: RunId, epoch: u64) -> (Arc<Control>, Option<Arc<Control>>) {
        let control = Arc::new(Control::default());
        let older = self.lock().insert(run, (epoch, Arc::clone(&control)));
        let older = older.map(|(_, older)| older);
        if let Some(older) = &older {
            older.halt(Halt::Fenced);
        }
        (control, older)
    }

    pub(crate) fn end(&self, run: RunId, epoch: u64, control: &Control) {
        let mut runs = self.lock();
        if runs.get(&run).is_some_and(|(held, _)| *held == epoch) {
            runs.remove(&run);
        }
        control.over.cancel();
    }

    pub(crate) fn leases(&self) -> Vec<(RunId, u64)> {
        self.lock()
            .iter()
            .map(|(run, (epoch, _))| (*run, *epoch))
            .collect()
    }

    pub(crate) fn halt(&self, run: RunId, why: Halt) {
        let control = self.lock().get(&run).map(|(_, control)| Arc::clone(control));
        if let Some(control) = control {
            control.halt(why);
        }
    }

    pub(crate) fn halt_all(&self, why: &Halt) {
        let all: Vec<_> = self
            .lock()
            .values()
            .map(|(_, control)| Arc::clone(control))
            .collect();
        for control in all {
            control.halt(why.clone());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, (u64, Arc<Control>)>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_leases_of_one_run_the_older_is_fenced_and_waited_for() {
        let (active, run) = (Active::default(), RunId(7));
        let (first, none) = active.begin(run, 1);
        assert!(none.is_none());
        let (second, older) = active.begin(run, 2);
        let older = older.unwrap();
        assert_eq!((older.why(), second.why()), (Some(Halt::Fenced), None));
        assert_eq!(active.leases(), [(run, 2)]);
        active.halt(run, Halt::Person("ann".to_owned()));
        assert_eq!(first.why(), Some(Halt::Fenced));

        let waiting = tokio::spawn(async move { older.over().await });
        active.end(run, 1, &first);
        waiting.await.unwrap();
        assert_eq!(active.leases(), [(run, 2)]);
        active.end(run, 2, &second);
        assert!(active.leases().is_empty());
    }

    /// Stopped once, the program ends and its data is taken in; stopped meanwhile, not even that.
    #[test]
    fn what_is_stopped_while_it_is_taken_in_is_given_up() {
        let person = || Halt::Person("ann".to_owned());
        let taken_in = Control::default();
        taken_in.halt(person());
        taken_in.lock().collects = true;
        taken_in.halt(person());
        assert!(
            !taken_in.hurried.is_cancelled(),
            "the same wish is heard at each heartbeat"
        );
        taken_in.halt(Halt::Fenced);
        assert!(taken_in.hurried.is_cancelled());

        let stopped_then = Control::default();
        stopped_then.lock().collects = true;
        stopped_then.halt(Halt::Shutdown);
        assert!(!stopped_then.hurried.is_cancelled());
        let stopped_then = Control::default();
        stopped_then.lock().collects = true;
        stopped_then.halt(person());
        assert!(stopped_then.hurried.is_cancelled());
    }
}
