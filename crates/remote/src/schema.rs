//! The records, described. What travels is their serde form; a test compares these tables with it.

use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Name, type and meaning of a member. A type is that of JSON Schema; with a `?` it may be null.
type Member = (&'static str, &'static str, &'static str);

macro_rules! record {
    ($name:ident, $description:literal, $members:expr) => {
        #[doc = $description]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                describe($description, $members)
            }
        }

        impl ToSchema for $name {}
    };
}

record!(
    SourceRecord,
    "Where content comes from.",
    &[
        ("id", "string", "Its name; the key."),
        (
            "revision",
            "integer",
            "Compare-and-swap token; 0 creates the record."
        ),
        (
            "configuration",
            "integer",
            "Grows with every change of the settings."
        ),
        ("settings", "object", "What its owner says about it."),
        ("last_crawl_start", "integer?", "When its last crawl started."),
        ("active_crawls", "array", "The crawls that hold its lock."),
        ("queued", "array", "Crawls that wait for it."),
        (
            "lock_epoch",
            "integer",
            "Grows with every crawl that takes the lock."
        ),
        ("service", "string?", "The process that looks after it."),
        ("deleting_since", "integer?", "Since when it is being deleted."),
        ("created_at", "integer", "When it was added."),
    ]
);

record!(
    ConfigurationRecord,
    "One version of the settings of a source.",
    &[
        ("source", "string", "The source."),
        ("number", "integer", "From 1; the id."),
        ("settings", "object", "What was in force."),
        ("at", "integer", "Since when."),
    ]
);

record!(
    CrawlRecord,
    "One pass over a source.",
    &[
        ("id", "string", "`<source>@<start>`; the key."),
        (
            "revision",
            "integer",
            "Compare-and-swap token; 0 creates the record."
        ),
        ("status", "string", "How far it is."),
        ("started_at", "integer", "When it started."),
        ("ended_at", "integer?", "When it ended."),
        (
            "configuration",
            "integer",
            "Which version of the settings it uses."
        ),
        ("epoch", "integer", "Of the source's lock."),
        ("service", "string", "Who runs it."),
        (
            "alive_until",
            "integer",
            "After that, another process may take it over."
        ),
        ("totals", "object", "Its items by what became of them."),
        (
            "fetched_bytes",
            "integer",
            "Bytes of bodies as they came over the network."
        ),
        ("fetches", "integer", "Requests that were answered."),
        ("processing_ms", "integer", "Milliseconds spent on them in sum."),
        ("indexed", "integer", "Items that were written to the index."),
        ("reason", "string?", "Why it failed or is blocked."),
        ("kind", "string", "What it passes over."),
        ("enumeration", "object", "How far it knows what the source holds."),
        ("marks", "object", "Where the source's topics stood."),
        ("orphans", "object", "What became of items that it missed."),
    ]
);

record!(
    ItemRecord,
    "One thing in one source.",
    &[
        ("source", "string", "Half of the key."),
        ("id", "string", "The other half: 1 to 2048 bytes."),
        ("url", "string", "Where it is."),
        ("scope", "string", "What it is grouped by inside the source."),
        ("state", "string", "How far it is."),
        (
            "version",
            "integer",
            "The newest write of its content; never goes back."
        ),
        (
            "revision",
            "integer",
            "Compare-and-swap token; 0 creates the record."
        ),
        ("crawl", "string", "The crawl that saw it last."),
        (
            "configuration",
            "integer",
            "Which version of the settings was in force."
        ),
        (
            "seen_crawl_at",
            "integer",
            "The start of the newest crawl that saw it."
        ),
        (
            "first_seen_at",
            "integer",
            "The start of the first crawl that saw it."
        ),
        (
            "last_updated",
            "integer?",
            "When it was last applied or found unchanged."
        ),
        ("next_attempt_at", "integer", "When it is due."),
        ("lease", "object?", "Who works on it, in which term, until when."),
        ("epoch", "integer", "Of the last lease."),
        ("retry_count", "integer", "Failed attempts in this crawl."),
        (
            "consecutive_failures",
            "integer",
            "Failed attempts in a row, over crawls."
        ),
        ("last_error", "object?", "What went wrong last."),
        ("checksum", "string?", "Of the bytes as last fetched."),
        ("disposition", "object?", "What it is to the search."),
        ("content", "string?", "Where the archive keeps the bytes."),
        ("extract", "string?", "Where the archive keeps the extract."),
        ("etag", "string?", "`ETag` of the last answer."),
        ("last_modified", "string?", "`Last-Modified` of the last answer."),
        (
            "parent",
            "string?",
            "The item whose content named this one first."
        ),
        ("depth", "integer", "Links from a start URL."),
        ("aliases", "array", "Items that redirect here; at most 20."),
        ("orphan", "object?", "Since when it is missed."),
        ("ruling", "object?", "What a person decided about it last."),
        (
            "unread",
            "integer?",
            "The newest update that could not be read yet."
        ),
    ]
);

record!(
    DocumentRecord,
    "What is searched: a page by its URL, with a reference of every source that has it.",
    &[
        ("url", "string", "The key."),
        (
            "revision",
            "integer",
            "Compare-and-swap token; 0 creates the record."
        ),
        ("references", "array", "One per item that has, or had, this URL."),
    ]
);

record!(
    IntentRecord,
    "Items that somebody is about to write and to announce.",
    &[
        ("id", "string", "Unique in its source."),
        ("source", "string", "The source of the items."),
        ("owner", "string", "Who is at it."),
        ("items", "array", "Their ids."),
        ("at", "integer", "Since when."),
    ]
);

fn describe(description: &str, members: &[Member]) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new().description(Some(description));
    for (name, kind, meaning) in members {
        let member = ObjectBuilder::new()
            .schema_type(schema_type(kind))
            .description(Some(*meaning));
        object = object.property(*name, member);
    }
    object.into()
}

fn schema_type(kind: &str) -> SchemaType {
    let (name, nullable) = kind.strip_suffix('?').map_or((kind, false), |name| (name, true));
    let kind = match name {
        "string" => Type::String,
        "integer" => Type::Integer,
        "array" => Type::Array,
        _ => Type::Object,
    };
    if nullable {
        return SchemaType::from_iter([kind, Type::Null]);
    }
    kind.into()
}
