use pack::Pack;

use crate::SearchError;
use crate::index::column_sizes;

/// `k1` and `b` of BM25 (Robertson and Zaragoza 2009), as FTS5 has them.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Titles that are looked at to learn what all pages of the host end with.
const TITLE_SAMPLE: u32 = 64;

/// What is kept in memory of an open pack: 14 bytes per passage and 16 per page.
///
/// Passages and pages are known by their number in the order of their ids.
pub(crate) struct Layout {
    /// Ids of passages, ascending.
    passage_ids: Vec<i64>,
    /// The page of each passage.
    page_of: Vec<u32>,
    /// Per passage, how much its length takes away from a word that occurs once.
    damping: Vec<f32>,
    /// The first passage of each page, and the end.
    starts: Vec<u32>,
    /// Words in the title of each page.
    title_words: Vec<u16>,
    /// Words that titles of this host end with, such as its name.
    site_name_words: usize,
}

impl Layout {
    /// Reads the sizes of all passages: some 0.2 seconds per million.
    pub(crate) fn read(pack: &Pack, count_words: &dyn Fn(&str) -> usize) -> Result<Self, SearchError> {
        let mut statement = pack
            .connection()
            .prepare("SELECT id, sz FROM search_docsize ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut layout = Self::empty();
        let mut sizes = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = column_sizes(row.get_ref(1)?.as_blob().unwrap_or_default());
            let title = columns.next().unwrap_or(0);
            layout.add(row.get(0)?, title);
            sizes.push(clamped(title.saturating_add(columns.sum())));
        }
        layout.starts.push(layout.next_passage());
        layout.damping = damping(&sizes);
        layout.site_name_words = site_name(pack)?.map_or(0, |name| count_words(&name));
        Ok(layout)
    }

    fn empty() -> Self {
        Self {
            passage_ids: Vec::new(),
            page_of: Vec::new(),
            damping: Vec::new(),
            starts: Vec::new(),
            title_words: Vec::new(),
            site_name_words: 0,
        }
    }

    fn add(&mut self, id: i64, title_words: u64) {
        let same_page = self
            .passage_ids
            .last()
            .is_some_and(|last| pack::page_of(*last) == pack::page_of(id));
        if !same_page {
            self.starts.push(self.next_passage());
            self.title_words
                .push(u16::try_from(title_words).unwrap_or(u16::MAX));
        }
        self.page_of.push(clamped(self.starts.len() as u64 - 1));
        self.passage_ids.push(id);
    }

    fn next_passage(&self) -> u32 {
        clamped(self.passage_ids.len() as u64)
    }

    pub(crate) fn passages(&self) -> usize {
        self.passage_ids.len()
    }

    pub(crate) fn pages(&self) -> usize {
        self.title_words.len()
    }

    pub(crate) fn passage_id(&self, passage: u32) -> i64 {
        self.passage_ids.get(passage as usize).copied().unwrap_or(0)
    }

    /// The page of a passage.
    pub(crate) fn page_of(&self, passage: u32) -> u32 {
        self.page_of.get(passage as usize).copied().unwrap_or(0)
    }

    /// The passages of a page.
    pub(crate) fn passages_of(&self, page: u32) -> std::ops::Range<u32> {
        let start = |page: usize| self.starts.get(page).copied().unwrap_or(0);
        start(page as usize)..start(page as usize + 1)
    }

    /// The number of the passage with this id, looked for from `from` on, where the one before was found: ids are asked for
    /// in order, so this gallops.
    pub(crate) fn passage(&self, id: i64, from: u32) -> Option<u32> {
        let ids = self.passage_ids.get(from as usize..)?;
        let mut reach = 1;
        while ids.get(reach).is_some_and(|next| *next <= id) {
            reach *= 2;
        }
        let window = ids.get(reach / 2..=reach.min(ids.len().checked_sub(1)?))?;
        let at = reach / 2 + window.binary_search(&id).ok()?;
        Some(from + clamped(at as u64))
    }

    /// What a word contributes that weighs `weight` in this passage: the part of BM25 that depends on the passage.
    pub(crate) fn impact(&self, passage: u32, weight: f32) -> f32 {
        let damping = self.damping.get(passage as usize).copied().unwrap_or(K1);
        weight * (K1 + 1.0) / (weight + damping)
    }

    /// How much of a page's title `words` words are: 1 for all of it, be it with or without the name of the site.
    pub(crate) fn title_share(&self, page: u32, words: usize) -> f32 {
        let title = usize::from(self.title_words.get(page as usize).copied().unwrap_or(0)).max(words);
        let own = title
            .checked_sub(self.site_name_words)
            .filter(|own| *own >= words)
            .unwrap_or(title);
        words as f32 / own.max(1) as f32
    }
}

fn damping(sizes: &[u32]) -> Vec<f32> {
    let total: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    let average = (total as f32 / sizes.len().max(1) as f32).max(1.0);
    sizes
        .iter()
        .map(|size| K1 * (1.0 - B + B * *size as f32 / average))
        .collect()
}

fn clamped(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What most titles end with behind a separator: `Tides` and `Moons` of `Tides - Example`, `Moons - Example` have `Example`.
fn site_name(pack: &Pack) -> Result<Option<String>, SearchError> {
    let mut statement = pack.connection().prepare("SELECT title FROM pages LIMIT ?1")?;
    let titles = statement.query_map([TITLE_SAMPLE], |row| row.get::<_, String>(0))?;
    let endings: Vec<String> = titles
        .filter_map(|title| {
            title
                .map(|title| ending(&title).map(ToOwned::to_owned))
                .transpose()
        })
        .collect::<Result<_, _>>()?;
    let count = |ending: &String| endings.iter().filter(|other| *other == ending).count();
    let most = endings.iter().max_by_key(|ending| count(ending));
    Ok(most
        .filter(|ending| count(ending) >= 3 && 2 * count(ending) > endings.len())
        .cloned())
}

/// What follows the last separator of a title.
fn ending(title: &str) -> Option<&str> {
    let at = [" — ", " – ", " - ", " | ", " · ", " :: ", " » "]
        .into_iter()
        .filter_map(|separator| {
            let at = title.rfind(separator)?;
            Some(at + separator.len())
        });
    title.get(at.max()?..)
}
