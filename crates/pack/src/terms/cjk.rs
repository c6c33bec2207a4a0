/// Whether `character` belongs to a script that is written without spaces between words and split into pairs here:
/// Han, Hiragana, Katakana, Bopomofo or Hangul.
pub fn is_cjk(character: char) -> bool {
    matches!(u32::from(character),
        0x1100..=0x11ff | 0x3005..=0x3007 | 0x3031..=0x3035 | 0x3041..=0x3096 | 0x309d..=0x309f | 0x30a1..=0x30fa
        | 0x30fc..=0x30ff | 0x3105..=0x312f | 0x3131..=0x318e | 0x31a0..=0x31bf | 0x31f0..=0x31ff
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xa960..=0xa97c | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xff66..=0xff9f | 0x20000..=0x323af)
}

/// The pairs of neighbouring characters of the runs of CJK characters of `text`, in order. For a query: all of them side by side,
/// in the column `terms`, mean the run. A run of one character gives nothing: ask for the prefix.
pub fn bigrams(text: &str) -> Vec<String> {
    let pair = |(first, second): (char, char)| [first, second].iter().collect();
    runs(text)
        .flat_map(|run| run.chars().zip(run.chars().skip(1)).map(pair))
        .collect()
}

/// Appends the pairs of every run of `text` and its last character to `terms`.
pub(crate) fn append(text: &str, terms: &mut String) {
    if !may_have_cjk(text) {
        return;
    }
    for run in runs(text) {
        for (start, _) in run.char_indices() {
            let rest = &run[start..];
            let end = rest.chars().take(2).map(char::len_utf8).sum();
            if !terms.is_empty() {
                terms.push(' ');
            }
            terms.push_str(&rest[..end]);
        }
    }
}

fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character| !is_cjk(character))
        .filter(|run| !run.is_empty())
}

/// Whether a lead byte of `text` can begin a CJK character; quick, and right for most text.
fn may_have_cjk(text: &str) -> bool {
    // Without an early end, so that many bytes are looked at together.
    let found = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(false, |found, byte| found | (*byte >= 0xe3) | (*byte == 0xe1))
    };
    text.as_bytes().chunks(256).any(found)
}
