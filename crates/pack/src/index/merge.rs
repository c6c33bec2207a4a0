use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::index::inversion::InvertedBlock;
use crate::index::segment::{SegmentWriter, Stored};

/// Rows to store that are handed over together.
const BATCH: usize = 256;

/// Merges blocks, which are in the order of their rows, into a segment; rows to store go to `on_stored`, which says whether
/// to go on. Returns the number of leaves.
pub(crate) fn merge(
    blocks: &[InvertedBlock],
    segment: &mut SegmentWriter,
    mut on_stored: impl FnMut(Vec<Stored>) -> bool,
) -> u64 {
    let term = |block: usize, index: usize| Some(Reverse((blocks[block].get(index)?.0, block, index)));
    let mut next: BinaryHeap<_> = (0..blocks.len()).filter_map(|block| term(block, 0)).collect();
    let mut before: &[u8] = &[];
    while let Some(mut least) = next.peek_mut() {
        let Reverse((bytes, block, index)) = *least;
        match term(block, index + 1) {
            Some(following) => *least = following,
            None => drop(std::collections::binary_heap::PeekMut::pop(least)),
        }
        if bytes != before {
            if segment.ready() >= BATCH && !on_stored(segment.take_stored()) {
                break;
            }
            segment.begin_term(bytes);
            before = bytes;
        }
        if let Some((_, doclist)) = blocks[block].get(index) {
            segment.append(doclist);
        }
    }
    let leaves = segment.finish();
    on_stored(segment.take_stored());
    leaves
}
