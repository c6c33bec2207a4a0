//! How changes stand in files. A frame holds all changes of one commit, so that they are there together or not at all.
//!
//! | bytes | what, numbers little-endian |
//! |---|---|
//! | 4 | length of what stands behind the checksum, never zero |
//! | 4 | CRC-32C of the length and of what stands behind the checksum |
//! | 8 | the newest revision that was surely kept when the frame was written |
//! | 8, 8, 4, n | for each change: revision, origin, length of its lines, its lines |

use bytes::{Buf, Bytes};
use crc_fast::{CrcAlgorithm, Digest};

use crate::change::{Change, Revision};
use crate::store::StoreError;

/// Length and checksum.
pub(crate) const HEAD_BYTES: usize = 8;

/// What a frame holds at most behind its head.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 30;

const SETTLED_BYTES: usize = 8;
const CHANGE_HEAD_BYTES: usize = 20;

/// What one commit has kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The newest revision that was surely kept when the frame was written.
    pub(crate) settled: Revision,
    pub(crate) changes: Vec<Change>,
}

/// Length and checksum of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    length: u32,
    checksum: u32,
}

impl Head {
    pub(crate) fn parse(bytes: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            length: u32::from_le_bytes([a, b, c, d]),
            checksum: u32::from_le_bytes([e, f, g, h]),
        }
    }

    /// How many bytes stand behind the head, or `None` when no frame has that many.
    pub(crate) fn body_bytes(self) -> Option<usize> {
        let length = usize::try_from(self.length).ok()?;
        (SETTLED_BYTES..=MAX_BODY_BYTES)
            .contains(&length)
            .then_some(length)
    }

    /// Whether `body` is what was written.
    pub(crate) fn matches(self, body: &[u8]) -> bool {
        u32::try_from(body.len()) == Ok(self.length) && checksum(self.length, body) == self.checksum
    }
}

/// Appends the frame of `changes` to `out`, or leaves it as it is when they are too many bytes.
pub(crate) fn encode(settled: Revision, changes: &[Change], out: &mut Vec<u8>) -> Result<(), StoreError> {
    let of_change = |change: &Change| CHANGE_HEAD_BYTES + change.lines.len();
    let length = SETTLED_BYTES + changes.iter().map(of_change).sum::<usize>();
    if length > MAX_BODY_BYTES {
        return Err(StoreError::Unsuited(format!(
            "changes of {length} bytes are too many for one commit; send smaller batches, up to {MAX_BODY_BYTES} bytes"
        )));
    }
    let start = out.len();
    out.reserve(HEAD_BYTES + length);
    out.extend_from_slice(&length_field(length).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&settled.0.to_le_bytes());
    for change in changes {
        out.extend_from_slice(&change.revision.0.to_le_bytes());
        out.extend_from_slice(&change.origin.to_le_bytes());
        out.extend_from_slice(&length_field(change.lines.len()).to_le_bytes());
        out.extend_from_slice(&change.lines);
    }
    let sum = checksum(length_field(length), &out[start + HEAD_BYTES..]);
    out[start + 4..start + HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Reads what stands behind the head; `None` when it is no list of changes. The lines share memory with `body`.
pub(crate) fn decode(mut body: Bytes) -> Option<Frame> {
    let settled = Revision(body.try_get_u64_le().ok()?);
    let mut changes = Vec::new();
    while body.has_remaining() {
        let revision = Revision(body.try_get_u64_le().ok()?);
        let origin = body.try_get_u64_le().ok()?;
        let length = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
        if length > body.len() {
            return None;
        }
        changes.push(Change {
            revision,
            origin,
            lines: body.split_to(length),
        });
    }
    Some(Frame { settled, changes })
}

/// Looks in `bytes`, at every place, for a whole frame that says that `revision` was kept before it.
pub(crate) fn proves_kept(bytes: &[u8], revision: Revision) -> bool {
    (0..bytes.len()).any(|at| is_frame_behind(&bytes[at..], revision))
}

fn is_frame_behind(bytes: &[u8], revision: Revision) -> bool {
    // No server makes so many changes behind one that is not kept. It tells numbers from text, so few checksums are computed.
    const FAR: u64 = 1 << 40;
    let Some((&head, rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let head = Head::parse(head);
    let Some(body) = head.body_bytes().and_then(|length| rest.get(..length)) else {
        return false;
    };
    let settled = body
        .first_chunk()
        .map_or(0, |&settled| u64::from_le_bytes(settled));
    (revision.0..revision.0.saturating_add(FAR)).contains(&settled) && head.matches(body)
}

fn length_field(length: usize) -> u32 {
    u32::try_from(length).expect("a frame has at most MAX_BODY_BYTES, and a part of it not more")
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&length.to_le_bytes());
    digest.update(body);
    u32::try_from(digest.finalize()).expect("CRC-32C has 32 bits")
}
