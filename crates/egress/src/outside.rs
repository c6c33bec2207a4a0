use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::TcpStream;

/// Where the machine's own names are.
const HOSTS: &str = "/etc/hosts";

/// What only the machine knows.
#[async_trait]
pub trait Outside: Send + Sync + 'static {
    /// Where a redirected connection wanted to go.
    ///
    /// # Errors
    ///
    /// When the connection cannot say, because it is gone.
    fn target(&self, connection: &TcpStream) -> io::Result<SocketAddr>;

    /// The addresses of a name.
    ///
    /// # Errors
    ///
    /// When it has none.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// This machine's own addresses.
    fn own(&self) -> Vec<IpAddr>;
}

/// The machine that this runs on: the kernel's table of redirected connections, the system's resolver, the interfaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

#[async_trait]
impl Outside for Machine {
    /// `SO_ORIGINAL_DST`; the local address of a connection that nobody redirected.
    fn target(&self, connection: &TcpStream) -> io::Result<SocketAddr> {
        let local = connection.local_addr()?;
        let original = match local.ip().to_canonical() {
            IpAddr::V4(_) => getsockopt(connection, sockopt::OriginalDst).map(v4),
            IpAddr::V6(_) => getsockopt(connection, sockopt::Ip6tOriginalDst).map(v6),
        };
        Ok(original.unwrap_or(local))
    }

    /// A name is taken as it is: `x.gov` is not looked for below the domains that this machine searches, where somebody else may be found. Names of its hosts
    /// file are found, too.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let hosts = tokio::fs::read_to_string(HOSTS).await.unwrap_or_default();
        let known = if lists(&hosts, name) {
            name
        } else {
            &format!("{name}.")
        };
        let found = tokio::net::lookup_host((known, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }

    fn own(&self) -> Vec<IpAddr> {
        address::own()
    }
}

/// Whether a name is in a hosts file (hosts(5)).
fn lists(hosts: &str, name: &str) -> bool {
    hosts.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_whitespace().skip(1);
        names.any(|listed| listed.eq_ignore_ascii_case(name))
    })
}

fn v4(address: nix::libc::sockaddr_in) -> SocketAddr {
    let ip = u32::from_be(address.sin_addr.s_addr);
    SocketAddr::from((ip.to_be_bytes(), u16::from_be(address.sin_port)))
}

fn v6(address: nix::libc::sockaddr_in6) -> SocketAddr {
    SocketAddr::from((address.sin6_addr.s6_addr, u16::from_be(address.sin6_port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_lists_names_behind_addresses() {
        let hosts = "# 10.0.0.1 commented\n127.0.0.1 localhost\n\n10.0.0.2\tData.Corp  data # old\n";
        for (name, expected) in [
            ("localhost", true),
            ("data.corp", true),
            ("data", true),
            ("commented", false),
            ("old", false),
            ("10.0.0.2", false),
        ] {
            assert_eq!(lists(hosts, name), expected, "{name}");
        }
    }
}
