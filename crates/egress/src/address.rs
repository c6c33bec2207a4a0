//! What kind of address one is, by the IANA special-purpose registries (RFC 6890 and its updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whom an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody on the Internet.
    Public,
    /// A network that is not the Internet, or nobody.
    Private,
    /// The machine's own neighbours on the link, among them the services that hand out its credentials.
    Metadata,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> (u32, u32) {
    (Ipv4Addr::new(a, b, c, d).to_bits(), bits)
}

const fn v6(first: u16, second: u16, third: u16, bits: u32) -> (u128, u32) {
    (Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0).to_bits(), bits)
}

/// Networks that are not the Internet: address and length of the prefix.
const PRIVATE_V4: [(u32, u32); 14] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast, reserved, broadcast.
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// Link-local, and where Alibaba's and Oracle's clouds have their metadata beside it.
const METADATA_V4: [(u32, u32); 3] = [
    v4(169, 254, 0, 0, 16),
    v4(100, 100, 100, 200, 32),
    v4(192, 0, 0, 192, 32),
];

/// The only IPv6 space that is handed out (RFC 4291); the rest is private or nobody's.
const GLOBAL_V6: (u128, u32) = v6(0x2000, 0, 0, 3);

/// What of it is not the Internet: protocol assignments (Teredo among them), documentation.
const PRIVATE_V6: [(u128, u32); 3] = [
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0x0db8, 0, 32),
    v6(0x3fff, 0, 0, 20),
];

/// Link-local, and the metadata of Amazon's cloud.
const METADATA_V6: [(u128, u32); 2] = [v6(0xfe80, 0, 0, 10), v6(0xfd00, 0x0ec2, 0, 32)];

/// What kind of address this is; an IPv6 form of an IPv4 address is of its kind.
pub fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| kind_v6(address), kind_v4),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    let is_in = |(network, bits): &(u32, u32)| (address.to_bits() ^ network) >> (32 - bits) == 0;
    if METADATA_V4.iter().any(is_in) {
        return Kind::Metadata;
    }
    if PRIVATE_V4.iter().any(is_in) {
        Kind::Private
    } else {
        Kind::Public
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let is_in = |(network, bits): &(u128, u32)| (address.to_bits() ^ network) >> (128 - bits) == 0;
    if METADATA_V6.iter().any(is_in) {
        return Kind::Metadata;
    }
    let is_private = !is_in(&GLOBAL_V6) || PRIVATE_V6.iter().any(is_in);
    if is_private { Kind::Private } else { Kind::Public }
}

/// The IPv4 address that an IPv6 address reaches: mapped and compatible (RFC 4291), translated (RFC 6052) and 6to4 (RFC 3056) forms.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: Kind, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn the_internet_is_public() {
        check(
            Kind::Public,
            &[
                "1.1.1.1",
                "11.0.0.1",
                "100.63.255.255",
                "100.128.0.1",
                "172.15.0.1",
                "172.32.0.1",
                "198.17.255.255",
                "198.20.0.1",
                "223.255.255.255",
                "2606:4700::1111",
                "2001:200::1",
                "::ffff:1.1.1.1",
                "64:ff9b::1.1.1.1",
                "2002:101:101::1",
            ],
        );
    }

    #[test]
    fn everything_else_is_private() {
        check(
            Kind::Private,
            &[
                "0.0.0.0",
                "10.1.2.3",
                "100.64.0.1",
                "127.0.0.1",
                "127.255.255.254",
                "172.16.0.1",
                "172.31.255.255",
                "192.0.0.8",
                "192.168.1.1",
                "198.18.0.1",
                "198.19.255.255",
                "224.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "::127.0.0.1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "64:ff9b::192.168.0.1",
                "64:ff9b:1::1",
                "2002:7f00:1::",
                "2001::1",
                "2001:db8::1",
                "3fff::1",
                "5f00::1",
                "fc00::1",
                "fec0::1",
                "ff02::1",
            ],
        );
    }

    #[test]
    fn metadata_is_never_merely_private() {
        check(
            Kind::Metadata,
            &[
                "169.254.169.254",
                "169.254.170.2",
                "100.100.100.200",
                "192.0.0.192",
                "::ffff:169.254.169.254",
                "::169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "2002:a9fe:a9fe::1",
                "fd00:ec2::254",
                "fe80::1",
            ],
        );
    }
}
