//! SQLite's variable-length integers: big-endian groups of 7 bits, at most 9 bytes, the ninth with 8 bits.

/// The most bytes that one takes.
pub(crate) const MAX_BYTES: usize = 9;

/// Appends `value`.
#[inline]
pub(crate) fn push(buffer: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        buffer.push(value as u8);
    } else {
        push_long(buffer, value);
    }
}

fn push_long(buffer: &mut Vec<u8>, value: u64) {
    if value >= 1 << 56 {
        for group in (1..9).rev() {
            buffer.push((value >> (8 + 7 * (group - 1))) as u8 | 0x80);
        }
        buffer.push(value as u8);
        return;
    }
    let groups = (63 - value.leading_zeros()) / 7;
    for group in (1..=groups).rev() {
        buffer.push((value >> (7 * group)) as u8 | 0x80);
    }
    buffer.push(value as u8 & 0x7f);
}

/// The first value of `bytes` and how many bytes it takes; what is cut off counts as zero bits.
#[inline]
pub(crate) fn read(bytes: &[u8]) -> (u64, usize) {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        if at == MAX_BYTES - 1 {
            return (value << 8 | u64::from(byte), MAX_BYTES);
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return (value, at + 1);
        }
    }
    (value, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for shift in 0..64 {
            for value in [1 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                push(&mut bytes, value);
                assert_eq!(read(&bytes), (value, bytes.len()), "{value:#x}");
            }
        }
    }

    #[test]
    fn writes_as_the_file_format_says() {
        let bytes = |value| {
            let mut bytes = Vec::new();
            push(&mut bytes, value);
            bytes
        };
        assert_eq!(bytes(0), [0]);
        assert_eq!(bytes(0x80), [0x81, 0]);
        assert_eq!(bytes(0x4000), [0x81, 0x80, 0]);
        assert_eq!(
            bytes((1 << 56) - 1),
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
        );
        assert_eq!(bytes(u64::MAX), [0xff; 9]);
    }
}
