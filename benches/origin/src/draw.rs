//! Numbers that look random and depend on nothing but what they were made from.

use crate::content::mix;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A sequence of numbers (SplitMix64).
pub(crate) struct Draw {
    state: u64,
}

impl Draw {
    /// The sequence that belongs to a seed and a thing; the same in every process of one build.
    pub(crate) fn new(seed: u64, thing: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, thing).hash(&mut hasher);
        Self {
            state: hasher.finish(),
        }
    }

    fn next(&mut self) -> u64 {
        self.state = mix(self.state);
        self.state
    }

    /// At least 0, less than 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Less than `limit`; 0 if the limit is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Of the standard normal distribution (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
