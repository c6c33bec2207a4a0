//! What a person at a terminal sees of long work. Nothing where stderr is no terminal.

use std::time::Duration;

use crawler::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// A bar of files that are read.
pub(crate) fn of_files(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    bar.set_style(style("{bar:30} {pos}/{len} files, {per_sec}, {eta} left {msg}"));
    bar
}

/// A line that shows how far a crawl is.
pub(crate) struct CrawlBar(ProgressBar);

impl CrawlBar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(style("{spinner} {bar:20} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// Shows `progress`.
    pub(crate) fn show(&self, progress: &Progress) {
        let totals = &progress.totals;
        self.0.set_length(totals.seen.max(1));
        self.0.set_position(totals.seen.saturating_sub(totals.open));
        self.0.set_message(describe(progress));
    }

    /// Shows what happens after the crawl.
    pub(crate) fn say(&self, text: &'static str) {
        self.0.set_message(text);
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// Pages done, queued and failed, the rate, the amount, the host.
pub(crate) fn describe(progress: &Progress) -> String {
    let totals = &progress.totals;
    let host = progress.current_host.as_deref().unwrap_or("");
    format!(
        "{} done, {} queued, {} failed, {:.0}/s, {} {host}",
        totals.seen.saturating_sub(totals.open),
        totals.open,
        totals.failed + totals.escalated,
        progress.pages_per_second,
        output::bytes(progress.fetched_bytes),
    )
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
