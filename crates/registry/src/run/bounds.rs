//! What an ending may hold. A scraper decides how much there is to say, and endings are read with every list of runs.

use std::cmp::Reverse;

use super::{Ending, TableChanges};

/// Bytes of the message.
const MAX_MESSAGE: usize = 2_000;
/// Bytes of a host; no name of DNS is longer.
const MAX_HOST: usize = 253;
/// Hosts, those with the most connections.
const MAX_DOMAINS: usize = 100;
/// Tables, and bytes of the name of one.
const MAX_TABLES: usize = 100;
const MAX_TABLE_NAME: usize = 100;
/// What stands for all tables beyond these.
const OTHER_TABLES: &str = "other tables";

impl Ending {
    /// Hosts by their connections, most first, with names of a length that hosts have.
    pub(super) fn in_order(mut self) -> Self {
        for domain in &mut self.domains {
            cut(&mut domain.host, MAX_HOST);
        }
        self.domains.sort_by_key(|domain| Reverse(domain.connections));
        self
    }

    /// What is kept with the run: some 60 KB at most. No row is left out of the sums.
    pub(super) fn within_bounds(mut self) -> Self {
        cut(&mut self.message, MAX_MESSAGE);
        self.domains.truncate(MAX_DOMAINS);
        self.changes = some_tables(self.changes);
        self
    }
}

fn some_tables(tables: TableChanges) -> TableChanges {
    let mut kept = TableChanges::new();
    for (mut table, rows) in tables {
        match kept.len() < MAX_TABLES {
            true => cut(&mut table, MAX_TABLE_NAME),
            false => OTHER_TABLES.clone_into(&mut table),
        }
        *kept.entry(table).or_default() += rows;
    }
    kept
}

fn cut(text: &mut String, max_bytes: usize) {
    text.truncate(text.floor_char_boundary(max_bytes));
}
