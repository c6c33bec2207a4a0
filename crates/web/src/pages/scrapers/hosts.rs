//! Whom runs talk to.

use maud::{Markup, html};
use registry::Domain;

use crate::display::{bytes, count, time};
use crate::pages::layout;

/// Hosts that are shown.
const SHOWN: usize = 100;

/// Each host, and how much was said.
pub(super) fn table(domains: &[Domain]) -> Markup {
    let head = html! { th { "Host" } th.number.wide { "Connections" } th.number { "In" } th.number.wide { "Out" } th.wide { "Last" } };
    let rows = html! { @for domain in domains.iter().take(SHOWN) { (row(domain)) } };
    html! {
        (layout::table("Hosts", &head, &rows))
        @if domains.len() > SHOWN { p.soft { "and " (count((domains.len() - SHOWN) as u64)) " more" } }
    }
}

fn row(domain: &Domain) -> Markup {
    html! {
        tr {
            th.long scope="row" { (domain.host) @if domain.refused > 0 { strong.small.refused { (count(domain.refused)) " refused" } } }
            td.number.wide { (count(domain.connections)) }
            td.number { (bytes(domain.bytes_in)) }
            td.number.wide { (bytes(domain.bytes_out)) }
            td.wide { (time(domain.last_at)) }
        }
    }
}
