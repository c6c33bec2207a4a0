use std::io::{self, BufWriter, Write};
use std::time::Duration;

use serde::Serialize;

use crate::hooks::{Event, Observer};

/// Lines that wait in memory for this long at most, as long as events come; ticks do.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Writes events as JSON Lines; `docs/events.md` describes them. What cannot be written is reported at the run's end,
/// and does not stop the run.
pub struct EventLog<W: Write + Send> {
    out: BufWriter<W>,
    flushed_at: Duration,
    failure: Option<io::Error>,
}

#[derive(Serialize)]
struct Line<'a> {
    t_ms: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W: Write + Send> EventLog<W> {
    /// Writes to `out`, in pieces of up to 64 KiB.
    pub fn new(out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(64 << 10, out),
            flushed_at: Duration::ZERO,
            failure: None,
        }
    }

    fn write(&mut self, at: Duration, event: &Event) -> io::Result<()> {
        let t_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        serde_json::to_writer(&mut self.out, &Line { t_ms, event })?;
        self.out.write_all(b"\n")?;
        if at.saturating_sub(self.flushed_at) < FLUSH_EVERY {
            return Ok(());
        }
        self.flushed_at = at;
        self.out.flush()
    }
}

impl<W: Write + Send> Observer for EventLog<W> {
    fn name(&self) -> &str {
        "events"
    }

    fn on_event(&mut self, at: Duration, event: &Event) {
        if self.failure.is_none() {
            self.failure = self.write(at, event).err();
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        let result = self.failure.take().map_or_else(|| self.out.flush(), Err);
        result.map_err(|error| format!("the log of events is not whole: {error}"))
    }
}
