//! The hooks of one run, as the engine calls them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::account::Account;
use super::events::Event;
use super::observers::Observers;
use super::ordered::Ordered;
use super::traits::*;
use crate::control::Control;
use crate::entry::{Entry, FileMeta};
use crate::error::Error;
use crate::outcome::{Done, Outcome, Report};
use crate::stats::Stats;

/// The hooks of a run; none by default. The order of registration is the order of calls.
#[derive(Default)]
pub struct Hooks {
    registered: Vec<Registered>,
}

enum Registered {
    Stateful(Box<dyn StatefulHook>),
    Functional(Box<dyn FunctionalHook>),
    Observer(usize, Box<dyn Observer>),
}

impl Hooks {
    /// Events that wait for one observer at most. Room for them is taken at once, some 40 bytes each.
    pub const MAX_QUEUE: usize = 1 << 17;
    /// How long a run waits, in sum, for room in one observer's queue when files end.
    pub const MAX_WAIT: Duration = Duration::from_secs(2);
    /// How long the end of a run waits for all observers to see what is queued.
    pub const MAX_DRAIN: Duration = Duration::from_secs(5);

    /// Adds a hook of the serial stages.
    #[must_use]
    pub fn stateful(mut self, hook: impl StatefulHook + 'static) -> Self {
        self.registered.push(Registered::Stateful(Box::new(hook)));
        self
    }

    /// Adds a hook of the parallel stages; an `Arc` of one is one, too.
    #[must_use]
    pub fn functional(mut self, hook: impl FunctionalHook + 'static) -> Self {
        self.registered.push(Registered::Functional(Box::new(hook)));
        self
    }

    /// Adds an observer with a queue of `capacity` events, 1 to [`Hooks::MAX_QUEUE`].
    #[must_use]
    pub fn observe(mut self, capacity: usize, observer: impl Observer + 'static) -> Self {
        self.registered
            .push(Registered::Observer(capacity, Box::new(observer)));
        self
    }
}

impl Registered {
    fn name(&self) -> &str {
        match self {
            Self::Stateful(hook) => hook.name(),
            Self::Functional(hook) => hook.name(),
            Self::Observer(_, observer) => observer.name(),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.registered.iter().map(Registered::name);
        f.debug_list().entries(names).finish()
    }
}

/// The hooks of one run. All methods may be called by many threads at once; those about stateful hooks wait for each
/// other, and `verify`, `commit` and `file_end` may take long.
///
/// Each method emits the event that belongs to it; nobody else emits any.
pub(crate) struct Registry {
    /// In the order of registration.
    accounts: Vec<Arc<Account>>,
    stateful: Vec<Stateful>,
    functional: Vec<Functional>,
    observers: Observers,
    is_quick: bool,
}

struct Stateful {
    account: Arc<Account>,
    hook: Mutex<Box<dyn StatefulHook>>,
}

struct Functional {
    account: Arc<Account>,
    hook: Box<dyn FunctionalHook>,
}

impl Registry {
    /// Starts the observers' threads; the run begins now.
    pub(crate) fn new(hooks: Hooks) -> Self {
        let mut registry = Self {
            accounts: Vec::new(),
            stateful: Vec::new(),
            functional: Vec::new(),
            observers: Observers::new(),
            is_quick: true,
        };
        for registered in hooks.registered {
            registry.add(registered);
        }
        registry.observers.all_started();
        registry
    }

    /// Whether every call returns at once: nothing needs to be kept off the threads of the network.
    pub(crate) fn is_quick(&self) -> bool {
        self.is_quick
    }

    fn add(&mut self, registered: Registered) {
        let account = Arc::new(Account::new(registered.name()));
        self.accounts.push(Arc::clone(&account));
        match registered {
            Registered::Stateful(hook) => {
                self.is_quick &= hook.is_quick();
                let hook = Mutex::new(hook);
                self.stateful.push(Stateful { account, hook });
            }
            Registered::Functional(hook) => {
                self.is_quick &= hook.is_quick();
                self.functional.push(Functional { account, hook });
            }
            Registered::Observer(capacity, observer) => self.observers.start(&account, capacity, observer),
        }
    }

    /// Whether somebody observes.
    fn wants_events(&self) -> bool {
        !self.observers.is_empty()
    }

    /// Events that slow observers have not got so far.
    pub(crate) fn events_dropped(&self) -> u64 {
        self.observers.dropped()
    }

    /// The run begins.
    pub(crate) fn run_start(&self, start: &RunStart, control: &Control) {
        self.observers.emit(|| Event::run_start(start));
        for stateful in &self.stateful {
            stateful.tell(|hook| hook.on_run_start(start, control));
        }
    }

    /// To be called ten times a second. A hook that is busy misses it.
    pub(crate) fn tick(&self, stats: &Stats, control: &Control) {
        self.observers.emit(|| Event::tick(stats));
        for stateful in &self.stateful {
            stateful.tell_if_idle(|hook| hook.on_tick(stats, control));
        }
    }

