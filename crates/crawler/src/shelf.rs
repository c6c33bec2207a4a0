//! Which bytes of a batch go to the archive, and which item they belong to when they come back as keys.

use crawldb::{Attempt, Disposition, Item, Outcome};
use model::ArchiveKey;

use crate::deliver::{Page, Verdict};

/// What is left of a verdict once its bytes are on their way to the archive.
pub(crate) enum Shelved {
    Outcome(Box<Outcome>),
    /// The next extract is its own, and the next content, unless the archive has it already.
    Page(Box<Page>),
}

pub(crate) fn shelve(verdict: Verdict, contents: &mut Vec<Vec<u8>>, extracts: &mut Vec<Vec<u8>>) -> Shelved {
    match verdict {
        Verdict::Plain(outcome) => Shelved::Outcome(outcome),
        // `follow` has left none.
        Verdict::Redirect(_) => Shelved::Outcome(Box::new(Outcome::Released)),
        Verdict::Page(page) if page.noindex => Shelved::Outcome(Box::new(Outcome::Applied {
            checksum: Some(page.checksum),
            disposition: Disposition::Noindex,
            content: None,
            extract: None,
            etag: page.etag,
            last_modified: page.last_modified,
        })),
        Verdict::Page(mut page) => {
            let content = std::mem::take(&mut page.content);
            if page.archived.is_none() {
                contents.push(content);
            }
            extracts.push(std::mem::take(&mut page.extract));
            Shelved::Page(page)
        }
    }
}

pub(crate) fn label(
    open: Vec<(Item, Shelved)>,
    contents: Vec<ArchiveKey>,
    extracts: Vec<ArchiveKey>,
) -> Vec<Attempt> {
    let (mut contents, mut extracts) = (contents.into_iter(), extracts.into_iter());
    let attempt = |(item, shelved)| match shelved {
        Shelved::Outcome(outcome) => Attempt {
            item,
            outcome: *outcome,
        },
        Shelved::Page(page) => {
            let outcome = Outcome::Applied {
                checksum: Some(page.checksum),
                disposition: Disposition::Indexed,
                content: page.archived.or_else(|| contents.next()),
                extract: extracts.next(),
                etag: page.etag,
                last_modified: page.last_modified,
            };
            Attempt { item, outcome }
        }
    };
    open.into_iter().map(attempt).collect()
}
