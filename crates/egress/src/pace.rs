use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Line, Notify};
use tokio::time::{Instant, sleep_until};

/// Connections that a run may have to a site, however many other runs want some. With a single one, a client that keeps its first connection for later could
/// never make the second.
const SHARE_MIN: usize = 2;
/// What a site was spared for so long may be made up for at once.
const CATCH_UP: Duration = Duration::from_secs(1);

/// How fast sites are called, by all runs whose proxies share this. What a run may not do yet, waits.
///
/// A *site* is a registrable domain by the [Public Suffix List](https://publicsuffix.org), so that `a.example.gov` and `b.example.gov` are one, and
/// `a.github.io` and `b.github.io` are two; a bare address is its own.
///
/// New connections to a site keep a distance of [`Policy::gap`](crate::Policy::gap) on the average: where none was made for a second, as many may be made at
/// once as belong into that second. Of those that are open, the runs that talk to a site have equal shares of
/// [`Policy::max_connections_per_site`](crate::Policy::max_connections_per_site), and a run may have more where others leave theirs. Runs take turns, so one that
/// wants a hundred connections is not in the way of one that wants its first.
#[derive(Default)]
pub struct Pace {
    sites: Mutex<HashMap<String, Arc<Site>>>,
    runs: AtomicU64,
}

impl Pace {
    fn site(&self, name: &str) -> Arc<Site> {
        let mut sites = lock(&self.sites);
        if let Some(site) = sites.get(name) {
            return site.clone();
        }
        // Before it would grow, what nobody needs any more makes room.
        if sites.len() == sites.capacity() {
            sites.retain(|_, site| Arc::strong_count(site) > 1 || !site.is_rested());
        }
        let site = Arc::new(Site::new());
        sites.insert(name.to_owned(), site.clone());
        site
    }
}

/// A site, as far as it is in use.
struct Site {
    /// Who connects next: at most one of each run, in the order of their coming.
    line: Line<()>,
    state: Mutex<State>,
    /// A connection has ended.
    ended: Notify,
}

struct State {
    /// When the next connection would be made if all had kept their distance.
    free_at: Instant,
    /// How many connections each run has, of those that have some.
    open: HashMap<u64, usize>,
}

impl Site {
    fn new() -> Self {
        let state = State {
            free_at: Instant::now(),
            open: HashMap::new(),
        };
        Self {
            line: Line::default(),
            state: Mutex::new(state),
            ended: Notify::new(),
        }
    }

    fn is_rested(&self) -> bool {
        lock(&self.state).free_at <= Instant::now()
    }

    /// Waits until a run may have one more connection.
    async fn place(self: Arc<Self>, run: u64, most: usize) -> Place {
        loop {
            let ended = self.ended.notified();
            if lock(&self.state).take(run, most) {
                break;
            }
            ended.await;
        }
        Place { site: self, run }
    }

    /// Waits until a connection may be made.
    async fn turn(&self, gap: Duration) {
        let _first = self.line.lock().await;
        let credit = CATCH_UP.saturating_sub(gap);
        let turn = lock(&self.state).free_at.checked_sub(credit);
        if let Some(turn) = turn.filter(|turn| *turn > Instant::now()) {
            sleep_until(turn).await;
        }
        let mut state = lock(&self.state);
        let from = state.free_at.max(Instant::now());
        state.free_at = from.checked_add(gap).unwrap_or(from);
    }
}

impl State {
    fn take(&mut self, run: u64, most: usize) -> bool {
        let mine = self.open.get(&run).copied().unwrap_or(0);
        let runs = self.open.len() + usize::from(mine == 0);
        let share = (most / runs).max(SHARE_MIN);
        if mine >= share && self.open.values().sum::<usize>() >= most {
            return false;
        }
        *self.open.entry(run).or_default() += 1;
        true
    }

    fn leave(&mut self, run: u64) {
        if let Some(open) = self.open.get_mut(&run) {
            *open -= 1;
        }
        self.open.retain(|_, open| *open > 0);
    }
}

/// A connection's place at its site, until this is dropped.
pub(crate) struct Place {
    site: Arc<Site>,
    run: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.site.state).leave(self.run);
        self.site.ended.notify_waiters();
    }
}

/// One run's part in a pace.
pub(crate) struct Turns {
    pace: Arc<Pace>,
    run: u64,
    /// Where the run's own connections to a site wait for each other, so that only one of them waits among those of other runs.
    lines: Mutex<HashMap<String, Arc<Line<()>>>>,
}

