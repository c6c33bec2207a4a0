use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address::{self, Kind};

/// Mail between servers. See the crate's documentation.
const MAIL_PORT: u16 = 25;

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
    /// Let private and loopback addresses be reached, and those of this machine. Link-local addresses and others where clouds serve the machine's metadata
    /// (169.254.169.254, fd00:ec2::254) never are.
    pub allow_private: bool,
    /// Names with addresses of the operator's choice.
    pub resolve: Vec<Resolve>,
    /// Names (and everything below them) that may not be reached.
    pub deny: Vec<String>,
    /// Connections at a time, of one run. Further ones wait.
    pub max_connections: usize,
    /// Hosts of one run, both those that it asks for and those that it talks to; further ones are refused. At most 130,815.
    pub max_hosts: usize,
    /// Between two new connections to one host. The second one waits.
    pub gap: Duration,
    /// How long a connection may take to be made, the name's resolution included.
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
            gap: Duration::ZERO,
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
        }
    }
}

impl Policy {
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
        let what = match address::kind(address.ip()) {
            _ if self.allow_private => return Ok(()),
            Kind::Private | Kind::Metadata => "a private address",
            Kind::Public if own.contains(&address.ip()) => "an address of this machine",
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
    }
}
