//! Effects for particular requests: "the first range of this object is slow", "its second request is reset".

use crate::Fault;
use std::ops::Range;
use std::time::Duration;

/// An effect and the requests that it is for. The first rule that matches a request decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// A key, or the beginning of keys followed by `*`.
    pub keys: String,
    /// The first byte asked for lies in here; a request without a range asks from 0.
    pub offsets: Range<u64>,
    /// Only the requests of a key with these numbers, counting from 1 those that match keys and offsets.
    pub requests: Range<u64>,
    /// What happens to them.
    pub effect: Effect,
}

/// What a rule does to a request. What it leaves open comes from the bucket's shaping and faults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effect {
    /// Time to the first byte.
    pub delay: Option<Duration>,
    /// Bytes per second.
    pub rate: Option<u64>,
    /// A fault.
    pub fault: Option<Fault>,
    /// Where in the body the fault strikes; `None` draws it.
    pub after_bytes: Option<u64>,
}

impl Rule {
    /// A rule for every request of the keys.
    #[must_use]
    pub fn new(keys: impl Into<String>, effect: Effect) -> Self {
        Self {
            keys: keys.into(),
            offsets: 0..u64::MAX,
            requests: 1..u64::MAX,
            effect,
        }
    }

    /// The same for requests that begin in `offsets`.
    #[must_use]
    pub fn at(self, offsets: Range<u64>) -> Self {
        Self { offsets, ..self }
    }

    /// The same for the `number`th of those requests of a key, counting from 1.
    #[must_use]
    pub fn nth(self, number: u64) -> Self {
        Self {
            requests: number..number + 1,
            ..self
        }
    }

    pub(crate) fn matches(&self, key: &str, offset: u64) -> bool {
        let is_key = match self.keys.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == self.keys,
        };
        is_key && self.offsets.contains(&offset)
    }
}

impl Effect {
    /// Time to the first byte, and nothing else.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        let delay = Some(delay);
        Self {
            delay,
            ..Self::default()
        }
    }

    /// A rate in bytes per second, and nothing else.
    #[must_use]
    pub fn rate(bytes_per_second: u64) -> Self {
        let rate = Some(bytes_per_second);
        Self {
            rate,
            ..Self::default()
        }
    }

    /// A fault after `after_bytes` of the body, and nothing else.
    #[must_use]
    pub fn fault(fault: Fault, after_bytes: u64) -> Self {
        let (fault, after_bytes) = (Some(fault), Some(after_bytes));
        Self {
            fault,
            after_bytes,
            ..Self::default()
        }
    }
}