    /// A page of a listing has come.
    pub(crate) fn list_page(&self, entries: &[Entry]) {
        self.observers.emit(|| Event::list_page(entries));
        let page = ListPage { entries };
        for stateful in &self.stateful {
            stateful.tell(|hook| hook.on_list_page(&page));
        }
    }

    /// Whether `entry` is wanted. The first hook that skips it ends the chain.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook) when a hook panics.
    pub(crate) fn select(&self, entry: &mut Entry) -> Result<Select, Error> {
        for stateful in &self.stateful {
            if stateful.ask(|hook| hook.select(entry))? == Select::Skip {
                return Ok(Select::Skip);
            }
        }
        Ok(Select::Keep)
    }

    /// What to do with a file: the first answer that is not [`FileStart::Fetch`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook) when a hook panics or its range does not lie in the file.
    pub(crate) fn file_start(&self, meta: &FileMeta) -> Result<FileStart, Error> {
        let answer = self.first_answer(meta)?;
        if matches!(answer, FileStart::Fetch | FileStart::Range(_)) {
            self.observers.emit(|| Event::file_start(meta));
        }
        Ok(answer)
    }

    fn first_answer(&self, meta: &FileMeta) -> Result<FileStart, Error> {
        for stateful in &self.stateful {
            let answer = stateful.ask(|hook| hook.on_file_start(meta))?;
            if let FileStart::Range(range) = &answer
                && (range.start > range.end || meta.size.is_some_and(|size| range.end > size))
            {
                let refusal = format!("asks for {range:?}, which does not lie in the file");
                return Err(stateful.account.error(&refusal));
            }
            if answer != FileStart::Fetch {
                return Ok(answer);
            }
        }
        Ok(FileStart::Fetch)
    }

    /// The plan that the hooks make of `plan`, one after the other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook) when a hook panics, or its plan has ranges of no bytes, cuts that do
    /// not grow, or cuts that do not lie inside of the wanted range.
    pub(crate) fn plan(&self, meta: &FileMeta, mut plan: Plan) -> Result<Plan, Error> {
        for stateful in &self.stateful {
            let Some(other) = stateful.ask(|hook| hook.plan_chunks(meta, &plan))? else {
                continue;
            };
            check_plan(meta, &other).map_err(|fault| stateful.account.error(&fault))?;
            plan = other;
        }
        Ok(plan)
    }

    /// The chain of those that want to see the bytes of this file in their order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook) when a hook panics.
    pub(crate) fn ordered(&self, meta: &FileMeta) -> Result<Ordered, Error> {
        let mut chain = Ordered::default();
        for stateful in &self.stateful {
            if let Some(hook) = stateful.ask(|hook| hook.ordered(meta))? {
                chain.add(&stateful.account, hook);
            }
        }
        Ok(chain)
    }

    /// Whether all hooks accept the file: the stateful ones first, one file at a time, then the functional ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook): the first refusal or panic.
    pub(crate) fn verify(&self, meta: &FileMeta, done: &Done, path: Option<&Path>) -> Result<(), Error> {
        for stateful in &self.stateful {
            stateful.ask_approval(|hook| hook.verify(meta, done, path))?;
        }
        self.ask(|hook| hook.verify(meta, done, path))
    }

    /// The last word before the temporary file gets its name.
    ///
    /// # Errors
    ///
    /// As [`Registry::verify`].
    pub(crate) fn commit(&self, meta: &FileMeta, temporary: &Path, path: &Path) -> Result<(), Error> {
        for stateful in &self.stateful {
            stateful.ask_approval(|hook| hook.commit(meta, temporary, path))?;
        }
        Ok(())
    }

    /// A file has ended.
    pub(crate) fn file_end(&self, meta: &FileMeta, outcome: &Outcome) {
        self.observers.emit_last(|| Event::file_end(meta, outcome));
        for stateful in &self.stateful {
            stateful.tell(|hook| hook.on_file_end(meta, outcome));
        }
    }

    /// The run has ended: tells all hooks, waits for the observers up to [`Hooks::MAX_DRAIN`] and puts into `report`
    /// what the hooks have cost. What is called later is of no effect on it.
    pub(crate) fn run_end(&self, report: &mut Report) {
        report.hooks = self.times();
        report.stats.events_dropped = self.events_dropped();
        self.observers.emit_last(|| Event::run_end(report));
        for stateful in &self.stateful {
            stateful.tell_end(report);
        }
        if self.wants_events() {
            self.observers.finish(Hooks::MAX_DRAIN);
        }
        report.hooks = self.times();
        report.stats.events_dropped = self.events_dropped();
    }

    fn times(&self) -> Vec<HookTime> {
        self.accounts.iter().map(|account| account.time()).collect()
    }

