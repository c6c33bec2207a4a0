use anyhow::Result;
use model::ScraperId;
use registry::{Missed, Overlap, ScraperSettings};

use crate::cli::{Settings, WhenBusy, WhenMissed};

/// Puts what was given over what is set.
pub(super) fn apply(given: &Settings, to: &mut ScraperSettings) -> Result<()> {
    fn put<T: Clone>(given: Option<&T>, to: &mut T) {
        if let Some(given) = given {
            *to = given.clone();
        }
    }
    put(given.description.as_ref(), &mut to.description);
    if let Some(schedule) = &given.schedule {
        to.schedule = (schedule != "none").then(|| schedule.clone());
    }
    if let Some(after) = &given.after {
        to.after = match after.as_str() {
            "none" => None,
            after => Some(after.parse::<ScraperId>()?),
        };
    }
    put(given.overlap.map(overlap).as_ref(), &mut to.overlap);
    put(given.missed.map(missed).as_ref(), &mut to.missed);
    put(given.memory_mib.as_ref(), &mut to.limits.memory_mib);
    put(given.disk_mib.as_ref(), &mut to.limits.disk_mib);
    put(given.run_seconds.as_ref(), &mut to.limits.run_seconds);
    put(given.log_lines.as_ref(), &mut to.limits.log_lines);
    put(given.keep_versions.as_ref(), &mut to.keep_versions);
    put(given.keep_after_failure.as_ref(), &mut to.keep_after_failure);
    if let Some(columns) = &given.ignore_columns {
        let columns = columns
            .split(',')
            .map(str::trim)
            .filter(|column| !column.is_empty());
        to.ignore_columns = columns.map(ToOwned::to_owned).collect();
    }
    put(given.pause_after_failures.as_ref(), &mut to.pause_after_failures);
    put(given.record.as_ref(), &mut to.record);
    put(given.public.as_ref(), &mut to.public);
    Ok(())
}

fn overlap(busy: WhenBusy) -> Overlap {
    match busy {
        WhenBusy::Skip => Overlap::Skip,
        WhenBusy::Queue => Overlap::Queue,
        WhenBusy::Cancel => Overlap::Cancel,
    }
}

fn missed(missed: WhenMissed) -> Missed {
    match missed {
        WhenMissed::Skip => Missed::Skip,
        WhenMissed::Once => Missed::Once,
    }
}
