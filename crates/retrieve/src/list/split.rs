use std::collections::VecDeque;
use std::mem;

use crate::error::{Error, ErrorKind};
use crate::list::pages::{Listed, Page};
use crate::list::ruler::Ruler;

/// Requests that a listing may waste before a page has shown that guessing is worth it.
const FREE_GUESSES: f64 = 2.0;
/// Requests that may be wasted for each page that was not, while the listing gets going.
const EARLY_GUESSES: f64 = 1.0;
/// Pages after which it has.
const EARLY_PAGES: f64 = 128.0;
/// Requests that may be wasted for each page after that.
const LATE_GUESSES: f64 = 0.25;
/// How much denser, in powers of 2, one end of a segment may be for its keys to count as evenly spread.
const EVEN: f64 = 3.0;
/// How much less a segment is worth cutting for each guess that must hold for it to have keys, in powers of 2.
const DOUBT: f64 = 3.0;
/// The same for each guess within it that failed, or that is not answered yet.
const CAUTION: f64 = 1.0;
/// Expected pages beyond which more are not more worth, in powers of 2.
const MUCH: f64 = 12.0;
/// Expected pages beyond which nobody counts, in powers of 2.
const ENDLESS: f64 = 1000.0;
/// Expected pages from which on a segment is cut, as a logarithm.
const WORTH_CUTTING: f64 = 1.0;
/// A cut is made so much before a whole number of pages, so that the last of them still fits.
const MARGIN: f64 = 0.1;
/// The longest key of S3, in bytes; a server may refuse a longer `start-after`.
const MAX_MARKER: usize = 1024;

/// A listing cut into segments of the key space, each of which is listed in order, one page after the other.
///
/// A segment holds the keys greater than its cursor, up to and including its end. The segments never overlap, so no key
/// is lost or doubled whatever the guesses are worth and whatever changes in the bucket meanwhile. A segment is
/// cut by asking for a page from a point within it: the part beyond that point is a segment of its own from then on.
#[derive(Debug)]
pub(crate) struct Segments {
    /// In key order; those that are done stay until what they found is handed out.
    segments: VecDeque<Segment>,
    ruler: Ruler,
    bounds: Bounds,
    next_id: u64,
    in_flight: usize,
    /// Entries that wait to be handed out.
    waiting: usize,
    answered: u64,
    /// Entries that were listed.
    found: u64,
}

/// How much a listing may do at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests in flight.
    pub(crate) connections: usize,
    /// Entries that were listed, or are being listed, ahead of those that are handed out.
    pub(crate) waiting: usize,
    /// Entries of one request.
    pub(crate) page: usize,
}

/// A page to be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) segment: u64,
    pub(crate) start_after: String,
}

#[derive(Debug, Default)]
struct Segment {
    id: u64,
    cursor: String,
    /// The last key that may belong to it; to the end of the prefix where none.
    end: Option<String>,
    state: State,
    pages: VecDeque<Vec<Listed>>,
    /// The distance that a page of keys takes at the cursor, as a logarithm; none where it is not known.
    page_width: Option<f64>,
    /// The same beyond the end.
    width_beyond: Option<f64>,
    /// Expected pages between cursor and end, as a logarithm.
    extent: f64,
    /// Guesses that must hold for this segment to have keys at all.
    guesses: u32,
    /// Expected pages between the last key that is known and the cursor.
    reach: f64,
    /// The distance of the guess that found this segment, as a logarithm.
    stride: f64,
    /// Guesses in a row that found nothing between this segment and the next.
    failures: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    InFlight,
    Done,
    Failed(Error),
}

/// Where to cut a segment.
#[derive(Debug)]
struct Cut {
    index: usize,
    marker: String,
    /// Expected pages between the last key that is known and the marker.
    reach: f64,
}

