//! How often something is tried, and when again.

use std::time::Duration;

/// Before the second try, the third, ...: as many tries as the registry counts.
const PAUSES: [Duration; registry::MOST_TRIES as usize - 1] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(8 * 3600),
];

/// How long to wait after so many tries that failed; none: it is given up. `jitter`, from 0 to 1, makes it up to a tenth longer, so that what failed
/// together does not come back together.
pub(crate) fn pause_after(tries: u32, jitter: f64) -> Option<Duration> {
    let pause = PAUSES.get(usize::try_from(tries).ok()?.checked_sub(1)?)?;
    Some(pause.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0))
}

/// A random number from 0 to 1.
pub(crate) fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness, everything comes back on the minute; nothing else depends on it.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let seconds = |tries| pause_after(tries, 0.0).map(|pause| pause.as_secs());
        let pauses: Vec<_> = (0..8).map(seconds).collect();
        let expected = [
            None,
            Some(60),
            Some(300),
            Some(1800),
            Some(7200),
            Some(28800),
            None,
            None,
        ];
        assert_eq!(pauses, expected);
        assert_eq!(pause_after(1, 1.0), Some(Duration::from_secs(66)));
        assert_eq!(pause_after(1, f64::INFINITY), Some(Duration::from_secs(66)));
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        assert!((0..1000).all(|_| (0.0..=1.0).contains(&jitter())));
    }
}
