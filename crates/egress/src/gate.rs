use std::future::ready;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::names::Names;
use crate::opening::Speech;
use crate::outside::Outside;
use crate::pace::{Pace, Place, Turns};
use crate::policy::{Policy, judge_chosen};
use crate::tape::Tape;
use crate::visits::{Host, Visits};

/// What is said of a host whose connections are refused or cannot be made, for the run's log: one sentence with the host, the address and what to do. At most
/// once per host.
pub type Refused = Arc<dyn Fn(&str) + Send + Sync>;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// How many of them at a time.
const CALLS_MAX: usize = 2;
/// What one has before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Where a connection wants to go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The name, when the address is that of one.
    pub(crate) name: Option<Arc<str>>,
    /// As the client sees it.
    pub(crate) address: SocketAddr,
}

impl Target {
    /// What it is called: the name, else the address.
    pub(crate) fn host(&self) -> String {
        self.name
            .as_deref()
            .map_or_else(|| self.address.ip().to_canonical().to_string(), str::to_owned)
    }
}

/// Why a connection ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// By the policy, with what is to be said.
    Refused(String),
    /// The host could not be reached, with what is to be said.
    Failed(String),
    /// It broke while bytes were passed.
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// What every connection of one run shares, and what decides over it.
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) tape: Option<Tape>,
    pub(crate) visits: Visits,
    names: Names,
    turns: Turns,
    lookups: Arc<Semaphore>,
    refused: Refused,
    is_full: AtomicBool,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Gate {
    /// A gate that is open.
    pub(crate) fn new(
        policy: Policy,
        pace: Arc<Pace>,
        tape: Option<Tape>,
        refused: Refused,
        outside: Arc<dyn Outside>,
    ) -> Self {
        Self {
            names: Names::new(policy.max_hosts),
            visits: Visits::new(policy.max_hosts),
            turns: Turns::new(pace),
            lookups: Arc::new(Semaphore::new(
                policy.max_lookups.clamp(1, Semaphore::MAX_PERMITS),
            )),
            policy,
            outside,
            tape,
            refused,
            is_full: AtomicBool::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Does it until it is done or the gate closes.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks
            .spawn(async move { closing.run_until_cancelled_owned(task).await });
    }

    /// Does it on a thread where it may block. The gate waits for it when it closes.
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.tasks.spawn_blocking(task)
    }

    /// Ends everything that was spawned.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    /// Waits until everything that was spawned has ended.
    pub(crate) async fn closed(&self) {
        self.tasks.wait().await;
    }

    /// Whether there is such a name. A denied one is, so that its refusal can be told.
    pub(crate) async fn exists(&self, name: &str) -> bool {
        let is_known =
            self.names.has(name) || self.policy.knows(name) || self.policy.judge_name(name).is_err();
        is_known || self.is_replay() || self.lookup(name).await.is_ok_and(|found| !found.is_empty())
    }

    /// Asks outside for a name. Whoever waits for the answer may go, but the thread that asks the system cannot; so its place is free only when it is.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let place = self.lookups.clone().acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (outside, name) = (self.outside.clone(), name.to_owned());
        let asked = self.tasks.spawn(async move {
            let found = outside.lookup(&name).await;
            drop(place);
            found
        });
        asked.await?
    }

    /// The address that stands for a name inside, unless there are too many.
    pub(crate) fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let address = self.names.address(name);
        if address.is_none() {
            self.tell_full();
        }
        address
    }

    /// What an address inside stands for.
    pub(crate) fn target(&self, address: SocketAddr) -> Target {
        Target {
            name: self.names.name(address.ip()),
            address,
        }
    }

    /// Counts that a host is contacted, unless there are too many.
    pub(crate) async fn contact(&self, target: &Target, speech: &Speech) -> Result<Arc<Host>, String> {
        let name = match speech.host() {
            Some(claim) if target.name.is_none() && self.is_at(claim, target.address).await => {
                claim.to_owned()
            }
            _ => target.host(),
        };
        let host = self.visits.contact(&name, SystemTime::now());
        host.ok_or_else(|| self.tell_full())
    }

    /// Whether an address is one of those of the name by which a client calls it. A client can claim anything.
    async fn is_at(&self, claim: &str, address: SocketAddr) -> bool {
        if self.is_replay() || self.policy.resolved(claim, address.port()) == Some(address) {
            return true;
        }
        let address = address.ip().to_canonical();
        if let Ok(claim) = claim.parse::<IpAddr>() {
            return claim == address;
        }
        let found = timeout(self.policy.connect_timeout, self.lookup(claim)).await;
        found.is_ok_and(|found| found.is_ok_and(|found| found.contains(&address)))
    }

    fn is_replay(&self) -> bool {
        self.tape.as_ref().is_some_and(Tape::is_replay)
    }

    /// Says once that there are too many hosts.
    fn tell_full(&self) -> String {
        let most = self.policy.max_hosts;
        let sentence = format!(
            "further hosts are refused: this run has asked for {most}, and the operator allows no more"
        );
        if !self.is_full.swap(true, Ordering::Relaxed) {
            self.say(&sentence);
        }
        sentence
    }

    /// Counts a refusal and tells the first one.
    pub(crate) fn refuse(&self, host: &Host, sentence: &str) {
        host.refused.fetch_add(1, Ordering::Relaxed);
        self.tell(host, sentence);
    }

    /// Counts a failure and tells the first one.
    pub(crate) fn fail(&self, host: &Host, sentence: &str) {
        host.failed.fetch_add(1, Ordering::Relaxed);
        self.tell(host, sentence);
    }

    fn tell(&self, host: &Host, sentence: &str) {
        if host.is_news() {
            self.say(sentence);
        }
    }

    /// Tells something that happens once.
    pub(crate) fn say(&self, sentence: &str) {
        (self.refused)(sentence);
    }

    /// Judges what a client calls its target.
    ///
    /// # Errors
    ///
    /// [`Stop::Refused`] when one of the names is denied.
    pub(crate) fn judge_names(&self, target: &Target, speech: &Speech) -> Result<(), Stop> {
        let mut names = target.name.as_deref().into_iter().chain(speech.host());
        names
            .try_for_each(|name| self.policy.judge_name(name))
            .map_err(Stop::Refused)
    }

    /// Judges a whole opening, where some host is denied.
    ///
    /// # Errors
    ///
    /// [`Stop::Refused`] when it names one, or breaks off before it names any.
    pub(crate) fn judge_opening(&self, target: &Target, speech: &Speech) -> Result<(), Stop> {
        if *speech == Speech::Cut {
            let host = target.host();
            return Err(Stop::Refused(format!(
                "{host} is refused: the connection does not say in time whom it calls, and the operator denies some hosts"
            )));
        }
        self.judge_names(target, speech)
    }

    /// Connects to where a target really is, when it is the site's turn.
    ///
    /// # Errors
    ///
    /// [`Stop::Refused`] or [`Stop::Failed`].
    pub(crate) async fn dial(&self, target: &Target, host: &Host) -> Result<(TcpStream, Place), Stop> {
        let name = target.host();
        self.policy
            .judge_port(&name, target.address.port())
            .map_err(Stop::Refused)?;
        let addresses = self.in_time(&name, self.permitted(&name, target)).await?;
        let place = self.turn(host).await;
        let server = self.in_time(&name, self.reach(&name, addresses)).await?;
        Ok((server, place))
    }

    async fn in_time<T>(&self, name: &str, step: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        let limit = self.policy.connect_timeout;
        timeout(limit, step).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs();
            Err(Stop::Failed(format!(
                "{name} cannot be reached: no answer in {seconds} s"
            )))
        })
    }

    /// Waits for a host's turn, and counts how long.
    async fn turn(&self, host: &Host) -> Place {
        let Policy {
            gap,
            max_connections_per_site,
            ..
        } = self.policy;
        let mut turn = pin!(self.turns.next(host.name(), gap, max_connections_per_site));
        tokio::select! {
            biased;
            place = &mut turn => return place,
            () = ready(()) => {}
        }
        let start = Instant::now();
        let place = turn.await;
        let waited_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        host.waited_ms.fetch_add(waited_ms, Ordering::Relaxed);
        place
    }

    /// Connects to whichever of some addresses answers first; each has a head start before the next.
    async fn reach(&self, name: &str, addresses: Vec<SocketAddr>) -> Result<TcpStream, Stop> {
        let share = self.policy.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut waiting = alternating(addresses).into_iter();
        let mut calls = JoinSet::new();
        let mut reason = String::new();
        loop {
            if calls.len() < CALLS_MAX
                && let Some(address) = waiting.next()
            {
                calls.spawn(call(address, share));
            }
            match timeout(HEAD_START, calls.join_next()).await {
                Err(_) => {}
                Ok(Some(Ok(Ok(server)))) => return Ok(server),
                Ok(Some(Ok(Err(failed)))) => reason = failed,
                Ok(Some(Err(error))) => reason = error.to_string(),
                Ok(None) => return Err(Stop::Failed(format!("{name} cannot be reached: {reason}"))),
            }
        }
    }

    /// Where a target is, without the addresses that are not allowed.
    async fn permitted(&self, name: &str, target: &Target) -> Result<Vec<SocketAddr>, Stop> {
        let port = target.address.port();
        if let Some(chosen) = self.policy.resolved(name, port) {
            judge_chosen(name, chosen).map_err(Stop::Refused)?;
            return Ok(vec![chosen]);
        }
        let own = self.outside.own();
        let mut refusal = None;
        let mut permitted = Vec::new();
        for ip in self.found(name, target).await?.into_iter().take(ADDRESSES_MAX) {
            let address = SocketAddr::new(ip.to_canonical(), port);
            match self.policy.judge(name, address, &own) {
                Ok(()) => permitted.push(address),
                Err(sentence) => refusal = Some(sentence),
            }
        }
        match refusal {
            Some(sentence) if permitted.is_empty() => Err(Stop::Refused(sentence)),
            _ => Ok(permitted),
        }
    }

    async fn found(&self, name: &str, target: &Target) -> Result<Vec<IpAddr>, Stop> {
        if target.name.is_none() {
            return Ok(vec![target.address.ip()]);
        }
        match self.lookup(name).await {
            Ok(found) if found.is_empty() => Err(Stop::Failed(format!(
                "{name} cannot be reached: it has no address"
            ))),
            Ok(found) => Ok(found),
            Err(error) => Err(Stop::Failed(format!("{name} cannot be found: {error}"))),
        }
    }
}

async fn call(address: SocketAddr, limit: Duration) -> Result<TcpStream, String> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(server)) => match server.set_nodelay(true) {
            Ok(()) => Ok(server),
            Err(error) => Err(format!("{address}: {error}")),
        },
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no answer in {} s", limit.as_secs())),
    }
}

/// Addresses of the two versions in turn, beginning with the first one's: where one version leads nowhere, the other is tried soon.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let mut ranks = [0_usize, 0];
    let mut ranked: Vec<(usize, SocketAddr)> = Vec::new();
    for address in addresses {
        let version = usize::from(address.is_ipv6() != is_first_v6);
        ranked.push((ranks[version] * 2 + version, address));
        ranks[version] += 1;
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, address)| address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_versions_come_in_turn() {
        let addresses = ["[2::1]:1", "[2::2]:1", "[2::3]:1", "1.0.0.1:1", "1.0.0.2:1"];
        let parsed = addresses.map(|address| address.parse().unwrap());
        let order: Vec<_> = alternating(parsed.to_vec())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            order,
            ["[2::1]:1", "1.0.0.1:1", "[2::2]:1", "1.0.0.2:1", "[2::3]:1"]
        );
    }
}
