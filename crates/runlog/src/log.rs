use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::error::LogError;
use crate::line::Line;
use crate::packed::Packed;
use crate::plain::Plain;
use crate::record::read_lines;

/// Between two looks of a follower that has seen everything: people cannot read faster, and a program that writes line by line would wake
/// every follower for each of them.
const PACE: Duration = Duration::from_millis(50);

/// A log, to be read.
#[derive(Clone)]
pub struct Log {
    kept: Arc<Kept>,
    extent: watch::Receiver<Extent>,
}

/// Where the lines are.
pub(crate) enum Kept {
    Plain(Arc<Plain>),
    Packed(Packed),
}

/// How much of a log there is.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) lines: u64,
    pub(crate) is_over: bool,
}

impl Log {
    /// A log that is written.
    pub(crate) fn live(plain: Arc<Plain>, extent: watch::Receiver<Extent>) -> Self {
        Self {
            kept: Arc::new(Kept::Plain(plain)),
            extent,
        }
    }

    /// A log that nobody writes.
    pub(crate) fn over(kept: Kept) -> Self {
        let lines = match &kept {
            Kept::Plain(plain) => plain.end().line - 1,
            Kept::Packed(packed) => packed.lines(),
        };
        let (_, extent) = watch::channel(Extent { lines, is_over: true });
        Self {
            kept: Arc::new(kept),
            extent,
        }
    }

    /// Whether it is still written.
    pub fn is_live(&self) -> bool {
        !self.extent.borrow().is_over
    }

    /// How many lines it has by now.
    pub fn lines(&self) -> u64 {
        self.extent.borrow().lines
    }

    /// Some lines after number `after` (0: the first ones), in order and without gaps; none where there are none yet. What is no longer in memory is
    /// read from the file, at most a few hundred KiB at a time.
    pub fn read(&self, after: u64) -> Result<Vec<Line>, LogError> {
        if after >= self.lines() {
            return Ok(Vec::new());
        }
        match self.kept.recent(after) {
            Some(lines) => Ok(lines),
            None => self.kept.read(after),
        }
    }

    /// The last `lines` lines.
    pub fn tail(&self, lines: usize) -> Result<Vec<Line>, LogError> {
        let mut last = Vec::new();
        let end = self.lines();
        let mut after = end.saturating_sub(lines as u64);
        while after < end {
            last.extend(self.read(after)?);
            after = last.last().map_or(end, |line| line.number);
        }
        Ok(last)
    }

    /// Lines after number `after` (0: from the first), and further ones as they come, until the run is over.
    pub fn follow(&self, after: u64) -> Follow {
        Follow {
            log: self.clone(),
            after,
            not_before: None,
        }
    }
}

impl Kept {
    /// Lines after number `after`, where they are in memory.
    fn recent(&self, after: u64) -> Option<Vec<Line>> {
        match self {
            Self::Plain(plain) => plain.recent(after),
            Self::Packed(_) => None,
        }
    }

    /// Lines of one block after number `after`, from the file. There must be some.
    fn read(&self, after: u64) -> Result<Vec<Line>, LogError> {
        let (block, path) = match self {
            Self::Plain(plain) => (plain.block(after)?, plain.path()),
            Self::Packed(packed) => (packed.block(after)?, packed.path()),
        };
        let mut lines = Vec::new();
        let whole = block.and_then(|block| read_lines(&block.records, block.first, after, &mut lines));
        match whole {
            Some(()) if !lines.is_empty() => Ok(lines),
            _ => Err(LogError::damaged(
                path,
                "a block does not hold the lines that it should",
            )),
        }
    }
}

/// Follows a log. A slow follower reads from the file what is no longer in memory: it misses nothing, and the writer never waits for it.
pub struct Follow {
    log: Log,
    after: u64,
    not_before: Option<Instant>,
}

impl Follow {
    /// The next lines, one at least, waiting for them; none when the run is over and everything was read. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Vec<Line>>, LogError> {
        if let Some(instant) = self.not_before {
            tokio::time::sleep_until(instant).await;
        }
        if !self.has_more().await {
            return Ok(None);
        }
        let lines = self.read().await?;
        self.after = lines.last().map_or(self.after, |line| line.number);
        let has_all = self.after >= self.log.lines();
        self.not_before = has_all.then(|| Instant::now() + PACE);
        Ok(Some(lines))
    }

    /// Waits until there are more lines; false when there never will be.
    async fn has_more(&mut self) -> bool {
        let after = self.after;
        let ready = |extent: &Extent| extent.lines > after || extent.is_over;
        let extent = self.log.extent.wait_for(ready).await;
        // Without a writer there is nothing to wait for; it says so before it goes.
        extent.is_ok_and(|extent| extent.lines > after)
    }

    async fn read(&self) -> Result<Vec<Line>, LogError> {
        if let Some(lines) = self.log.kept.recent(self.after) {
            return Ok(lines);
        }
        let (kept, after) = (Arc::clone(&self.log.kept), self.after);
        match spawn_blocking(move || kept.read(after)).await {
            Ok(lines) => lines,
            // The process ends.
            Err(_) => Ok(Vec::new()),
        }
    }
}
