use std::net::{IpAddr, SocketAddr};

use address::{Kind, kind, own, reached};
use model::Host;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The address is one that the source does not allow.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressRefused {
    #[error(
        "{name} is at {address}, which is not a public address of another machine; allow private addresses in the source if that is meant"
    )]
    Private { name: String, address: IpAddr },
    #[error("{name} is at {address}, where machines keep their credentials; such an address is never asked")]
    Metadata { name: String, address: IpAddr },
}

/// The name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} could not be resolved: {reason}")]
pub(super) struct Unresolved {
    name: String,
    reason: String,
}

/// Whom a source may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Public addresses of other machines.
    Public,
    /// Every address but those of metadata.
    Private,
}

/// Asks the system, and refuses the answer if one of the addresses is not allowed: a name that has both is a trick.
impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, name) = (*self, name.as_str().to_owned());
        Box::pin(async move {
            let found = look_up(&name).await?;
            found
                .iter()
                .try_for_each(|address| allowed.check(&name, address.ip()))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Allowed {
    /// Addresses written in a URL never reach a resolver; this is their check, too.
    pub(super) fn check(self, name: &str, address: IpAddr) -> Result<(), AddressRefused> {
        let name = name.to_owned();
        match kind(address) {
            Kind::Metadata => Err(AddressRefused::Metadata { name, address }),
            _ if self == Self::Private => Ok(()),
            Kind::Public if !own().contains(&reached(address)) => Ok(()),
            Kind::Public | Kind::Private => Err(AddressRefused::Private { name, address }),
        }
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
