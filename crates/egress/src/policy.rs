use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use address::Kind;
use nix::sys::resource::{Resource, getrlimit};

/// Mail between servers. See the crate's documentation.
const MAIL_PORT: u16 = 25;
/// Descriptors that a process needs for everything but connections of runs, and for each run beside its connections: sockets for names, pipes, its log.
const DESCRIPTORS_KEPT: u64 = 512;
const DESCRIPTORS_KEPT_PER_RUN: u64 = 32;
/// Descriptors of a connection: the client's, and those of the two addresses that may be tried at a time.
const DESCRIPTORS_PER_CONNECTION: u64 = 3;
/// Names that all runs of a process may look up at a time. Each keeps a thread, of 512 that wait for disks and databases as well.
const LOOKUPS_OF_ALL_RUNS: usize = 256;

/// A name and port that are found at an address of the operator's choice, as with `curl --resolve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The name, or an address that is to be found elsewhere.
    pub host: String,
    /// The port that is asked for.
    pub port: u16,
    /// Where it is. Allowed even where it is private: the operator said so.
    pub address: SocketAddr,
}

/// Whom a run may talk to, and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Let private and loopback addresses be reached, and those of this machine. Those where clouds serve the machine's metadata, all of link-local among them,
    /// never are.
    pub allow_private: bool,
    /// Names with addresses of the operator's choice.
    pub resolve: Vec<Resolve>,
    /// Names (and everything below them) that may not be reached.
    pub deny: Vec<String>,
    /// Connections at a time, of one run. Further ones wait.
    pub max_connections: usize,
    /// Hosts of one run, both those that it asks for and those that it talks to; further ones are refused. At most 130,815.
    pub max_hosts: usize,
    /// Names looked up at a time, for one run. Further ones wait.
    pub max_lookups: usize,
    /// Connections at a time to one site, of all runs together; see [`Pace`](crate::Pace). Further ones wait.
    pub max_connections_per_site: usize,
    /// Between two new connections to one site, of all runs together, on the average; see [`Pace`](crate::Pace). The second one waits. Zero: none.
    pub gap: Duration,
    /// How long a name may be looked up, and then how long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow_private: false,
            resolve: Vec::new(),
            deny: Vec::new(),
            max_connections: 256,
            max_hosts: 10_000,
            max_lookups: 16,
            max_connections_per_site: 32,
            gap: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
        }
    }
}

impl Policy {
    /// This, for as many runs at a time: none has more connections and lookups than its part of what this process may have by its limit of open files, and by
    /// the threads that it looks names up with.
    #[must_use]
    pub fn for_each_of(self, runs: u32) -> Self {
        let runs = runs.max(1);
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
        let kept = DESCRIPTORS_KEPT + DESCRIPTORS_KEPT_PER_RUN * u64::from(runs);
        let connections = limit.saturating_sub(kept) / DESCRIPTORS_PER_CONNECTION / u64::from(runs);
        let lookups = LOOKUPS_OF_ALL_RUNS / usize::try_from(runs).unwrap_or(usize::MAX);
        Self {
            max_connections: self
                .max_connections
                .min(usize::try_from(connections).unwrap_or(usize::MAX))
                .max(1),
            max_lookups: self.max_lookups.min(lookups).max(1),
            ..self
        }
    }

    /// Where the operator says that a host is.
    pub(crate) fn resolved(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let mut answers = self.resolve.iter();
        let answer = answers.find(|answer| answer.port == port && same(&answer.host, host))?;
        Some(answer.address)
    }

    /// Whether the operator says where a name is, for any port.
    pub(crate) fn knows(&self, host: &str) -> bool {
        self.resolve.iter().any(|answer| same(&answer.host, host))
    }

    /// Whether a name may be reached.
    ///
    /// # Errors
    ///
    /// What to say when not.
    pub(crate) fn judge_name(&self, name: &str) -> Result<(), String> {
        match self.deny.iter().find(|denied| is_below(name, denied)) {
            Some(denied) => Err(format!("{name} is refused: the operator denies {denied}")),
            None => Ok(()),
        }
    }

    /// # Errors
    ///
    /// What to say when the port may not be reached.
    pub(crate) fn judge_port(&self, host: &str, port: u16) -> Result<(), String> {
        if port != MAIL_PORT {
            return Ok(());
        }
        Err(format!(
            "{host}:{port} is refused: no mail is sent from here; use a mail service on port 587"
        ))
    }

