use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No run takes so long unless it hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// Ends the process when a run hangs, and says which.
pub(crate) struct Watch(Arc<Mutex<HashMap<u64, Instant>>>);

pub(crate) struct Running<'a> {
    watch: &'a Watch,
    seed: u64,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let running: Arc<Mutex<HashMap<u64, Instant>>> = Arc::default();
        let watched = Arc::downgrade(&running);
        std::thread::spawn(move || {
            while let Some(running) = watched.upgrade() {
                for (seed, since) in running.lock().unwrap().iter() {
                    if since.elapsed() > LONGEST {
                        // Nothing else gets out of a test that does not end.
                        let _ = writeln!(std::io::stderr(), "the run of seed {seed} hangs");
                        std::process::exit(101);
                    }
                }
                drop(running);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self(running)
    }

    pub(crate) fn begin(&self, seed: u64) -> Running<'_> {
        self.0.lock().unwrap().insert(seed, Instant::now());
        Running { watch: self, seed }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.watch.0.lock().unwrap().remove(&self.seed);
    }
}
