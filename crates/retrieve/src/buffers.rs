use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The largest buffer: what one read of a socket can bring, small enough to stay in a core's cache until its checksum
/// is computed and it is written.
pub(crate) const PIECE_BYTES: usize = 256 << 10;
const SMALLEST: usize = 4 << 10;
/// Buffers of a file that comes in one piece may be larger.
pub(crate) const WHOLE_BYTES: usize = 1 << 20;
/// Four sizes to each doubling, so that at most a fifth of a buffer is unused.
const STEPS: usize = 4;
const CLASSES: usize = 8 * STEPS + 1;

/// Buffers that are used again: at a gigabyte per second, fresh memory costs more than the copy into it.
pub(crate) struct Buffers {
    free: Vec<Mutex<Vec<Vec<u8>>>>,
    /// Of each class so many bytes are kept at most.
    keep_bytes: usize,
}

/// Memory of this process that was written before; goes back when it is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(crate) fn new(keep_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: std::iter::repeat_with(Mutex::default).take(CLASSES).collect(),
            keep_bytes,
        })
    }

    /// At least `length` bytes, at most [`WHOLE_BYTES`].
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let (class, size) = class_of(length);
        let waiting = self.free.get(class).and_then(|free| lock(free).pop());
        Buffer {
            bytes: waiting.unwrap_or_else(|| vec![0; size]),
            home: Arc::clone(self),
        }
    }
}

/// The class of buffers that hold `length` bytes, and their size.
fn class_of(length: usize) -> (usize, usize) {
    let length = length.clamp(SMALLEST, WHOLE_BYTES);
    let doublings = (length / SMALLEST).ilog2() as usize;
    let base = SMALLEST << doublings;
    let steps = ((length - base) * STEPS).div_ceil(base);
    (doublings * STEPS + steps, base + base / STEPS * steps)
}

/// What a buffer for `length` bytes takes of the budget.
pub(crate) fn cost_of(length: usize) -> u64 {
    class_of(length).1 as u64
}

fn lock(free: &Mutex<Vec<Vec<u8>>>) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buffer {
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(crate) fn filled(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }

    /// The first `length` bytes, without a copy; the buffer goes back when the last clone is dropped.
    pub(crate) fn freeze(self, length: usize) -> Bytes {
        Bytes::from_owner(Frozen { buffer: self, length })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let (class, size) = class_of(bytes.len());
        if let Some(free) = self.home.free.get(class) {
            let mut free = lock(free);
            if (free.len() + 1) * size <= self.home.keep_bytes {
                free.push(bytes);
            }
        }
    }
}

struct Frozen {
    buffer: Buffer,
    length: usize,
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.buffer.filled(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        let buffers = Buffers::new(1 << 20);
        let mut buffer = buffers.take(5_000);
        assert_eq!(buffer.as_mut().len(), 5_120);
        buffer.as_mut()[0] = 7;
        let frozen = buffer.freeze(1);
        assert_eq!(frozen.as_ref(), [7]);
        drop(frozen);
        assert_eq!(buffers.take(5_001).filled(1), [7]);
    }

    #[test]
    fn the_largest_fits() {
        assert_eq!(class_of(WHOLE_BYTES), (CLASSES - 1, WHOLE_BYTES));
        assert_eq!(class_of(0), (0, SMALLEST));
        for length in (1..WHOLE_BYTES).step_by(997) {
            let (class, size) = class_of(length);
            assert!(
                size >= length && (length < SMALLEST || size <= length + length / 4 + 4),
                "{length}: {size}"
            );
            assert_eq!(class_of(size), (class, size));
        }
    }
}
