//! Which addresses a crawl may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public Internet: not private, loopback, link-local (where cloud machines serve
/// their metadata), shared (CGNAT), unique-local, multicast, reserved or for documentation, nor an IPv6 form of such
/// an IPv4 address. Follows the IANA special-purpose registries (RFC 6890 and its updates).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = match (first, second, third) {
        (0 | 10 | 127, ..) => true,
        // Shared between a provider and its customers (RFC 6598).
        (100, 64..=127, _) => true,
        (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // Multicast, reserved, broadcast.
        (224.., ..) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return is_public_v4(inner);
    }
    let [first, second, third, ..] = address.segments();
    let special = match first {
        // Unspecified, loopback, and whatever else nobody routes.
        0 => true,
        0x0100 => true,
        0x2001 => second < 0x0200 || second == 0x0db8,
        0x3fff => second < 0x1000,
        0x5f00 => true,
        // Local-use translation (RFC 8215).
        0x0064 => second == 0xff9b && third == 1,
        _ => first & 0xfe00 == 0xfc00 || first & 0xff80 == 0xfe80 || first & 0xff00 == 0xff00,
    };
    !special && first & 0xffc0 != 0xfec0
}

/// The IPv4 address that an IPv6 address reaches: mapped, compatible, translated (RFC 6052) and 6to4 (RFC 3056) forms.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if high != 0 || low > 1 => Some(v4(high, low)),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}
