use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::TcpStream;

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

    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }

    fn own(&self) -> Vec<IpAddr> {
        let Ok(interfaces) = getifaddrs() else {
            return Vec::new();
        };
        let addresses = interfaces.filter_map(|interface| interface.address);
        let v4_or_v6 = addresses.filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
        });
        v4_or_v6.collect()
    }
}

fn v4(address: nix::libc::sockaddr_in) -> SocketAddr {
    let ip = u32::from_be(address.sin_addr.s_addr);
    SocketAddr::from((ip.to_be_bytes(), u16::from_be(address.sin_port)))
}

fn v6(address: nix::libc::sockaddr_in6) -> SocketAddr {
    SocketAddr::from((address.sin6_addr.s6_addr, u16::from_be(address.sin6_port)))
}
