//! Numbers that a seed decides, so that a failure can be repeated.

/// SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; zero when `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.number() % end).unwrap_or_default()
    }

    /// Yes, in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.number() % 100 < u64::from(percent)
    }

    /// One of `things`; `None` when there is none.
    pub fn pick<'t, T>(&mut self, things: &'t [T]) -> Option<&'t T> {
        things.get(self.below(things.len()))
    }

    /// A line of the protocol about `packages`, without its newline: mostly INDEX, and up to three dependencies.
    pub fn line(&mut self, packages: &[impl AsRef<str>]) -> String {
        let mut name = || self.pick(packages).map_or("", AsRef::as_ref);
        let names = [name(), name(), name(), name()];
        match self.below(8) {
            0..4 => format!("INDEX|{}|{}", names[0], names[1..1 + self.below(4)].join(",")),
            4..6 => format!("REMOVE|{}|", names[0]),
            _ => format!("QUERY|{}|", names[0]),
        }
    }
}