impl Turns {
    pub(crate) fn new(pace: Arc<Pace>) -> Self {
        Self {
            run: pace.runs.fetch_add(1, Ordering::Relaxed),
            pace,
            lines: Mutex::default(),
        }
    }

    /// Waits until a connection to this host may be made. Whoever stops waiting has used nothing up.
    pub(crate) async fn next(&self, host: &str, gap: Duration, most: usize) -> Place {
        let name = site_of(host);
        let line = lock(&self.lines).entry(name.to_owned()).or_default().clone();
        let _first = line.lock().await;
        let place = self.pace.site(name).place(self.run, most).await;
        place.site.turn(gap).await;
        place
    }
}

/// The site of a host; itself for an address, a public suffix, and a name of one word.
fn site_of(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(100);

    /// Turns of so many runs that share a pace.
    fn runs<const N: usize>() -> [Arc<Turns>; N] {
        let pace = Arc::new(Pace::default());
        std::array::from_fn(|_| Arc::new(Turns::new(pace.clone())))
    }

    /// Whether a connection may be made at once.
    async fn may(run: &Turns, host: &str, most: usize) -> Option<Place> {
        let at_once = tokio::time::timeout(Duration::from_millis(1), run.next(host, Duration::ZERO, most));
        at_once.await.ok()
    }

    #[test]
    fn a_site_is_what_somebody_registered() {
        for (host, site) in [
            ("www.example.gov", "example.gov"),
            ("example.gov", "example.gov"),
            ("a.b.council.gov.uk", "council.gov.uk"),
            ("www.nrk.no", "nrk.no"),
            ("a.github.io", "a.github.io"),
            ("intranet", "intranet"),
            ("gov.uk", "gov.uk"),
            ("1.2.3.4", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(site_of(host), site);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_all_runs_keep_their_distance_after_the_first_second() {
        let [one, other] = runs();
        let start = Instant::now();
        let mut places = Vec::new();
        for (run, host) in [(&one, "a.example.gov"), (&other, "b.example.gov")]
            .iter()
            .cycle()
            .take(30)
        {
            places.push(run.next(host, GAP, 100).await);
        }
        // Ten at once, then ten a second.
        assert_eq!(start.elapsed().as_millis().div_ceil(100), 20);
        let elsewhere = Instant::now();
        one.next("www.example.no", GAP, 100).await;
        assert_eq!(elsewhere.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_of_seconds_is_kept_from_the_first_connection_on() {
        let [run] = runs();
        let start = Instant::now();
        for _ in 0..4 {
            run.next("example.gov", Duration::from_secs(5), 100).await;
        }
        assert_eq!(start.elapsed().as_secs(), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_wants_much_is_not_in_the_way_of_others() {
        let [greedy, other] = runs();
        for _ in 0..200 {
            let greedy = greedy.clone();
            tokio::spawn(async move { std::mem::forget(greedy.next("example.gov", GAP, 1_000).await) });
        }
        tokio::time::sleep(GAP).await;
        let start = Instant::now();
        other.next("example.gov", GAP, 1_000).await;
        assert!(start.elapsed() <= 2 * GAP, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn each_run_has_its_share_of_the_connections_that_are_open() {
        let [one, two, three] = runs();
        let host = "example.gov";
        let mut of_one = Vec::new();
        while let Some(place) = may(&one, host, 8).await {
            of_one.push(place);
        }
        assert_eq!(of_one.len(), 8);
        let mut of_two = Vec::new();
        while let Some(place) = may(&two, host, 8).await {
            of_two.push(place);
        }
        assert_eq!(of_two.len(), 4);
        let first = may(&three, host, 8).await;
        let second = may(&three, host, 8).await;
        assert!(first.is_some() && second.is_some());
        assert!(may(&three, host, 8).await.is_none());
        of_one.truncate(1);
        assert!(
            may(&three, host, 8).await.is_some(),
            "what one run leaves is another's"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_has_used_nothing_up() {
        let [run] = runs();
        let gap = Duration::from_secs(2);
        let _open = run.next("example.gov", gap, 100).await;
        for _ in 0..10 {
            let waiting = tokio::time::timeout(GAP, run.next("example.gov", gap, 100));
            assert!(waiting.await.is_err());
        }
        let start = Instant::now();
        run.next("example.gov", gap, 100).await;
        assert!(start.elapsed() <= gap, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn sites_that_nobody_calls_any_more_are_forgotten() {
        let [run] = runs();
        for number in 0..10_000 {
            run.next(&format!("{number}.example"), Duration::ZERO, 1).await;
        }
        assert!(lock(&run.pace.sites).capacity() < 100);
    }
}
