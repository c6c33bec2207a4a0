//! Observers: a thread and a bounded queue each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::account::Account;
use super::events::Event;
use super::registry::Hooks;
use super::traits::Observer;

/// Looks so often whether a full queue has room again.
const RETRY: Duration = Duration::from_micros(500);

/// All observers of a run.
pub(super) struct Observers {
    began: Instant,
    queues: Vec<Queue>,
    /// Nothing is ever sent on it: it closes when the last thread ends.
    running: Mutex<Receiver<()>>,
    /// Held until all threads are started, which get clones of it.
    alive: Option<Sender<()>>,
}

/// The way to one observer.
struct Queue {
    account: Arc<Account>,
    sender: SyncSender<Message>,
    /// None where the thread could not be started.
    thread: Option<JoinHandle<()>>,
    queued: AtomicU64,
    handled: Arc<AtomicU64>,
    /// What is left of [`Hooks::MAX_WAIT`], in microseconds.
    patience_us: AtomicU64,
}

#[derive(Clone)]
enum Message {
    Event(Duration, Arc<Event>),
    End,
}

impl Observers {
    pub(super) fn new() -> Self {
        let (alive, running) = mpsc::channel();
        Self {
            began: Instant::now(),
            queues: Vec::new(),
            running: Mutex::new(running),
            alive: Some(alive),
        }
    }

    /// Starts the thread of `observer`. Where that fails, its account says so and its events count as dropped.
    pub(super) fn start(&mut self, account: &Arc<Account>, capacity: usize, observer: Box<dyn Observer>) {
        let (sender, receiver) = mpsc::sync_channel(capacity.clamp(1, Hooks::MAX_QUEUE));
        let handled = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            account: Arc::clone(account),
            handled: Arc::clone(&handled),
            observer,
            _alive: self.alive.clone(),
        };
        let name = format!("observe {}", account.name());
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || worker.run(&receiver));
        let thread = thread.map_err(|error| account.fail(format!("no thread for it: {error}")));
        self.queues.push(Queue {
            account: Arc::clone(account),
            sender,
            thread: thread.ok(),
            queued: AtomicU64::new(0),
            handled,
            patience_us: AtomicU64::new(Hooks::MAX_WAIT.as_micros() as u64),
        });
    }

    pub(super) fn all_started(&mut self) {
        self.alive = None;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Gives an event to all who have room for it; it is made only when somebody observes.
    #[inline]
    pub(super) fn emit(&self, event: impl FnOnce() -> Event) {
        if !self.is_empty() {
            self.send(event(), Queue::offer);
        }
    }

    /// The same for an event that should not be missed.
    pub(super) fn emit_last(&self, event: impl FnOnce() -> Event) {
        if !self.is_empty() {
            self.send(event(), Queue::insist);
        }
    }

    fn send(&self, event: Event, how: impl Fn(&Queue, Message)) {
        let message = Message::Event(self.began.elapsed(), Arc::new(event));
        for queue in &self.queues {
            how(queue, message.clone());
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queues.iter().map(|queue| queue.account.dropped()).sum()
    }

    /// Waits until all observers have seen all that is queued and have finished, at most `limit`; what they have not
    /// seen then counts as dropped.
    pub(super) fn finish(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for queue in &self.queues {
            queue.send_until(Message::End, deadline);
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let late = running.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
        for queue in &self.queues {
            queue.settle(late, limit);
        }
    }
}

impl Queue {
    fn offer(&self, message: Message) {
        let sent = self.sender.try_send(message).is_ok();
        self.count(sent);
    }

    /// Waits for room as long as patience lasts.
    fn insist(&self, message: Message) {
        let Err(TrySendError::Full(message)) = self.try_send(message) else {
            return;
        };
        let patience = self.patience_us.load(Relaxed);
        let started = Instant::now();
        let sent = self.send_until(message, started + Duration::from_micros(patience));
        self.count(sent);
        let spent = started.elapsed().as_micros() as u64;
        let left = |left: u64| Some(left.saturating_sub(spent));
        // The closure always gives a value, so there is nothing to learn from the result.
        let _ = self.patience_us.fetch_update(Relaxed, Relaxed, left);
    }

    /// Sends and counts, unless the queue is full.
    fn try_send(&self, message: Message) -> Result<(), TrySendError<Message>> {
        let result = self.sender.try_send(message);
        if !matches!(result, Err(TrySendError::Full(_))) {
            self.count(result.is_ok());
        }
        result
    }

    fn send_until(&self, mut message: Message, deadline: Instant) -> bool {
        loop {
            match self.sender.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => message = back,
                Err(_) => return false,
            }
            thread::sleep(RETRY);
        }
    }

    fn count(&self, sent: bool) {
        if sent {
            self.queued.fetch_add(1, Relaxed);
        } else {
            self.account.drop_events(1);
        }
    }

    fn settle(&self, late: bool, limit: Duration) {
        if late && self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            let seconds = limit.as_secs_f32();
            self.account
                .fail(format!("was still busy {seconds} s after the run"));
        }
        let unseen = self
            .queued
            .load(Relaxed)
            .saturating_sub(self.handled.load(Relaxed));
        self.account.drop_events(unseen);
    }
}

/// An observer on its thread.
struct Worker {
    account: Arc<Account>,
    handled: Arc<AtomicU64>,
    observer: Box<dyn Observer>,
    /// Closes when the thread ends.
    _alive: Option<Sender<()>>,
}

impl Worker {
    fn run(mut self, queue: &Receiver<Message>) {
        if let Err(error) = self.observe(queue) {
            self.account.fail(error.to_string());
        }
    }

    fn observe(&mut self, queue: &Receiver<Message>) -> Result<(), crate::Error> {
        let Self {
            account, observer, ..
        } = self;
        while let Ok(Message::Event(at, event)) = queue.recv() {
            account.call(|| observer.on_event(at, &event))?;
            self.handled.fetch_add(1, Relaxed);
        }
        let finished = account.call(|| observer.finish())?;
        finished.map_err(|reason| account.error(&format!("could not finish: {reason}")))
    }
}
