//! What one run of a program costs, as the kernel counts it, and the median of several.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4;

/// What one run cost.
#[derive(Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) wall_s: f64,
    /// User and system time, of the children that it waited for too.
    pub(super) cpu_s: f64,
    /// Of the largest process.
    pub(super) memory_mib: f64,
}

/// Runs `command` to its end; what it says goes to the file `log`.
pub(super) fn cost_of(command: &mut Command, log: &Path) -> Result<Cost> {
    let output = File::create(log)?;
    command.stdout(output.try_clone()?).stderr(output);
    cost(command, log)
}

/// Runs `command` to its end; what it writes to its standard output goes nowhere, because that is what is measured.
pub(super) fn cost_to_nobody(command: &mut Command, log: &Path) -> Result<Cost> {
    command.stdout(Stdio::null()).stderr(File::create(log)?);
    cost(command, log)
}

fn cost(command: &mut Command, log: &Path) -> Result<Cost> {
    command.stdin(Stdio::null());
    let started = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let ended = child.wait4()?;
    let wall_s = started.elapsed().as_secs_f64();
    if !ended.status.success() {
        bail!("{command:?} ended with {}, see {}", ended.status, log.display());
    }
    Ok(Cost {
        wall_s,
        cpu_s: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        memory_mib: ended.rusage.maxrss as f64 / f64::from(1 << 20),
    })
}

/// The median of each figure.
pub(super) fn median_cost(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| median(costs.iter().map(figure).collect());
    Cost {
        wall_s: of(|cost| cost.wall_s),
        cpu_s: of(|cost| cost.cpu_s),
        memory_mib: of(|cost| cost.memory_mib),
    }
}

/// The middle value; 0 of none.
pub(super) fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

/// The value that `percent` percent of the values do not exceed; 0 of none.
pub(super) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_values_that_occurred() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(percentile((1..=100).map(f64::from).collect(), 99), 100.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