impl Segments {
    /// A listing of everything that begins with `prefix`.
    pub(crate) fn new(prefix: &str, bounds: Bounds) -> Self {
        let all = Segment {
            extent: f64::NEG_INFINITY,
            stride: f64::NEG_INFINITY,
            ..Segment::default()
        };
        Self {
            segments: VecDeque::from([all]),
            ruler: Ruler::new(prefix),
            bounds,
            next_id: 1,
            in_flight: 0,
            waiting: 0,
            answered: 0,
            found: 0,
        }
    }

    /// What to ask for next; none while as much is in flight as is allowed or useful.
    pub(crate) fn next_request(&mut self) -> Option<Request> {
        if self.in_flight >= self.bounds.connections.max(1) {
            return None;
        }
        let request = self.go_on().or_else(|| self.guess())?;
        self.in_flight += 1;
        Some(request)
    }

    /// Takes the answer to a request; what is wrong with it is handed out after all that comes before it.
    pub(crate) fn answer(&mut self, request: &Request, answer: Result<Page, Error>) {
        self.in_flight -= 1;
        self.answered += 1;
        let Some(index) = self
            .segments
            .iter()
            .position(|segment| segment.id == request.segment)
        else {
            return;
        };
        match answer.and_then(|page| check_order(page, &request.start_after)) {
            Ok(page) => self.take_page(index, page),
            Err(error) => self.fail(index, error),
        }
    }

    /// Whether [`Segments::take`] has something to hand out; forgets what is over.
    pub(crate) fn is_ready(&mut self) -> bool {
        while self.segments.front().is_some_and(Segment::is_over) {
            self.segments.pop_front();
        }
        let failed = |head: &Segment| matches!(head.state, State::Failed(_));
        self.segments
            .front()
            .is_some_and(|head| !head.pages.is_empty() || failed(head))
    }

    /// The next entries in key order, or the error that ends the listing.
    pub(crate) fn take(&mut self) -> Option<Result<Vec<Listed>, Error>> {
        let head = self.segments.front_mut()?;
        if let Some(page) = head.pages.pop_front() {
            self.waiting -= page.len();
            return Some(Ok(page));
        }
        let State::Failed(error) = mem::replace(&mut head.state, State::Done) else {
            return None;
        };
        Some(Err(error))
    }

    /// Whether everything was handed out.
    pub(crate) fn is_finished(&self) -> bool {
        self.segments.iter().all(Segment::is_over)
    }

    fn go_on(&mut self) -> Option<Request> {
        let room = self.has_room();
        let mut waiting = self.segments.iter_mut().enumerate();
        let (_, segment) = waiting.find(|(index, segment)| {
            matches!(segment.state, State::Idle) && (room || *index == 0 && segment.pages.is_empty())
        })?;
        segment.state = State::InFlight;
        Some(segment.request())
    }

    fn has_room(&self) -> bool {
        self.waiting + (self.in_flight + 1) * self.bounds.page <= self.bounds.waiting
    }

    fn guess(&mut self) -> Option<Request> {
        if !self.has_room() || !self.may_guess() {
            return None;
        }
        let cut = self.best_cut()?;
        let id = self.next_id;
        self.next_id += 1;
        let left = &mut self.segments[cut.index];
        let right = left.cut(id, &cut);
        let request = right.request();
        left.measure(&self.ruler);
        self.segments.insert(cut.index + 1, right);
        self.segments[cut.index + 1].measure(&self.ruler);
        Some(request)
    }

    /// Whether what was wasted, and what may turn out to be, is in proportion to what was found.
    fn may_guess(&self) -> bool {
        let useful = self.useful_pages();
        let guessing = self.segments.iter().filter(|segment| segment.guesses > 0).count();
        let wasted = self.answered as f64 - useful + guessing as f64;
        let early = useful.min(EARLY_PAGES);
        wasted + 1.0 <= FREE_GUESSES + EARLY_GUESSES * early + LATE_GUESSES * (useful - early)
    }

    fn useful_pages(&self) -> f64 {
        self.found as f64 / self.bounds.page as f64
    }

