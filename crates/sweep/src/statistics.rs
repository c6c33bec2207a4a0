//! What several rounds say together.

use serde::{Deserialize, Serialize};

/// The confidence that intervals aim at.
const CONFIDENCE: f64 = 0.95;

/// A figure over all rounds. Quartiles are interpolated linearly between the two nearest values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// From the first quartile to the third.
    pub iqr: f64,
}

impl Spread {
    /// Of `values`, which must be finite; none of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(values);
        Some(Self {
            median: quantile(&sorted, 0.5)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
            iqr: quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?,
        })
    }
}

/// How one configuration compares with another, round by round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The lower end of the interval of that median.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The probability that the interval holds the median: 0.95 or more, or what so few rounds allow.
    pub confidence: f64,
    /// Rounds in which both ended well.
    pub rounds: usize,
}

impl Ratio {
    /// Of pairs (this one, the one that it is compared with), each from one round. Pairs with a 0 are left out.
    ///
    /// The interval is that of the sign test: two of the sorted ratios. A ratio is above the true median with
    /// probability 1/2, whatever its distribution, so the number of those above is binomial, and the k-th smallest and
    /// the k-th largest of n enclose it with probability 1 - 2 P(B(n, 1/2) < k). The largest k that leaves 0.95 is taken.
    pub fn paired(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let whole = pairs
            .into_iter()
            .filter(|(this, other)| *this > 0.0 && *other > 0.0);
        let ratios = sorted(whole.map(|(this, other)| this / other));
        let (k, confidence) = order(ratios.len());
        Some(Self {
            median: quantile(&ratios, 0.5)?,
            low: *ratios.get(k)?,
            high: *ratios.get(ratios.len() - 1 - k)?,
            confidence,
            rounds: ratios.len(),
        })
    }

    /// Whether the interval holds 1: no difference is shown.
    pub fn may_be_one(&self) -> bool {
        self.low <= 1.0 && self.high >= 1.0
    }
}

/// How many of the smallest, and of the largest, of `n` values lie outside the interval, and the confidence that is left.
fn order(n: usize) -> (usize, f64) {
    let mut outside = 0.0;
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut best = (0, 0.0);
    for k in 0..n.div_ceil(2) {
        outside += term;
        let confidence = (1.0 - 2.0 * outside).max(0.0);
        if k > 0 && confidence < CONFIDENCE {
            break;
        }
        best = (k, confidence);
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    best
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let low = *sorted.get(below)?;
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    Some(low + (high - low) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_that_of_the_sorted_values() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            (spread.median, spread.min, spread.max, spread.iqr),
            (3.0, 1.0, 5.0, 2.0)
        );
        let even = Spread::of([1.0, 2.0, 3.0, 10.0]).unwrap();
        assert_eq!((even.median, even.iqr), (2.5, 4.75 - 1.75));
        let one = Spread::of([7.0]).unwrap();
        assert_eq!((one.median, one.iqr), (7.0, 0.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn an_interval_is_as_wide_as_the_sign_test_wants() {
        // Tables of the sign test: n, ranks that are left out on each side, confidence.
        for (n, left_out, confidence) in [
            (1, 0, 0.0),
            (2, 0, 0.5),
            (5, 0, 0.9375),
            (6, 0, 0.96875),
            (8, 0, 0.9922),
            (9, 1, 0.9609),
            (10, 1, 0.9785),
            (20, 5, 0.9586),
            (100, 39, 0.9648),
        ] {
            let (k, found) = order(n);
            assert_eq!(k, left_out, "{n}");
            assert!((found - confidence).abs() < 1e-4, "{n}: {found}");
        }
    }

    #[test]
    fn a_ratio_is_paired_by_round() {
        // A machine that slows down for both does not hide that one is twice as fast.
        let ratio = Ratio::paired([
            (20.0, 10.0),
            (10.0, 5.0),
            (2.1, 1.0),
            (8.0, 4.0),
            (1.9, 1.0),
            (4.0, 0.0),
        ])
        .unwrap();
        assert_eq!((ratio.median, ratio.rounds), (2.0, 5));
        assert_eq!((ratio.low, ratio.high, ratio.confidence), (1.9, 2.1, 0.9375));
        assert!(!ratio.may_be_one());
        assert_eq!(Ratio::paired([]), None);
    }

    #[test]
    fn intervals_hold_the_median_as_often_as_they_say() {
        let mut seed = 1;
        let mut unit = || {
            seed = crate::shuffle::mixed(seed);
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        let held = (0..4000).filter(|_| {
            let ratio = Ratio::paired((0..9).map(|_| (unit().powi(3) + 0.001, 1.0))).unwrap();
            let median = 0.125 + 0.001;
            ratio.low <= median && median <= ratio.high
        });
        let share = held.count() as f64 / 4000.0;
        assert!((share - 0.9609).abs() < 0.015, "{share}");
    }
}
