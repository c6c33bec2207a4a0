//! Whom an IP address belongs to, for whoever connects to what strangers name.
//!
//! [`kind`] goes by the IANA special-purpose registries (RFC 6890 and its updates); [`reached`] tells which address is meant by the IPv6 form of an IPv4 address;
//! [`own`] lists this machine's. All three are about addresses only: a name must be resolved first, and the connection made to the very address that was judged.
//!
//! ```
//! use address::{Kind, kind};
//! assert_eq!(kind("1.1.1.1".parse().unwrap()), Kind::Public);
//! assert_eq!(kind("::ffff:10.0.0.1".parse().unwrap()), Kind::Private);
//! assert_eq!(kind("169.254.169.254".parse().unwrap()), Kind::Metadata);
//! ```

mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;

/// Whom an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody on the Internet.
    Public,
    /// A network that is not the Internet, or nobody.
    Private,
    /// The machine's own neighbours on the link, and the services that hand out its credentials. Nobody's business, whatever else is allowed.
    Metadata,
}

/// What kind of address this is; an IPv6 form of an IPv4 address is of its kind.
pub fn kind(address: IpAddr) -> Kind {
    match reached(address) {
        IpAddr::V4(address) => table::kind_v4(address),
        IpAddr::V6(address) => table::kind_v6(address),
    }
}

/// The address that is reached by this one: the IPv4 address of a mapped, compatible (RFC 4291), translated (RFC 6052) or 6to4 (RFC 3056) form, else itself.
pub fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(form) => embedded(form).map_or(address, IpAddr::V4),
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., before, last] = address.segments();
    let low = Ipv4Addr::from_bits(u32::from(before) << 16 | u32::from(last));
    let middle = &address.segments()[2..6];
    match (first, second) {
        (0, 0) if middle[..3] == [0; 3] && [0, 0xffff].contains(&middle[3]) => Some(low),
        (0x0064, 0xff9b) if middle == [0; 4] => Some(low),
        (0x2002, _) => Some(Ipv4Addr::from_bits(u32::from(second) << 16 | u32::from(third))),
        _ => None,
    }
}

/// This machine's own addresses, on all interfaces, now; none where it does not say.
pub fn own() -> Vec<IpAddr> {
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