    /// A request is about to be signed and sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook) when a hook panics.
    #[inline]
    pub(crate) fn request(&self, request: &mut RequestHead<'_>) -> Result<(), Error> {
        for functional in &self.functional {
            functional.account.call(|| functional.hook.on_request(request))?;
        }
        Ok(())
    }

    /// An answer's head has come.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook): the first refusal or panic.
    #[inline]
    pub(crate) fn response(&self, response: &ResponseHead<'_>) -> Result<(), Error> {
        self.ask(|hook| hook.on_response(response))
    }

    /// What to do after a failed attempt: the first answer that is not [`Verdict::Default`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`](crate::ErrorKind::Hook) when a hook panics.
    pub(crate) fn attempt_failed(&self, attempt: &Attempt<'_>) -> Result<Verdict, Error> {
        self.observers.emit(|| Event::attempt_failed(attempt));
        for Functional { account, hook } in &self.functional {
            let verdict = account.call(|| hook.on_attempt_failed(attempt))?;
            if verdict != Verdict::Default {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Default)
    }

    /// Bytes have come.
    ///
    /// # Errors
    ///
    /// As [`Registry::response`].
    #[inline]
    pub(crate) fn bytes(&self, meta: &FileMeta, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.ask(|hook| hook.on_bytes(meta, offset, bytes))
    }

    /// A range is there.
    ///
    /// # Errors
    ///
    /// As [`Registry::response`].
    #[inline]
    pub(crate) fn chunk(&self, chunk: &ChunkTiming<'_>) -> Result<(), Error> {
        self.observers.emit(|| Event::chunk(chunk));
        self.ask(|hook| hook.on_chunk(chunk))
    }

    #[inline]
    fn ask(&self, call: impl Fn(&dyn FunctionalHook) -> Result<(), String>) -> Result<(), Error> {
        if self.functional.is_empty() {
            return Ok(());
        }
        self.ask_each(call)
    }

    /// Calls follow each other, so the end of one is the beginning of the next.
    fn ask_each(&self, call: impl Fn(&dyn FunctionalHook) -> Result<(), String>) -> Result<(), Error> {
        let mut before = Instant::now();
        for Functional { account, hook } in &self.functional {
            let result = account.call_after(&mut before, || call(hook.as_ref()))?;
            result.map_err(|reason| account.refusal(&reason))?;
        }
        Ok(())
    }
}

impl Stateful {
    fn lock(&self) -> MutexGuard<'_, Box<dyn StatefulHook>> {
        // No panic leaves the lock held: calls are caught inside of it.
        self.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that decides about a file.
    fn ask<T>(&self, call: impl FnOnce(&mut dyn StatefulHook) -> T) -> Result<T, Error> {
        let mut hook = self.lock();
        self.account.call(|| call(hook.as_mut()))
    }

    fn ask_approval(
        &self,
        call: impl FnOnce(&mut dyn StatefulHook) -> Result<(), String>,
    ) -> Result<(), Error> {
        self.ask(call)?.map_err(|reason| self.account.refusal(&reason))
    }

    /// A call that decides about no file.
    fn tell(&self, call: impl FnOnce(&mut dyn StatefulHook)) {
        if !self.account.has_failed() {
            self.note(self.ask(call));
        }
    }

    fn tell_if_idle(&self, call: impl FnOnce(&mut dyn StatefulHook)) {
        let mut hook = match self.hook.try_lock() {
            Ok(hook) => hook,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if !self.account.has_failed() {
            self.note(self.account.call(|| call(hook.as_mut())));
        }
    }

    fn tell_end(&self, report: &Report) {
        if self.account.has_failed() {
            return;
        }
        match self.ask(|hook| hook.on_run_end(report)) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.account.fail(reason),
            Err(panicked) => self.account.fail(panicked.to_string()),
        }
    }

    fn note(&self, result: Result<(), Error>) {
        if let Err(panicked) = result {
            self.account.fail(panicked.to_string());
        }
    }
}

fn check_plan(meta: &FileMeta, plan: &Plan) -> Result<(), String> {
    match plan {
        Plan::Every(0) => Err("plans ranges of no bytes".to_owned()),
        Plan::Every(_) => Ok(()),
        Plan::Cuts(cuts) => check_cuts(meta, cuts),
    }
}

fn check_cuts(meta: &FileMeta, cuts: &[u64]) -> Result<(), String> {
    let range = &meta.range;
    let outside = |cut: &&u64| **cut <= range.start || **cut >= range.end;
    if let Some(cut) = cuts.iter().find(outside) {
        return Err(format!("cuts at {cut}, which does not lie inside of {range:?}"));
    }
    if cuts.is_sorted_by(|one, next| one < next) {
        return Ok(());
    }
    Err("plans cuts that do not grow".to_owned())
}
