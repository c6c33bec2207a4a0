use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Kind;

/// Address and length of the prefix.
type V4 = (u32, u32);
type V6 = (u128, u32);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> V4 {
    (Ipv4Addr::new(a, b, c, d).to_bits(), bits)
}

/// A network, by its first three and its last two groups.
const fn v6(first: [u16; 3], last: [u16; 2], bits: u32) -> V6 {
    let ([a, b, c], [g, h]) = (first, last);
    (Ipv6Addr::new(a, b, c, 0, 0, 0, g, h).to_bits(), bits)
}

/// Networks that are not the Internet.
const PRIVATE_V4: [V4; 14] = [
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

/// Link-local, and where clouds have such services beside it: Alibaba's and Oracle's metadata, Azure's WireServer.
const METADATA_V4: [V4; 4] = [
    v4(169, 254, 0, 0, 16),
    v4(100, 100, 100, 200, 32),
    v4(192, 0, 0, 192, 32),
    v4(168, 63, 129, 16, 32),
];

/// The only IPv6 space that is handed out (RFC 4291); the rest is private or nobody's.
const GLOBAL_V6: V6 = v6([0x2000, 0, 0], [0, 0], 3);

/// What of it is not the Internet: protocol assignments (Teredo among them), documentation.
const PRIVATE_V6: [V6; 3] = [
    v6([0x2001, 0, 0], [0, 0], 23),
    v6([0x2001, 0x0db8, 0], [0, 0], 32),
    v6([0x3fff, 0, 0], [0, 0], 20),
];

/// Link-local, and the metadata of clouds.
const METADATA_V6: [V6; 7] = [
    v6([0xfe80, 0, 0], [0, 0], 10),
    // Amazon.
    v6([0xfd00, 0x0ec2, 0], [0, 0], 32),
    // Google.
    v6([0xfd20, 0x00ce, 0], [0, 0x0254], 128),
    // Oracle.
    v6([0xfd00, 0x00c1, 0], [0xa9fe, 0xa9fe], 128),
    // Scaleway.
    v6([0xfd00, 0x0042, 0], [0, 0x0042], 128),
    // Akamai.
    v6([0xfd00, 0xa9fe, 0xa9fe], [0, 1], 128),
    // Alibaba.
    v6([0xfd00, 0x0100, 0], [0x0100, 0x0200], 128),
];

pub(crate) fn kind_v4(address: Ipv4Addr) -> Kind {
    let is_in = |(network, bits): &V4| (address.to_bits() ^ network) >> (32 - bits) == 0;
    if METADATA_V4.iter().any(is_in) {
        return Kind::Metadata;
    }
    if PRIVATE_V4.iter().any(is_in) {
        Kind::Private
    } else {
        Kind::Public
    }
}

pub(crate) fn kind_v6(address: Ipv6Addr) -> Kind {
    let is_in = |(network, bits): &V6| (address.to_bits() ^ network) >> (128 - bits) == 0;
    if METADATA_V6.iter().any(is_in) {
        return Kind::Metadata;
    }
    let is_private = !is_in(&GLOBAL_V6) || PRIVATE_V6.iter().any(is_in);
    if is_private { Kind::Private } else { Kind::Public }
}
