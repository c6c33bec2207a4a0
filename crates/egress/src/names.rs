//! An address for every name.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Names begin here, so that 198.18.0.x is free for the machinery of the sandbox.
const FIRST: u32 = Ipv4Addr::new(198, 18, 1, 0).to_bits();
/// The last address of 198.18.0.0/15.
const LAST: u32 = Ipv4Addr::new(198, 19, 255, 255).to_bits();

/// The names that a run has asked for. Each keeps its address as long as the run lasts.
pub(crate) struct Names {
    limit: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_name: HashMap<Arc<str>, Ipv4Addr>,
    in_order: Vec<Arc<str>>,
}

impl Names {
    /// No more than `limit`, nor than there are addresses.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min((LAST - FIRST) as usize),
            known: Mutex::default(),
        }
    }

    /// Whether the name has an address.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_name
            .contains_key(name)
    }

    /// The address of a name (lower case, without final dot); nothing for a new one when there are too many.
    pub(crate) fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.by_name.get(name) {
            return Some(*address);
        }
        if known.in_order.len() >= self.limit {
            return None;
        }
        let address = Ipv4Addr::from_bits(FIRST + u32::try_from(known.in_order.len()).ok()?);
        let name: Arc<str> = name.into();
        known.in_order.push(name.clone());
        known.by_name.insert(name, address);
        Some(address)
    }

    /// Whose address it is.
    pub(crate) fn name(&self, address: IpAddr) -> Option<Arc<str>> {
        let IpAddr::V4(address) = address.to_canonical() else {
            return None;
        };
        let position = address.to_bits().checked_sub(FIRST)? as usize;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.in_order.get(position).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_an_address_its_name() {
        let names = Names::new(2);
        let first = names.address("a.example").unwrap();
        let second = names.address("b.example").unwrap();
        assert_eq!(first, Ipv4Addr::new(198, 18, 1, 0));
        assert_eq!(names.address("a.example"), Some(first));
        assert_eq!(names.name(second.into()).as_deref(), Some("b.example"));
        assert_eq!(
            names.name(second.to_ipv6_mapped().into()).as_deref(),
            Some("b.example")
        );
        assert_eq!(names.name("198.18.0.255".parse().unwrap()), None);
        assert_eq!(names.name("198.18.1.2".parse().unwrap()), None);
    }

    #[test]
    fn names_end_at_the_limit_and_at_the_last_address() {
        let names = Names::new(usize::MAX);
        assert_eq!(names.limit, 130_815);
        let names = Names::new(1);
        names.address("a").unwrap();
        assert_eq!(names.address("b"), None);
        assert!(names.has("a") && !names.has("b"));
        assert!(names.address("a").is_some());
    }
}
