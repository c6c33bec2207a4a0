//! The settings of a source: shown, changed, and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use crawldb::{
    ConcurrencyMode, Configuration, DeletionCapability, LiveSettings, OrphanPolicy, RetryPolicy, Settings,
    SiteSettings, Source, SourceKind,
};
use maud::{Markup, html};
use model::{PageUrl, SourceId};
use serde_json::Value;

use crate::api::sources::existing;
use crate::api::wire::SettingsBody;
use crate::clock;
use crate::display::{bytes, count, counted, duration, time};
use crate::pages::form::field;
use crate::pages::layout::{self, Area, Frame};
use crate::pages::sources;
use crate::params::{Form, Named, Params};
use crate::problem::Problem;
use crate::settings::changed;
use crate::state::App;

const CONCURRENCY: [(ConcurrencyMode, &str, &str); 3] = [
    (ConcurrencyMode::Exclusive, "exclusive", "is refused"),
    (ConcurrencyMode::Queue, "queue", "waits for its end"),
    (ConcurrencyMode::Concurrent, "concurrent", "runs beside it"),
];
const DELETION: [(DeletionCapability, &str, &str); 4] = [
    (
        DeletionCapability::Enumerate,
        "enumerate",
        "a complete crawl shows everything that exists",
    ),
    (
        DeletionCapability::Explicit,
        "explicit",
        "only its explicit word deletes",
    ),
    (
        DeletionCapability::FetchOnly,
        "fetch_only",
        "only fetching an item shows whether it exists",
    ),
    (
        DeletionCapability::None,
        "none",
        "it cannot tell; a person decides",
    ),
];
const HOUR_MS: f64 = 3_600_000.0;

fn place(id: &SourceId) -> String {
    format!("{}/settings", sources::address(id))
}

/// The settings on the page of a source.
pub(crate) fn summary(source: &Source) -> Markup {
    let (settings, site) = (&source.settings, &source.settings.site);
    let words = |list: &[String], none: &str| match list.is_empty() {
        true => none.to_owned(),
        false => list.join(", "),
    };
    html! {
        h2 { "Settings" }
        dl {
            dt { "Id" } dd { (source.id) }
            dt { "Where" } dd { (sources::place(source)) }
            @if settings.kind == SourceKind::Site { dt { "Further hosts" } dd { (words(&site.hosts, "none")) } }
            dt { "Only below" } dd { (words(&site.include, "everything")) }
            dt { "Not below" } dd { (words(&site.exclude, "nothing")) }
            @if settings.kind != SourceKind::Feed { (politeness(site)) }
            (policies(settings))
            @if let Some(service) = &source.service { dt { "Looked after by" } dd { (service) } }
            dt { "Added" } dd { (time(source.created_at)) ", settings version " (source.configuration) }
        }
        @if source.deleting_since.is_none() { div.actions { a.button.plain href=(place(&source.id)) { "Change the settings" } } }
    }
}

fn politeness(site: &SiteSettings) -> Markup {
    let yes = |set: bool| if set { "yes" } else { "no" };
    html! {
        dt { "At most" }
        dd { (counted(site.max_pages, "page")) ", " (site.max_depth) " links deep, " (bytes(site.max_body_bytes)) " each" }
        dt { "Politeness" }
        dd {
            (counted(site.concurrency_per_host.into(), "request")) " to a host at a time, "
            @if site.delay_ms == 0 { "no wait" } @else { (millis(site.delay_ms)) } " between them"
        }
        dt { "Time for a request" } dd { (millis(site.request_timeout_ms)) }
        dt { "Obeys robots.txt" } dd { (yes(site.obey_robots)) }
        dt { "Reads sitemaps" } dd { (yes(site.sitemaps)) }
        dt { "Private addresses" } dd { @if site.allow_private_addresses { "allowed" } @else { "refused" } }
    }
}

