use std::cmp::Ordering;

use rustc_hash::FxHashMap;

use crate::layout::Layout;
use crate::postings::Posting;

/// How much a page gains whose title is what was asked for: its score doubles twice.
const TITLE_GAIN: f32 = 3.0;
/// What is left of the gain where the words stand inside the title, not at its beginning.
const INSIDE_TITLE: f32 = 0.5;

/// A page that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// By number.
    pub(crate) page: u32,
    /// The passage of it that says most.
    pub(crate) passage: u32,
    pub(crate) rank: Rank,
}

/// The order of answers, best first: pages that are called exactly so, pages with everything in one passage, the others; then by
/// score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rank {
    pub(crate) named_so: bool,
    pub(crate) together: bool,
    pub(crate) score: f32,
}

impl Rank {
    /// Less is better.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let tier = |rank: &Self| (rank.named_so, rank.together);
        tier(other)
            .cmp(&tier(self))
            .then_with(|| other.score.total_cmp(&self.score))
    }
}

/// How many passages there are and how many of them match each group, in all packs that are asked together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) passages: u64,
    pub(crate) matching: Vec<u64>,
}

impl Statistics {
    pub(crate) fn add(&mut self, other: &Self) {
        self.passages += other.passages;
        self.matching
            .resize(self.matching.len().max(other.matching.len()), 0);
        for (sum, more) in self.matching.iter_mut().zip(&other.matching) {
            *sum += more;
        }
    }

    /// What each group weighs: the rarer, the more. Always above zero (the `+ 1` is Lucene's).
    fn weights(&self) -> Vec<f32> {
        let weight = |matching: &u64| {
            let (all, matching) = (self.passages as f32, *matching as f32);
            (1.0 + (all - matching + 0.5).max(0.0) / (matching + 0.5)).ln()
        };
        self.matching.iter().map(weight).collect()
    }
}

/// What was found in one pack.
#[derive(Default)]
pub(crate) struct Found {
    /// Per group.
    pub(crate) groups: Vec<Vec<Posting>>,
    /// Pages whose title contains the words side by side, and whether it begins with them.
    pub(crate) titles: FxHashMap<u32, bool>,
    /// How many words these are.
    pub(crate) title_words: usize,
}

impl Found {
    pub(crate) fn statistics(&self, layout: &Layout) -> Statistics {
        Statistics {
            passages: layout.passages() as u64,
            matching: self.groups.iter().map(|group| group.len() as u64).collect(),
        }
    }

    /// Every page that has a match of every group somewhere, in order of the pages.
    pub(crate) fn matches(&self, layout: &Layout, statistics: &Statistics) -> Vec<Match> {
        let weights = statistics.weights();
        let mut rest: Vec<&[Posting]> = self.groups.iter().map(Vec::as_slice).collect();
        let mut matches = Vec::new();
        let mut scratch = Scratch::default();
        while let Some(page) = next_common_page(&mut rest, layout) {
            scratch.clear();
            for (group, (rest, weight)) in rest.iter_mut().zip(&weights).enumerate() {
                scratch.take(rest, layout.passages_of(page).end, group, *weight);
            }
            matches.push(self.titled(scratch.best(page, self.groups.len()), layout));
        }
        matches
    }

    fn titled(&self, mut found: Match, layout: &Layout) -> Match {
        let Some(at_start) = self.titles.get(&found.page) else {
            return found;
        };
        let share = layout.title_share(found.page, self.title_words);
        let place = if *at_start { 1.0 } else { INSIDE_TITLE };
        found.rank.named_so = *at_start && share >= 1.0;
        found.rank.score *= 1.0 + TITLE_GAIN * share * place;
        found
    }
}

/// Skips, in every group, what lies before the next page that all groups have; says which that is.
fn next_common_page(groups: &mut [&[Posting]], layout: &Layout) -> Option<u32> {
    let mut page = 0;
    loop {
        let mut agreed = true;
        let start = layout.passages_of(page).start;
        for group in groups.iter_mut() {
            skip_to(group, start);
            let next = layout.page_of(group.first()?.passage);
            if next > page {
                page = next;
                agreed = false;
                break;
            }
        }
        if agreed {
            return (!groups.is_empty()).then_some(page);
        }
    }
}

/// Drops postings before `passage`, by steps that double.
fn skip_to(group: &mut &[Posting], passage: u32) {
    let mut reach = 1;
    while group.get(reach).is_some_and(|posting| posting.passage < passage) {
        reach *= 2;
    }
    let window = group.get(..reach.min(group.len())).unwrap_or_default();
    let before = window.partition_point(|posting| posting.passage < passage);
    *group = group.get(before..).unwrap_or_default();
}

/// The matches inside one page.
#[derive(Default)]
struct Scratch {
    /// Passage, group, score.
    hits: Vec<(u32, usize, f32)>,
}

impl Scratch {
    fn clear(&mut self) {
        self.hits.clear();
    }

    /// Takes the postings before passage `end` off the front of `rest`.
    fn take(&mut self, rest: &mut &[Posting], end: u32, group: usize, weight: f32) {
        let count = rest.iter().take_while(|posting| posting.passage < end).count();
        let (page, after) = rest.split_at(count);
        self.hits.extend(
            page.iter()
                .map(|posting| (posting.passage, group, posting.impact * weight)),
        );
        *rest = after;
    }

    /// The page as a match: the passage that has the most groups, then the highest score, speaks for it. A page whose groups
    /// are not all in one passage gets the sum of the best of each.
    fn best(&mut self, page: u32, groups: usize) -> Match {
        if groups > 1 {
            self.hits.sort_unstable_by_key(|(passage, ..)| *passage);
        }
        let mut best = (0, 0, 0.0);
        for hits in self.hits.chunk_by(|a, b| a.0 == b.0) {
            let score: f32 = hits.iter().map(|(.., score)| score).sum();
            if (hits.len(), score) > (best.1, best.2) {
                best = (
                    hits.first().map_or(0, |(passage, ..)| *passage),
                    hits.len(),
                    score,
                );
            }
        }
        let (passage, matched, score) = best;
        let together = matched == groups;
        let score = if together { score } else { self.sum_of_best(groups) };
        Match {
            page,
            passage,
            rank: Rank {
                named_so: false,
                together,
                score,
            },
        }
    }

    fn sum_of_best(&self, groups: usize) -> f32 {
        let mut best = vec![0.0_f32; groups];
        for (_, group, score) in &self.hits {
            if let Some(best) = best.get_mut(*group) {
                *best = best.max(*score);
            }
        }
        best.iter().sum()
    }
}

/// The best `count` of `matches` in order; ties in order of the pages.
pub(crate) fn best(mut matches: Vec<Match>, count: usize) -> Vec<Match> {
    let order = |a: &Match, b: &Match| a.rank.order(&b.rank).then(a.page.cmp(&b.page));
    if count < matches.len() {
        matches.select_nth_unstable_by(count, order);
        matches.truncate(count);
    }
    matches.sort_unstable_by(order);
    matches
}
