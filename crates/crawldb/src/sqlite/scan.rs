//! Lists of items, each by the index that leads to them without passing the rest of the source.

use model::ItemId;
use rusqlite::{Connection, named_params, params};

use super::integer;
use super::names::Names;
use super::row::{self, COLUMNS};
use crate::port::Scan;
use crate::records::{Item, ItemState};

/// So many items that wait are sorted for a page; where there are more, most items wait and the source is passed.
const MAX_SORTED: i64 = 50_000;

const ALL_STATES: [ItemState; 10] = [
    ItemState::Pending,
    ItemState::InFlight,
    ItemState::Success,
    ItemState::Unchanged,
    ItemState::Failure,
    ItemState::Escalated,
    ItemState::Ignored,
    ItemState::OrphanCandidate,
    ItemState::Deleting,
    ItemState::Deleted,
];

/// A scan with its names as numbers.
struct Numbered<'a> {
    scan: &'a Scan<'a>,
    source: i64,
    crawl: Option<i64>,
}

pub(super) fn scan(
    connection: &Connection,
    names: &mut Names,
    scan: &Scan<'_>,
) -> rusqlite::Result<Vec<Item>> {
    let Some(source) = names.find(connection, scan.source.as_str())? else {
        return Ok(Vec::new());
    };
    let crawl = match scan.crawl {
        None => None,
        Some(crawl) => match names.find(connection, crawl.as_str())? {
            None => return Ok(Vec::new()),
            found => found,
        },
    };
    let numbered = Numbered { scan, source, crawl };
    let Some(ways) = numbered.ways(connection)? else {
        return numbered.select(connection, names, "items_by_id", &states_condition(scan.states));
    };
    let mut found = Vec::new();
    for (index, condition) in ways {
        found.extend(numbered.select(connection, names, index, &condition)?);
    }
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    found.truncate(scan.limit);
    Ok(found)
}

impl Numbered<'_> {
    /// Indexes that lead to all that is asked for, each with what to look for in it; none where the source is passed in
    /// the order of ids.
    fn ways(&self, connection: &Connection) -> rusqlite::Result<Option<Vec<(&'static str, String)>>> {
        if self.scan.lease_expired_at.is_some() || self.scan.states == [ItemState::InFlight] {
            return Ok(Some(vec![("leased", states_condition(self.scan.states))]));
        }
        let states = match (self.scan.states, self.crawl) {
            ([], Some(_)) => &ALL_STATES,
            (states, _) => states,
        };
        if states.is_empty() {
            return Ok(None);
        }
        let mut ways = Vec::with_capacity(states.len());
        for state in states {
            let items = self.count(connection, *state)?;
            if items == 0 {
                continue;
            }
            match self.way(*state, items) {
                Some(way) => ways.push(way),
                None => return Ok(None),
            }
        }
        Ok(Some(ways))
    }

    /// The conditions of the partial indexes are written as there, so that SQLite sees that they apply.
    fn way(&self, state: ItemState, items: i64) -> Option<(&'static str, String)> {
        let is = format!("state = {}", row::state_number(state));
        match (state, self.crawl) {
            (ItemState::InFlight, _) => Some(("leased", is)),
            (ItemState::Pending, Some(_)) if items <= MAX_SORTED => {
                Some(("due", format!("state IN (0, 4) AND {is}")))
            }
            (ItemState::Pending | ItemState::Unchanged, _) | (ItemState::Success, None) => None,
            (_, Some(_)) => Some(("listed", format!("(state = 2 OR state >= 4) AND {is}"))),
            (_, None) => Some(("unusual", format!("state >= 4 AND {is}"))),
        }
    }

    fn count(&self, connection: &Connection, state: ItemState) -> rusqlite::Result<i64> {
        connection
            .prepare_cached(
                "SELECT COALESCE(SUM(items), 0) FROM state_counts
                 WHERE source = ?1 AND state = ?2 AND (?3 IS NULL OR crawl = ?3)",
            )?
            .query_row(
                params![self.source, row::state_number(state), self.crawl],
                |row| row.get(0),
            )
    }

    fn select(
        &self,
        connection: &Connection,
        names: &mut Names,
        index: &str,
        states: &str,
    ) -> rusqlite::Result<Vec<Item>> {
        let leased = if index == "leased" {
            "lease_until IS NOT NULL"
        } else {
            "TRUE"
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM items INDEXED BY {index}
             WHERE source = :source AND id > :after AND {states} AND {leased} AND {} ORDER BY id LIMIT :limit",
            self.conditions()
        );
        let scan = self.scan;
        let mut select = connection.prepare_cached(&sql)?;
        let rows = select.query_map(
            named_params! {
                ":source": self.source,
                ":after": scan.after.map_or("", ItemId::as_str),
                ":crawl": self.crawl,
                ":updated_since": scan.updated_since.map(row::millis),
                ":expired_at": scan.lease_expired_at.map(row::millis),
                ":missed_by": scan.missed_by.map(row::millis),
                ":limit": integer(scan.limit as u64),
            },
            |row| row::read(connection, names, row),
        )?;
        rows.collect()
    }

    /// Only what is asked for, so that SQLite can use the index for it; every parameter is named all the same.
    fn conditions(&self) -> String {
        let condition =
            |asked: bool, asks: &'static str, unused: &'static str| if asked { asks } else { unused };
        [
            condition(self.crawl.is_some(), "crawl = :crawl", ":crawl IS NULL"),
            condition(
                self.scan.updated_since.is_some(),
                "last_updated >= :updated_since",
                ":updated_since IS NULL",
            ),
            condition(
                self.scan.lease_expired_at.is_some(),
                "lease_until <= :expired_at",
                ":expired_at IS NULL",
            ),
            condition(
                self.scan.missed_by.is_some(),
                "seen_crawl_at < :missed_by AND (last_updated IS NULL OR last_updated < :missed_by)",
                ":missed_by IS NULL",
            ),
        ]
        .join(" AND ")
    }
}

fn states_condition(states: &[ItemState]) -> String {
    if states.is_empty() {
        return "TRUE".into();
    }
    let numbers: Vec<String> = states
        .iter()
        .map(|state| row::state_number(*state).to_string())
        .collect();
    format!("state IN ({})", numbers.join(", "))
}
