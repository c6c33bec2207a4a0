//! What may go wrong with an answer, and how often.

use std::str::FromStr;
use std::time::Duration;

/// One way in which an answer goes wrong. "After N bytes" counts bytes of the body; N is drawn below its length, or
/// said by a [`Rule`](crate::Rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The connection is reset (RST) after N bytes; the kernel may drop some that it had not sent yet.
    Reset,
    /// The connection is closed in good order (FIN) after N bytes.
    Close,
    /// Nothing more comes after N bytes, for [`Faults::stall`].
    Stall,
    /// 503 `SlowDown`, with `Retry-After` if [`Faults::retry_after_s`] says so.
    SlowDown,
    /// 500 `InternalError`.
    ServerError,
    /// A 206 that tells and carries another range than the one asked for.
    WrongRange,
    /// A 206 whose `Content-Range` tells another size of the object.
    WrongTotal,
    /// A 200 with the whole object for a request of a range.
    WholeBody,
    /// The right bytes under another entity tag, in spite of `If-Match`.
    ChangedEtag,
    /// Other bytes than the object's from N on. Only a checksum can tell.
    Corrupt,
    /// No `Content-Length`: the body ends with the connection.
    CloseDelimited,
    /// No `Content-Length`: the body is chunked.
    Chunked,
    /// A status line that is none.
    Garbage,
    /// No answer at all, until the client closes.
    Silent,
    /// The answer is right, and the object is overwritten by its [`next_version`](crate::Object::next_version)
    /// while it is sent.
    Overwrite,
}

/// Every fault with its name on a command line.
const NAMES: [(Fault, &str); 15] = [
    (Fault::Reset, "reset"),
    (Fault::Close, "close"),
    (Fault::Stall, "stall"),
    (Fault::SlowDown, "slow-down"),
    (Fault::ServerError, "server-error"),
    (Fault::WrongRange, "wrong-range"),
    (Fault::WrongTotal, "wrong-total"),
    (Fault::WholeBody, "whole-body"),
    (Fault::ChangedEtag, "changed-etag"),
    (Fault::Corrupt, "corrupt"),
    (Fault::CloseDelimited, "close-delimited"),
    (Fault::Chunked, "chunked"),
    (Fault::Garbage, "garbage"),
    (Fault::Silent, "silent"),
    (Fault::Overwrite, "overwrite"),
];

impl Fault {
    /// Every fault.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(fault, _)| fault)
    }

    /// Whether the fault makes sense for an answer without a body of an object: an error, or a page of a list.
    pub(crate) fn suits_lists(self) -> bool {
        use Fault::{Close, Garbage, Reset, ServerError, Silent, SlowDown, Stall};
        matches!(
            self,
            Reset | Close | Stall | SlowDown | ServerError | Garbage | Silent
        )
    }
}

/// A fault that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown fault `{0}`; there are reset, close, stall, slow-down, server-error, wrong-range, wrong-total, whole-body, changed-etag, corrupt, close-delimited, chunked, garbage, silent and overwrite"
)]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let known = NAMES.into_iter().find(|(_, known)| *known == name);
        known
            .map(|(fault, _)| fault)
            .ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

/// How often each fault strikes. A request meets at most one.
///
/// Whether it does is a function of the seed, the key, the range, and how many times this very request was seen in
/// this bucket since the faults were set.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// Another seed, other faults.
    pub seed: u64,
    /// How long a stall lasts before the rest follows; `None` is until the client closes.
    pub stall: Option<Duration>,
    /// The seconds that a `SlowDown` asks the client to wait, if it does.
    pub retry_after_s: Option<u64>,
    /// One range of one object meets at most so many.
    pub max_per_range: u32,
    /// One object meets at most so many, over all its ranges.
    pub max_per_object: u32,
    /// Whether pages of lists meet those that suit them.
    pub lists: bool,
    /// How often each one strikes; see [`Faults::with`].
    pub probabilities: Probabilities,
}

/// A probability (0 to 1) for each fault; none by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probabilities([f64; NAMES.len()]);

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self {
            seed: 0,
            stall: None,
            retry_after_s: None,
            max_per_range: u32::MAX,
            max_per_object: u32::MAX,
            lists: false,
            probabilities: Probabilities::default(),
        }
    }

    /// The same with a probability (0 to 1) of one fault. If all together exceed 1, the last ones yield.
    #[must_use]
    pub fn with(mut self, fault: Fault, probability: f64) -> Self {
        self.probabilities.0[fault as usize] = probability;
        self
    }

    /// The same with another seed.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with at most `count` faults for one range of one object, so that a client that tries again succeeds.
    #[must_use]
    pub fn at_most(self, count: u32) -> Self {
        Self {
            max_per_range: count,
            ..self
        }
    }

    /// The probability of a fault.
    #[must_use]
    pub fn probability(&self, fault: Fault) -> f64 {
        self.probabilities.0[fault as usize]
    }

    /// Whether none can strike.
    pub(crate) fn is_none(&self) -> bool {
        self.probabilities.0.iter().all(|probability| *probability <= 0.0)
    }

    /// The fault that a number of the unit interval stands for.
    pub(crate) fn pick(&self, mut number: f64) -> Option<Fault> {
        for (fault, _) in NAMES {
            number -= self.probability(fault);
            if number < 0.0 {
                return Some(fault);
            }
        }
        None
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}
