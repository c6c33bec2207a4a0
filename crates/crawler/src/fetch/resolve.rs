use std::net::{IpAddr, SocketAddr};

use model::Host;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_public;

/// The address is one that the source does not allow.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} is at {address}, which is not a public address; allow private addresses in the source if that is meant"
)]
pub(super) struct AddressRefused {
    pub(super) name: String,
    pub(super) address: IpAddr,
}

/// The name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} could not be resolved: {reason}")]
pub(super) struct Unresolved {
    name: String,
    reason: String,
}

/// Asks the system and refuses the answer if one of the addresses is not public: a name that has both is a trick.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = look_up(&name).await?;
            check_all(&name, &found)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Asks the system.
pub(super) struct Anywhere;

impl Resolve for Anywhere {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move { Ok(Box::new(look_up(&name).await?.into_iter()) as Addrs) })
    }
}

async fn look_up(name: &str) -> Result<Vec<SocketAddr>, Unresolved> {
    let unresolved = |reason: String| Unresolved {
        name: name.to_owned(),
        reason,
    };
    let found = tokio::net::lookup_host((name, 0))
        .await
        .map_err(|error| unresolved(error.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        Err(unresolved("it has no address".to_owned()))
    } else {
        Ok(found)
    }
}

fn check_all(name: &str, found: &[SocketAddr]) -> Result<(), AddressRefused> {
    found.iter().try_for_each(|address| check(name, address.ip()))
}

/// Addresses written in a URL never reach a resolver; this is their check.
pub(super) fn check(name: &str, address: IpAddr) -> Result<(), AddressRefused> {
    if is_public(address) {
        Ok(())
    } else {
        Err(AddressRefused {
            name: name.to_owned(),
            address,
        })
    }
}

/// An override that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no override; write host:port:address as in docs.example:443:127.0.0.1")]
pub struct InvalidOverride(String);

/// Where one host and port is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Override {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) address: IpAddr,
}

impl Override {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidOverride> {
        let read = || {
            let (name, rest) = text.split_once(':')?;
            let (port, address) = rest.split_once(':')?;
            let address = address
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse()
                .ok()?;
            let name = Host::new(name).ok()?.name().to_owned();
            Some(Self {
                name,
                port: port.parse().ok()?,
                address,
            })
        };
        read().ok_or_else(|| InvalidOverride(text.to_owned()))
    }
}