fn policies(settings: &Settings) -> Markup {
    let Settings {
        retry, orphans, live, ..
    } = settings;
    let is_crawled = settings.kind != SourceKind::Feed;
    let is_missed = matches!(
        settings.deletion,
        DeletionCapability::Enumerate | DeletionCapability::FetchOnly
    );
    html! {
        @if is_crawled {
            dt { "Schedule" } dd { (settings.schedule.as_deref().unwrap_or("only when somebody starts it")) }
            dt { "A second crawl" } dd { (said(&CONCURRENCY, settings.concurrency)) }
        }
        dt { "Retries" }
        dd { (count(retry.max_retries.into())) ", after " (millis(retry.initial_ms)) " to " (millis(retry.max_ms)) ", \u{d7} " (retry.multiplier) " each" }
        dt { "That an item is gone" } dd { (said(&DELETION, settings.deletion)) }
        @if is_crawled && is_missed {
            dt { "What a crawl missed" }
            dd {
                "deleted after " (counted(orphans.grace_crawls.into(), "crawl"))
                @if orphans.grace_ms > 0 { " and " (millis(orphans.grace_ms)) }
                @if orphans.verify { ", once it was looked for again" }
                ", if at most " (orphans.guard_percent) " % or " (counted(orphans.guard_items, "item")) " at once"
            }
        }
        dt { "Live updates" }
        dd { @if live.enabled { "taken" @if live.trust_clock { ", by the clock of the source" } } @else { "not taken" } }
    }
}

fn millis(millis: u64) -> String {
    duration(Duration::from_millis(millis))
}

