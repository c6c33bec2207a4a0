use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Timestamp;

use crate::query::{Clause, Filter, MAX_CLAUSES, MAX_QUERY_BYTES, Query};

impl Query {
    /// Reads what somebody typed. There are no errors: what is not an operator is a word.
    ///
    /// | typed | means |
    /// |---|---|
    /// | `tide tables` | both words, in any form |
    /// | `"high tide"` | side by side; a missing quote closes at the end |
    /// | `tid*` | words that begin so |
    /// | `tide OR current` | either |
    /// | `-moon`, `-"new moon"`, `-type:pdf` | not |
    /// | `site:` `path:` `type:` `lang:` `after:` `before:` | a [`Filter`]; `path:"/a b"` may be quoted |
    pub fn parse(text: &str) -> Self {
        let (text, cut) = limited(text);
        let mut builder = Builder {
            query: Self {
                cut,
                ..Self::default()
            },
            ..Builder::default()
        };
        let mut rest = text.as_str();
        while let Some((piece, after)) = next_piece(rest) {
            builder.add(&piece);
            rest = after;
        }
        builder.query
    }
}

/// At most the allowed bytes, with what would confuse a terminal, a log or SQLite replaced by spaces.
fn limited(text: &str) -> (String, bool) {
    let end = text.floor_char_boundary(MAX_QUERY_BYTES);
    let clean = |character: char| match character {
        '“' | '”' | '„' | '«' | '»' => '"',
        '\u{fffd}' => ' ',
        _ if character.is_control() => ' ',
        _ => character,
    };
    (text[..end].chars().map(clean).collect(), end < text.len())
}

/// One unit of what was typed: an optional minus, an optional name before a colon, and a text.
struct Piece<'a> {
    negated: bool,
    name: Option<&'a str>,
    text: &'a str,
    quoted: bool,
}

/// The first piece of `text` and what follows it.
fn next_piece(text: &str) -> Option<(Piece<'_>, &str)> {
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    let (negated, body) = match text.strip_prefix('-') {
        Some(body) if !body.is_empty() && !body.starts_with(char::is_whitespace) => (true, body),
        _ => (false, text),
    };
    let (name, body) = filter_name(body);
    let (text, quoted, rest) = match body.strip_prefix('"') {
        Some(inside) => {
            let (text, rest) = inside.split_once('"').unwrap_or((inside, ""));
            (text, true, rest)
        }
        None => {
            let end = body
                .find(|c: char| c.is_whitespace() || c == '"')
                .unwrap_or(body.len());
            (&body[..end], false, &body[end..])
        }
    };
    Some((
        Piece {
            negated,
            name,
            text,
            quoted,
        },
        rest,
    ))
}

/// Splits `name:` off where it is the name of a filter and a value follows.
fn filter_name(body: &str) -> (Option<&str>, &str) {
    const NAMES: [&str; 6] = ["site", "path", "type", "lang", "after", "before"];
    match body.split_once(':') {
        Some((name, value))
            if NAMES.contains(&name) && !value.is_empty() && !value.starts_with(char::is_whitespace) =>
        {
            (Some(name), value)
        }
        _ => (None, body),
    }
}

#[derive(Default)]
struct Builder {
    query: Query,
    clauses: usize,
    /// An `OR` stands between the last group and what comes.
    or_pending: bool,
}

impl Builder {
    fn add(&mut self, piece: &Piece<'_>) {
        if self.clauses == MAX_CLAUSES {
            self.query.cut = true;
            return;
        }
        if piece.text == "OR" && !piece.quoted && piece.name.is_none() && !piece.negated {
            self.or_pending = !self.query.groups.is_empty();
            return;
        }
        match piece.name.and_then(|name| filter(name, piece.text)) {
            Some(filter) if piece.negated => self.query.excluded_filters.push(filter),
            Some(filter) => self.query.filters.push(filter),
            None => match clause(piece) {
                Some(clause) => self.add_clause(clause, piece.negated),
                None => return,
            },
        }
        self.clauses += 1;
    }

    fn add_clause(&mut self, clause: Clause, negated: bool) {
        let or = std::mem::take(&mut self.or_pending);
        match self.query.groups.last_mut() {
            _ if negated => self.query.excluded.push(clause),
            Some(group) if or => group.push(clause),
            _ => self.query.groups.push(vec![clause]),
        }
    }
}

/// The clause of a piece that is no filter; none without a letter or digit in it.
fn clause(piece: &Piece<'_>) -> Option<Clause> {
    let whole = match piece.name {
        Some(name) => format!("{name}:{}", piece.text),
        None => piece.text.to_owned(),
    };
    if !whole.chars().any(char::is_alphanumeric) {
        return None;
    }
    Some(match whole.strip_suffix('*') {
        _ if piece.quoted => Clause::Phrase(whole),
        Some(begin) => Clause::Prefix(begin.trim_end_matches('*').to_owned()),
        None => Clause::Word(whole),
    })
}

/// The filter of this name and value; none where the value makes no sense.
fn filter(name: &str, value: &str) -> Option<Filter> {
    let lower = || value.to_lowercase();
    match name {
        "site" => Some(Filter::Site(lower().trim_end_matches('/').to_owned())).filter(|_| value.len() > 1),
        "path" => Some(Filter::Path(value.to_owned())),
        "type" => Some(Filter::Type(lower())),
        "lang" => Some(Filter::Language(lower())),
        "after" => start_of(value).map(Filter::After),
        "before" => start_of(value).map(Filter::Before),
        _ => None,
    }
}

/// The first instant (UTC) of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; the epoch for what is earlier.
fn start_of(value: &str) -> Option<Timestamp> {
    let mut parts = value.split('-');
    let year = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month = parts.next().map_or(Ok(1), str::parse).ok()?;
    let day = parts.next().map_or(Ok(1), str::parse).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let date = Date::new(year, month, day).ok()?;
    let instant = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_millis(
        u64::try_from(instant.as_millisecond()).unwrap_or(0),
    ))
}