    /// Whether an address may be reached that a host's name resolved to; `own` are this machine's.
    ///
    /// # Errors
    ///
    /// What to say when not.
    pub(crate) fn judge(&self, host: &str, address: SocketAddr, own: &[IpAddr]) -> Result<(), String> {
        judge_chosen(host, address)?;
        let reached = address::reached(address.ip());
        let what = match address::kind(reached) {
            _ if self.allow_private => return Ok(()),
            Kind::Private | Kind::Metadata => "a private address",
            Kind::Public if own.contains(&reached) => "an address of this machine",
            Kind::Public => return Ok(()),
        };
        let place = place(host, address);
        Err(format!(
            "{place} is refused: it is {what}; the operator can allow private addresses, or this one"
        ))
    }
}

/// Whether an address may be reached that the operator chose.
///
/// # Errors
///
/// What to say when not.
pub(crate) fn judge_chosen(host: &str, address: SocketAddr) -> Result<(), String> {
    match address::kind(address.ip()) {
        Kind::Metadata => {
            let place = place(host, address);
            Err(format!(
                "{place} is refused: the metadata of a machine is never reached"
            ))
        }
        Kind::Public | Kind::Private => Ok(()),
    }
}

/// A host and where it is, for people.
fn place(host: &str, address: SocketAddr) -> String {
    let is_bare = host == address.ip().to_canonical().to_string();
    if is_bare {
        address.to_string()
    } else {
        format!("{host} ({address})")
    }
}

fn same(left: &str, right: &str) -> bool {
    left.trim_end_matches('.')
        .eq_ignore_ascii_case(right.trim_end_matches('.'))
}

fn is_below(name: &str, parent: &str) -> bool {
    let (name, parent) = (name.trim_end_matches('.'), parent.trim_matches('.'));
    let Some(at) = name.len().checked_sub(parent.len()) else {
        return false;
    };
    let Some((before, tail)) = name.split_at_checked(at) else {
        return false;
    };
    !parent.is_empty() && tail.eq_ignore_ascii_case(parent) && (before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_denied(denied: &str, name: &str, expected: bool) {
        let policy = Policy {
            deny: vec![denied.to_owned()],
            ..Policy::default()
        };
        assert_eq!(
            policy.judge_name(name).is_err(),
            expected,
            "{name} with {denied} denied"
        );
    }

    #[test]
    fn a_denied_name_covers_everything_below_it() {
        check_denied("example.gov", "example.gov", true);
        check_denied("example.gov", "www.EXAMPLE.gov.", true);
        check_denied(".example.gov", "a.b.example.gov", true);
        check_denied("example.gov", "notexample.gov", false);
        check_denied("example.gov", "example.gov.evil.example", false);
        check_denied("example.gov", "gov", false);
        check_denied("", "example.gov", false);
        check_denied("e", "é", false);
    }

    #[test]
    fn metadata_stays_refused_where_private_addresses_are_allowed() {
        let policy = Policy {
            allow_private: true,
            ..Policy::default()
        };
        let judged = |address: &str| policy.judge("h", address.parse().unwrap(), &[]);
        assert!(judged("127.0.0.1:80").is_ok());
        assert!(judged("169.254.169.254:80").is_err());
        assert!(judged("[::ffff:169.254.169.254]:80").is_err());
    }

    #[test]
    fn this_machines_public_address_is_as_private_as_its_loopback() {
        let own = ["1.1.1.1".parse().unwrap()];
        let policy = Policy::default();
        assert!(policy.judge("h", "1.1.1.1:5432".parse().unwrap(), &own).is_err());
        assert!(policy.judge("h", "1.1.1.2:5432".parse().unwrap(), &own).is_ok());
        for form in [
            "[::ffff:1.1.1.1]:5432",
            "[64:ff9b::1.1.1.1]:5432",
            "[2002:101:101::]:5432",
        ] {
            assert!(policy.judge("h", form.parse().unwrap(), &own).is_err(), "{form}");
        }
    }

    #[test]
    fn many_runs_share_what_the_process_has() {
        let of = |runs| Policy::default().for_each_of(runs);
        assert_eq!(of(1).max_lookups, 16);
        assert_eq!(of(64).max_lookups, 4);
        assert_eq!((of(u32::MAX).max_connections, of(u32::MAX).max_lookups), (1, 1));
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        for runs in [1, 4, 30] {
            let sockets = of(runs).max_connections as u64 * u64::from(runs) * DESCRIPTORS_PER_CONNECTION;
            assert!(
                sockets <= limit.max(DESCRIPTORS_PER_CONNECTION * u64::from(runs)),
                "{runs}: {sockets}"
            );
        }
    }
}