fn said<T: Copy + PartialEq>(known: &[(T, &str, &'static str)], value: T) -> &'static str {
    known
        .iter()
        .find(|(known, ..)| *known == value)
        .map_or("", |(_, _, text)| text)
}

/// `/sources/{source}/settings`: the form, and what was changed before.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    Named(id): Named<SourceId>,
) -> Result<Markup, Problem> {
    let source = existing(&app, &id).await?;
    let versions = app.crawldb().configurations(&id).await?;
    let title = format!("Settings of {}", source.settings.name);
    let content = html! {
        p.above { a href="/sources" { "Sources" } " \u{203a} " a href=(sources::address(&id)) { (id) } }
        h1 { (title) }
        form method="post" action=(place(&id)) {
            input type="hidden" name="configuration" value=(source.configuration);
            (general(&source.settings))
            (what_is_fetched(&source.settings.site))
            (retries(&source.settings.retry))
            (deletions(&source.settings))
            (live(&source.settings.live))
            div.actions { button { "Save" } a href=(sources::address(&id)) { "Back" } }
        }
        (history(&versions))
    };
    Ok(layout::work_page(&frame, Area::Sources, &title, &content))
}

fn general(settings: &Settings) -> Markup {
    html! {
        (field("name", "Name", "").needed_text(&settings.name, 200))
        (field("schedule", "Schedule", "Such as every 6h, daily, or cron 0 3 * * * Europe/Oslo. Where you leave it empty, it is crawled only when somebody starts it.")
            .text(settings.schedule.as_deref().unwrap_or_default(), 100))
        (field("concurrency", "A crawl that is started while another one runs", "").choice(&named(&CONCURRENCY), name_of(&CONCURRENCY, settings.concurrency)))
    }
}

fn what_is_fetched(site: &SiteSettings) -> Markup {
    let start: Vec<String> = site.start.iter().map(ToString::to_string).collect();
    html! {
        h2 { "What is fetched" }
        (field("start", "Start URLs", "One a line.").lines(&start))
        (field("hosts", "Further hosts", "One a line.").lines(&site.hosts))
        (field("include", "Only URLs that begin with", "One a line; all where it is empty.").lines(&site.include))
        (field("exclude", "No URLs that begin with", "One a line.").lines(&site.exclude))
        div.columns {
            (field("max_pages", "Items of a crawl at most", "").number(site.max_pages, 1))
            (field("max_depth", "Links from a start URL at most", "").number(site.max_depth, 0))
            (field("concurrency_per_host", "Requests to a host at a time", "").number(site.concurrency_per_host, 1))
            (field("delay", "Seconds between two requests to a host", "A longer Crawl-delay of its robots.txt wins.").decimal(seconds(site.delay_ms), 0.0, 86_400.0))
        }
        (field("obey_robots", "Obey robots.txt", "").tick(site.obey_robots))
        (field("sitemaps", "Read sitemaps", "").tick(site.sitemaps))
    }
}

fn retries(retry: &RetryPolicy) -> Markup {
    html! {
        h2 { "When an item fails" }
        div.columns {
            (field("max_retries", "Retries", "Then it is left to a person.").number(retry.max_retries, 0))
            (field("retry_first", "Seconds before the first retry", "").decimal(seconds(retry.initial_ms), 0.0, 2_592_000.0))
            (field("multiplier", "Each further wait is longer by this factor", "").decimal(retry.multiplier, 1.0, 100.0))
            (field("retry_longest", "Seconds of the longest wait", "").decimal(seconds(retry.max_ms), 0.0, 2_592_000.0))
        }
    }
}

fn deletions(settings: &Settings) -> Markup {
    let orphans = &settings.orphans;
    html! {
        h2 { "When an item is gone" }
        (field("deletion", "How the source can tell", "").choice(&named(&DELETION), name_of(&DELETION, settings.deletion)))
        div.columns {
            (field("grace_crawls", "Complete crawls that must have missed it", "").number(orphans.grace_crawls, 1))
            (field("grace", "Hours since the first of them", "").decimal(orphans.grace_ms as f64 / HOUR_MS, 0.0, 8_760.0))
        }
        (field("verify", "Ask the source for it once more", "").tick(orphans.verify))
        div.columns {
            (field("guard_percent", "Percent of all items that may be deleted at once", "More wait for an approval, unless they are few.").decimal(orphans.guard_percent, 0.0, 100.0))
            (field("guard_items", "So many are few", "").number(orphans.guard_items, 0))
            (field("min_seen_percent", "Percent of the items of the last complete crawl that a crawl must see", "A smaller one waits for an approval.").decimal(orphans.min_seen_percent, 0.0, 100.0))
            (field("verify_budget", "Items that a crawl asks for at most, where only fetching tells", "").number(orphans.verify_budget, 0))
        }
    }
}

fn live(live: &LiveSettings) -> Markup {
    html! {
        h2 { "Live updates" }
        (field("live", "Take updates that the source sends", "").tick(live.enabled))
        (field("trust_clock", "Trust the times in them", "Else an update is as old as the log says.").tick(live.trust_clock))
    }
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

fn named<'a, T>(known: &[(T, &'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    known.iter().map(|(_, name, text)| (*name, *text)).collect()
}

fn name_of<T: Copy + PartialEq>(known: &[(T, &'static str, &str)], value: T) -> &'static str {
    known
        .iter()
        .find(|(known, ..)| *known == value)
        .map_or("", |(_, name, _)| name)
}

/// Saves what the form says.
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    let before = existing(&app, &id).await?.settings;
    let number = fields.number("configuration", 0, 1..=usize::MAX)?;
    let settings = changed(&app, &before, read(&fields, &before)?).await?;
    let crawldb = app.crawldb();
    crawldb
        .update_source(&id, number as u64, settings, clock::now())
        .await?;
    Ok(Redirect::to(&sources::address(&id)))
}

/// What the form says, and of the rest what was there before.
fn read(fields: &Params, before: &Settings) -> Result<Settings, Problem> {
    let chosen = |name: &str| fields.text(name).to_owned();
    let schedule = chosen("schedule");
    Ok(Settings {
        name: chosen("name"),
        schedule: (!schedule.is_empty()).then_some(schedule),
        concurrency: among(&CONCURRENCY, fields.text("concurrency"), before.concurrency),
        deletion: among(&DELETION, fields.text("deletion"), before.deletion),
        site: read_site(fields, &before.site)?,
        retry: RetryPolicy {
            max_retries: whole(fields, "max_retries", before.retry.max_retries)?,
            initial_ms: thousandths(fields, "retry_first", 1_000.0)?,
            max_ms: thousandths(fields, "retry_longest", 1_000.0)?,
            multiplier: fields.decimal("multiplier", 1.0..=100.0)?,
        },
        orphans: OrphanPolicy {
            grace_crawls: whole(fields, "grace_crawls", before.orphans.grace_crawls)?,
            grace_ms: thousandths(fields, "grace", HOUR_MS)?,
            verify: is_ticked(fields, "verify"),
            guard_percent: fields.decimal("guard_percent", 0.0..=100.0)?,
            guard_items: whole(fields, "guard_items", before.orphans.guard_items)?,
            min_seen_percent: fields.decimal("min_seen_percent", 0.0..=100.0)?,
            verify_budget: whole(fields, "verify_budget", before.orphans.verify_budget)?,
        },
        live: LiveSettings {
            enabled: is_ticked(fields, "live"),
            trust_clock: is_ticked(fields, "trust_clock"),
        },
        kind: before.kind.clone(),
    })
}

fn read_site(fields: &Params, before: &SiteSettings) -> Result<SiteSettings, Problem> {
    let lines = |name: &str| -> Vec<String> { fields.lines(name).map(str::to_owned).collect() };
    Ok(SiteSettings {
        start: fields
            .lines("start")
            .map(PageUrl::parse)
            .collect::<Result<_, _>>()?,
        hosts: lines("hosts"),
        include: lines("include"),
        exclude: lines("exclude"),
        max_pages: whole(fields, "max_pages", before.max_pages)?,
        max_depth: whole(fields, "max_depth", before.max_depth)?,
        concurrency_per_host: whole(fields, "concurrency_per_host", before.concurrency_per_host)?,
        delay_ms: thousandths(fields, "delay", 1_000.0)?,
        obey_robots: is_ticked(fields, "obey_robots"),
        sitemaps: is_ticked(fields, "sitemaps"),
        ..before.clone()
    })
}

fn among<T: Copy>(known: &[(T, &str, &str)], name: &str, otherwise: T) -> T {
    let found = known.iter().find(|(_, known, _)| *known == name);
    found.map_or(otherwise, |(value, ..)| *value)
}

fn is_ticked(fields: &Params, name: &str) -> bool {
    !fields.text(name).is_empty()
}

fn whole<T: TryFrom<usize>>(fields: &Params, name: &str, otherwise: T) -> Result<T, Problem> {
    if fields.text(name).is_empty() {
        return Ok(otherwise);
    }
    let number = fields.number(name, 0, 0..=usize::MAX)?;
    T::try_from(number).map_err(|_| Problem::bad_request(format!("the number {name:?} is too large")))
}

/// A number of `unit` milliseconds each, in milliseconds.
fn thousandths(fields: &Params, name: &str, unit: f64) -> Result<u64, Problem> {
    Ok((fields.decimal(name, 0.0..=1e9)? * unit).round() as u64)
}

fn history(versions: &[Configuration]) -> Markup {
    let flat: Vec<BTreeMap<String, String>> =
        versions.iter().map(|version| flat(&version.settings)).collect();
    html! {
        h2 { "Versions" }
        p.soft { "Each change makes a new version. A crawl keeps the one that it began with." }
        (layout::table("Versions", &html! { th.number { "Version" } th { "Since" } th { "What changed" } }, &html! { @for (at, version) in versions.iter().enumerate().rev() {
                        tr {
                            td.number { (version.number) }
                            td { (time(version.at)) }
                            td.long { @if at == 0 { span.soft { "the first" } } @else { (differences(&flat[at - 1], &flat[at])) } }
                        }
                    } }))
    }
}

fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Markup {
    let nothing = "nothing".to_owned();
    let of = |settings: &BTreeMap<String, String>, name: &str| settings.get(name).unwrap_or(&nothing).clone();
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    html! {
        @for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
            span.line { code { (name) } ": " (of(before, name)) " \u{2192} " (of(after, name)) }
        }
    }
}

/// Settings as names with dots and values, as in the API.
fn flat(settings: &Settings) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    let value = serde_json::to_value(SettingsBody::from(settings)).unwrap_or_default();
    flatten("", &value, &mut flat);
    flat
}

fn flatten(name: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() {
                    field.clone()
                } else {
                    format!("{name}.{field}")
                };
                flatten(&name, value, flat);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(flat.insert(name.to_owned(), text.clone())),
        other => drop(flat.insert(name.to_owned(), other.to_string())),
    }
}
