/// Bytes that are classified together, one bit each.
const WINDOW: usize = 64;

/// The runs of a text: the longest pieces without an ASCII character that is neither letter nor digit, as byte ranges.
///
/// ```text
/// don't panic: 北京—2008   has the runs   don, t, panic, 北京—2008
/// ```
pub(crate) struct Runs<'a> {
    bytes: &'a [u8],
    /// Where the window ends.
    end: usize,
    /// Where a run begins or ends in the window, from the lowest bit.
    edges: u64,
    /// Whether the last byte of the window belongs to a run.
    open: bool,
}

impl<'a> Runs<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            end: 0,
            edges: 0,
            open: false,
        }
    }

    /// The next place where a run begins or ends.
    #[inline]
    fn next_edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            if self.end >= self.bytes.len() {
                return None;
            }
            self.read_window();
        }
        let edge = self.end - WINDOW + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(edge)
    }

    #[inline]
    fn read_window(&mut self) {
        let rest = &self.bytes[self.end..];
        let in_run = match rest.first_chunk() {
            Some(window) => bits(window),
            None => {
                // What pads the last window is no part of a run.
                let mut window = [0; WINDOW];
                window[..rest.len()].copy_from_slice(rest);
                bits(&window)
            }
        };
        self.edges = in_run ^ (in_run << 1 | u64::from(self.open));
        self.open = in_run >> (WINDOW - 1) == 1;
        self.end += WINDOW;
    }
}

impl Iterator for Runs<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.next_edge()?;
        Some((start, self.next_edge().unwrap_or(self.bytes.len())))
    }
}

/// One bit for every byte: whether it belongs to a run.
#[inline]
fn bits(window: &[u8; WINDOW]) -> u64 {
    let mut flags = [0; WINDOW];
    for (flag, byte) in flags.iter_mut().zip(window) {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let is_digit = byte.wrapping_sub(b'0') < 10;
        *flag = u8::from(is_letter | is_digit | (*byte >= 0x80));
    }
    let (eights, _) = flags.as_chunks::<8>();
    let mut bits = 0;
    for (at, eight) in eights.iter().enumerate() {
        // Moves the lowest bit of every byte into the highest byte, in order.
        let packed = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= packed << (8 * at);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) {
        let expected: Vec<&str> = text
            .split(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric())
            .filter(|run| !run.is_empty())
            .collect();
        let runs: Vec<&str> = Runs::of(text).map(|(start, end)| &text[start..end]).collect();
        assert_eq!(runs, expected);
    }

    #[test]
    fn splits_where_ascii_punctuation_stands() {
        check("don't panic: 北京—2008");
        check("");
        check("   ");
        for length in 60..70 {
            check(&"x".repeat(length));
            check(&format!("{} y", "x".repeat(length)));
            check(&" ".repeat(length));
        }
        check(&(0..=255u8).map(char::from).collect::<String>());
    }

    proptest! {
        #[test]
        fn splits_any_text(text in "([a-zA-Z0-9]{0,20}[ -~é]){0,40}") {
            check(&text);
        }
    }
}
