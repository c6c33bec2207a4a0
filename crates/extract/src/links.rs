use model::PageUrl;
use rustc_hash::FxHashMap;

use crate::{Link, MAX_LINKS};

/// A longer reference cannot be the address of a page.
const MAX_REFERENCE_BYTES: usize = 8192;

/// The references of a page as they are written, each once, in order. They are read only when the page is complete:
/// most pages name the same few targets again and again, and `base` may come late.
#[derive(Debug, Default)]
pub(crate) struct References {
    positions: FxHashMap<Box<[u8]>, usize>,
    /// Each with whether all links to it say `nofollow`.
    nofollow: Vec<bool>,
    /// Whether there were more than [`MAX_LINKS`].
    pub(crate) truncated: bool,
}

impl References {
    /// Takes a reference as it is written.
    pub(crate) fn add(&mut self, reference: &[u8], nofollow: bool) {
        let Some(reference) = page_reference(reference) else {
            return;
        };
        if let Some(position) = self.positions.get(reference) {
            if let Some(all) = self.nofollow.get_mut(*position) {
                *all &= nofollow;
            }
        } else if self.nofollow.len() < MAX_LINKS {
            self.positions.insert(reference.into(), self.nofollow.len());
            self.nofollow.push(nofollow);
        } else {
            self.truncated = true;
        }
    }

    /// The links as seen from `base`, without those to `page` itself.
    pub(crate) fn resolve(self, base: &PageUrl, page: &PageUrl) -> Vec<Link> {
        let mut references: Vec<(usize, Box<[u8]>)> = self
            .positions
            .into_iter()
            .map(|(reference, position)| (position, reference))
            .collect();
        references.sort_unstable_by_key(|(position, _)| *position);

        let mut links: Vec<Link> = Vec::with_capacity(references.len());
        let mut known = FxHashMap::default();
        for ((_, reference), nofollow) in references.into_iter().zip(self.nofollow) {
            let Ok(url) = base.join(&String::from_utf8_lossy(&reference)) else {
                continue;
            };
            if url == *page {
                continue;
            }
            let position = *known.entry(url.clone()).or_insert(links.len());
            match links.get_mut(position) {
                Some(link) => link.nofollow &= nofollow,
                None => links.push(Link { url, nofollow }),
            }
        }
        links
    }
}

/// The reference without fragment and white space, where it may lead to another page.
fn page_reference(reference: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'#', reference).unwrap_or(reference.len());
    let reference = reference.get(..end)?.trim_ascii();
    let is_page =
        !reference.is_empty() && reference.len() <= MAX_REFERENCE_BYTES && has_page_scheme(reference);
    is_page.then_some(reference)
}

/// Whether it has no scheme (RFC 3986 section 3.1) or one of the web.
fn has_page_scheme(reference: &[u8]) -> bool {
    match reference
        .iter()
        .position(|byte| matches!(byte, b':' | b'/' | b'?'))
    {
        Some(at) if reference.get(at) == Some(&b':') => {
            let scheme = reference.get(..at).unwrap_or_default();
            scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
        }
        _ => true,
    }
}
