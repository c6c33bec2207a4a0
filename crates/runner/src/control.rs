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
}

#[derive(Default)]
struct State {
    halt: Option<Halt>,
    job: Option<Stopper>,
}

impl Control {
    /// Stops what runs, and whatever would start next. The first reason stays, but for a lease that is over.
    pub(crate) fn halt(&self, why: Halt) {
        let mut state = self.lock();
        if state.halt.is_none() || why == Halt::Fenced {
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
    pub(crate) fn begin(&self, run: RunId, epoch: u64) -> Arc<Control> {
        let control = Arc::new(Control::default());
        self.lock().insert(run, (epoch, Arc::clone(&control)));
        control
    }

    pub(crate) fn end(&self, run: RunId, epoch: u64) {
        let mut runs = self.lock();
        if runs.get(&run).is_some_and(|(held, _)| *held == epoch) {
            runs.remove(&run);
        }
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