    fn best_cut(&self) -> Option<Cut> {
        let mut candidates: Vec<(f64, f64, usize)> = Vec::new();
        let mut open = 0;
        for (index, segment) in self.segments.iter().enumerate().rev() {
            if segment.is_worth_cutting() {
                candidates.push((segment.worth(open), segment.distance(), index));
            }
            open = if segment.guesses > 0 { open + 1 } else { 0 };
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
        candidates
            .into_iter()
            .find_map(|(_, _, index)| self.cut_of(index))
    }

    fn cut_of(&self, index: usize) -> Option<Cut> {
        let segment = &self.segments[index];
        let width = segment.page_width?;
        let reach = segment.middle();
        let marker = self
            .ruler
            .beyond(&segment.cursor, width + (reach - segment.reach).log2())?;
        let inside = marker > segment.cursor && segment.end.as_ref().is_none_or(|end| marker < *end);
        (inside && marker.len() <= MAX_MARKER).then_some(Cut { index, marker, reach })
    }

    fn take_page(&mut self, index: usize, page: Page) {
        self.ruler.learn(&page.entries);
        let width = page_width(&self.ruler, &page.entries, self.bounds.page);
        let segment = &mut self.segments[index];
        let entries = segment.advance(page);
        let began = mem::replace(&mut segment.cursor, last_key(&entries));
        if mem::take(&mut segment.guesses) > 0 {
            self.learn_of_guess(index, &began, &entries, width);
        }
        let segment = &mut self.segments[index];
        segment.page_width = width;
        segment.reach = 0.0;
        segment.measure(&self.ruler);
        self.keep(index, entries);
    }

    fn keep(&mut self, index: usize, entries: Vec<Listed>) {
        self.found += entries.len() as u64;
        self.waiting += entries.len();
        let pages = &mut self.segments[index].pages;
        if !entries.is_empty() {
            pages.push_back(entries);
        } else if pages.is_empty() {
            self.segments.remove(index);
        }
    }

    /// A segment that was cut out is proven, with what it says of distances; or there is nothing, which the segment that
    /// ends where it began learns.
    fn learn_of_guess(&mut self, index: usize, began: &str, entries: &[Listed], width: Option<f64>) {
        let found = entries.first();
        if let Some(first) = found {
            let jump = self.ruler.distance(began, Some(&first.key));
            let segment = &mut self.segments[index];
            segment.stride = segment.stride.max(jump);
            segment.failures = 0;
        }
        let left = index.checked_sub(1).map(|left| &mut self.segments[left]);
        let Some(left) = left.filter(|left| left.end.as_deref() == Some(began)) else {
            return;
        };
        left.width_beyond = width.filter(|_| found.is_some());
        left.failures = if found.is_some() { 0 } else { left.failures + 1 };
    }

    /// Nothing beyond a page that cannot be had is of use.
    fn fail(&mut self, index: usize, error: Error) {
        self.segments.truncate(index + 1);
        self.segments[index].state = State::Failed(error);
        let kept = self.segments.iter().flat_map(|segment| &segment.pages);
        self.waiting = kept.map(Vec::len).sum();
    }
}

impl Segment {
    fn request(&self) -> Request {
        Request {
            segment: self.id,
            start_after: self.cursor.clone(),
        }
    }

    /// What of the page belongs to this segment.
    fn advance(&mut self, page: Page) -> Vec<Listed> {
        let fits = |entry: &Listed| self.end.as_ref().is_none_or(|end| entry.key <= *end);
        let fitting = page.entries.partition_point(fits);
        let over = !page.more || fitting < page.entries.len();
        self.state = if over { State::Done } else { State::Idle };
        let mut entries = page.entries;
        entries.truncate(fitting);
        entries
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done) && self.pages.is_empty()
    }

