//! Checksums of objects, computed when they are first asked for.

use crate::content::{Checksum, checksum};
use crate::locks::lock;
use std::collections::HashMap;
use std::sync::Mutex;

/// A content (seed and size) and what is to be computed of it.
type Of = (u64, u64, Checksum);

/// The checksums computed so far.
#[derive(Default)]
pub(crate) struct Checksums(Mutex<HashMap<Of, u64>>);

impl Checksums {
    /// Two threads that ask at once may both compute; none waits for another.
    pub(crate) fn get_or_compute(&self, of: Of) -> u64 {
        if let Some(known) = lock(&self.0).get(&of) {
            return *known;
        }
        let computed = checksum(of.0, of.1, of.2);
        lock(&self.0).insert(of, computed);
        computed
    }
}
