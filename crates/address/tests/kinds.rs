//! The tables, by example.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use address::{Kind, kind, own, reached};

fn check(expected: Kind, addresses: &str) {
    for address in addresses.split_whitespace() {
        assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn the_internet_is_public() {
    check(
        Kind::Public,
        "1.1.1.1 8.8.8.8 11.0.0.1 100.63.0.1 100.63.255.255 100.128.0.1 168.63.129.15 172.15.0.1 172.15.255.255 172.32.0.1 192.169.0.1 \
         198.17.255.255 198.20.0.1 223.255.255.255 2606:4700::1111 2001:200::1 2001:4860:4860::8888 ::ffff:1.1.1.1 64:ff9b::808:808 2002:101:101::1",
    );
}

#[test]
fn everything_else_is_private() {
    check(
        Kind::Private,
        "0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.168.1.1 \
         198.18.0.1 198.19.255.255 203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 \
         64:ff9b::192.168.0.1 64:ff9b:1::1 64:ff9b:2::1 100::1 2002:7f00:1:: 2001::1 2001:db8::1 3fff::1 4000::1 5f00::1 fb00::1 fc00::1 fd12::1 \
         fd20:ce::253 fec0::1 ff02::1",
    );
}

#[test]
fn metadata_is_never_merely_private() {
    check(
        Kind::Metadata,
        "169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 ::ffff:169.254.169.254 ::169.254.169.254 ::ffff:168.63.129.16 \
         64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 fd00:ec2::254 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42 fd00:a9fe:a9fe::1 fd00:100::100:200 fe80::1",
    );
}

#[test]
fn every_form_of_an_address_reaches_it() {
    let expected: IpAddr = "1.2.3.4".parse().unwrap();
    for form in [
        "1.2.3.4",
        "::ffff:1.2.3.4",
        "::1.2.3.4",
        "64:ff9b::1.2.3.4",
        "2002:102:304::9",
    ] {
        assert_eq!(reached(form.parse().unwrap()), expected, "{form}");
    }
    let other: IpAddr = "2606:4700::1.2.3.4".parse().unwrap();
    assert_eq!(reached(other), other);
}

#[test]
fn this_machine_has_its_loopback() {
    assert!(own().iter().any(IpAddr::is_loopback), "{:?}", own());
}