    fn measure(&mut self, ruler: &Ruler) {
        let Some(width) = self.page_width.filter(|_| !matches!(self.state, State::Done)) else {
            self.extent = f64::NEG_INFINITY;
            return;
        };
        let distance = ruler.distance(&self.cursor, self.end.as_deref());
        self.extent = (distance - width).min(ENDLESS);
    }

    fn is_worth_cutting(&self) -> bool {
        matches!(self.state, State::InFlight) && self.extent >= WORTH_CUTTING
    }

    /// How much cutting it promises, in powers of 2; `open` guesses right after it have no answer yet.
    fn worth(&self, open: u32) -> f64 {
        self.extent.min(MUCH) - DOUBT * f64::from(self.guesses) - CAUTION * f64::from(self.failures + open)
    }

    /// From cursor to end, as a logarithm.
    fn distance(&self) -> f64 {
        self.extent + self.page_width.unwrap_or_default()
    }

    /// Whether there are keys beyond the end, about as dense as at the cursor.
    fn is_even(&self) -> bool {
        let apart = self
            .page_width
            .zip(self.width_beyond)
            .map(|(here, there)| (here - there).abs());
        apart.is_some_and(|apart| apart <= EVEN)
    }

    /// Whether the next guess looks at close quarters; taken in turns while guesses fail.
    fn is_near(&self) -> bool {
        self.failures % 2 == 1
    }

    /// In how many pages from the last known key half of what is expected lies: half of the way where keys are known to
    /// go on; otherwise far less of it, because any power of 2 is as probable a size as another.
    fn middle(&self) -> f64 {
        let whole = self.reach + self.extent.exp2();
        if self.is_even() && self.guesses == 0 && !self.is_near() {
            return (whole / 2.0).round().max(1.0) - MARGIN;
        }
        let least = self.reach.max(1.0);
        let behind = self
            .page_width
            .filter(|_| !self.is_near())
            .map_or(0.0, |width| (self.stride - width).exp2());
        let middle = (behind + least).sqrt() * (behind + whole).sqrt() - behind;
        middle.max(self.reach + 1.0 - MARGIN)
    }

    /// Takes what is beyond the cut out of this segment.
    fn cut(&mut self, id: u64, cut: &Cut) -> Self {
        Self {
            id,
            cursor: cut.marker.clone(),
            end: self.end.replace(cut.marker.clone()),
            state: State::InFlight,
            pages: VecDeque::new(),
            page_width: self.page_width,
            width_beyond: self.width_beyond.take(),
            extent: 0.0,
            guesses: self.guesses + 1,
            reach: cut.reach,
            stride: self
                .page_width
                .map_or(f64::NEG_INFINITY, |width| width + cut.reach.log2()),
            failures: self.failures,
        }
    }
}

/// The distance that a page of keys takes, judged by the later half of `entries`.
fn page_width(ruler: &Ruler, entries: &[Listed], page: usize) -> Option<f64> {
    let (half, last) = (entries.len() / 2, entries.len().checked_sub(1)?);
    let width = ruler.distance(&entries[half].key, Some(&entries[last].key));
    let pages = (last - half) as f64 / page as f64;
    Some(width - pages.log2()).filter(|width| width.is_finite())
}

fn last_key(entries: &[Listed]) -> String {
    entries.last().map(|entry| entry.key.clone()).unwrap_or_default()
}

/// A server that lists in another order, or that says that more follows nothing, would make the listing wrong or endless.
fn check_order(page: Page, start_after: &str) -> Result<Page, Error> {
    if page.more && page.entries.is_empty() {
        return Err(Error::new(
            ErrorKind::Server,
            "the listing stands still: an empty page says that more follow",
        ));
    }
    let mut before = start_after;
    for entry in &page.entries {
        if entry.key.as_str() <= before && !(before.is_empty() && entry.key.is_empty()) {
            let message = format!(
                "the listing is not in key order: {:?} comes after {before:?}",
                entry.key
            );
            return Err(Error::new(ErrorKind::Server, message));
        }
        before = &entry.key;
    }
    Ok(page)
}
