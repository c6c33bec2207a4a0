//! Whom runs talk to.

use maud::{Markup, html};
use registry::Domain;

use crate::display::{bytes, count, time};

/// Hosts that are shown.
const SHOWN: usize = 100;

/// Each host, and how much was said.
pub(super) fn table(domains: &[Domain]) -> Markup {
    html! {
        div.scroll role="region" aria-label="Hosts" tabindex="0" {
            table {
                thead { tr { th { "Host" } th.number.wide { "Connections" } th.number { "In" } th.number.wide { "Out" } th.wide { "Last" } } }
                tbody { @for domain in domains.iter().take(SHOWN) { (row(domain)) } }
            }
        }
        @if domains.len() > SHOWN { p.soft { "and " (count((domains.len() - SHOWN) as u64)) " more" } }
    }
}

fn row(domain: &Domain) -> Markup {
    html! {
        tr {
            td.long { (domain.host) @if domain.refused > 0 { strong.small.refused { (count(domain.refused)) " refused" } } }
            td.number.wide { (count(domain.connections)) }
            td.number { (bytes(domain.bytes_in)) }
            td.number.wide { (bytes(domain.bytes_out)) }
            td.wide { (time(domain.last_at)) }
        }
    }
}
