use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Who wrote: at one instant, a live update beats a crawl and a crawl beats an orphan delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// The janitor deletes what a crawl no longer found.
    OrphanDelete = 0,
    /// A crawl writes what it fetched.
    Crawl = 1,
    /// The source itself told us.
    Live = 2,
}

/// The total order that decides which write of an item wins: the greater version does.
///
/// One positive 64-bit integer: milliseconds (43 bits), rank (2 bits), sequence (18 bits). A crawl stamps its
/// writes with its *start*, a live update with the time of its event, an orphan delete with the start of the
/// crawl that missed the item. So "live wins" needs no coordination: an event after the start of a crawl beats
/// what the crawl writes whichever arrives first, an event from before loses, and an orphan delete loses to both.
///
/// Versions of different sources are not comparable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

const SEQUENCE_BITS: u32 = 18;
const RANK_BITS: u32 = 2;
const MAX_MILLIS: u64 = (1 << 43) - 1;
const MAX_SEQUENCE: u32 = (1 << SEQUENCE_BITS) - 1;

impl Version {
    /// Less than every version that was ever written.
    pub const NONE: Self = Self(0);

    /// The version of a write at `at` by `rank`, the `sequence`-th of that writer in that millisecond.
    ///
    /// Milliseconds beyond 43 bits (the year 2248) and sequences beyond 18 bits stay at the largest value.
    pub fn new(at: Timestamp, rank: Rank, sequence: u32) -> Self {
        let millis = at.as_millis().min(MAX_MILLIS);
        let sequence = u64::from(sequence.min(MAX_SEQUENCE));
        Self((millis << (RANK_BITS + SEQUENCE_BITS)) | ((rank as u64) << SEQUENCE_BITS) | sequence)
    }

    /// The version as the integer that is stored; at most 2^63 - 1.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// A version from the integer that was stored; what exceeds 63 bits is cut to the largest version.
    pub fn from_u64(value: u64) -> Self {
        Self(value.min(i64::MAX as u64))
    }

    /// The instant of the write.
    pub fn at(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> (RANK_BITS + SEQUENCE_BITS))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rank = (self.0 >> SEQUENCE_BITS) & 0b11;
        write!(
            f,
            "v{}.{rank}.{}",
            self.at().as_millis(),
            self.0 & u64::from(MAX_SEQUENCE)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank() -> impl Strategy<Value = Rank> {
        prop_oneof![Just(Rank::OrphanDelete), Just(Rank::Crawl), Just(Rank::Live)]
    }

    proptest! {
        #[test]
        fn order_is_time_then_rank_then_sequence(
            a in (0..=MAX_MILLIS, rank(), 0..=MAX_SEQUENCE),
            b in (0..=MAX_MILLIS, rank(), 0..=MAX_SEQUENCE),
        ) {
            let version = |(millis, rank, sequence)| Version::new(Timestamp::from_millis(millis), rank, sequence);
            prop_assert_eq!(version(a).cmp(&version(b)), a.cmp(&b));
            prop_assert!(i64::try_from(version(a).as_u64()).is_ok());
            prop_assert_eq!(Version::from_u64(version(a).as_u64()), version(a));
        }
    }

    #[test]
    fn an_orphan_delete_loses_to_its_own_crawl_and_to_live() {
        let start = Timestamp::from_millis(1_000);
        let orphan = Version::new(start, Rank::OrphanDelete, 0);
        assert!(orphan < Version::new(start, Rank::Crawl, 0));
        assert!(Version::new(start, Rank::Crawl, 0) < Version::new(start, Rank::Live, 0));
        assert!(Version::new(Timestamp::from_millis(999), Rank::Live, 9) < orphan);
        assert!(Version::NONE < orphan);
    }
}
