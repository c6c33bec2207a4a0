//! `/scrapers/{owner}/{name}/settings`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use model::ScraperId;
use registry::{Limits, Missed, Origin, Overlap, Scope, Scraper, ScraperSettings};

use super::address;
use super::new::{optional, origin};
use crate::api::scrapers::{Of, checked_origin};
use crate::clock;
use crate::pages::form::field;
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

const OVERLAPS: [(&str, &str); 3] = [
    ("skip", "the new run is left out"),
    ("queue", "the new run waits"),
    ("cancel", "the old run is stopped"),
];
const MISSED: [(&str, &str); 2] = [("once", "one run"), ("skip", "nothing")];

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Markup, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let scraper = app.runner.registry().scraper(&id).await?;
    let place = address(&scraper.id);
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(place) { (scraper.id) } }
        h1 { "Settings" }
        form method="post" action={ (place) "/settings" } {
            (about(&scraper))
            (times(&scraper.settings))
            (keeping(&scraper.settings))
            (limits(&scraper.settings.limits))
            div.actions { button { "Save" } }
        }
        @if scraper.paused.is_none() {
            h2 { "Pause" }
            p { "No run begins by itself until you let it go on. You can still run it by hand." }
            form.actions method="post" action={ (place) "/pause" } { button.plain name="pause" value="yes" { "Pause it" } }
        }
    };
    Ok(layout::work_page(&frame, Area::Scrapers, "Settings", &content))
}

fn about(scraper: &Scraper) -> Markup {
    let (from, reference) = match &scraper.origin {
        Origin::Folder { path } => (path.as_str(), ""),
        Origin::Git { url, reference } => (url.as_str(), reference.as_deref().unwrap_or_default()),
        Origin::Upload { .. } => ("", ""),
    };
    html! {
        (field("description", "Description", "One line.").text(&scraper.settings.description, 200))
        (field("from", "Repository or folder", "Empty: the code that was sent stays.").text(from, 2_000))
        (field("reference", "Branch, tag or commit", "Empty: the repository's own default.").text(reference, 200))
        (field("public", "Anybody may read its data", "Otherwise a key is needed.").tick(scraper.settings.public))
    }
}

fn times(settings: &ScraperSettings) -> Markup {
    let after = settings
        .after
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    html! {
        h2 { "When it runs" }
        (field("schedule", "Schedule", "daily, weekly, monthly, every 6h, daily between 01:00 and 05:00 Europe/Oslo, cron 0 3 * * * Europe/Oslo. Empty: when somebody says so.").text(settings.schedule.as_deref().unwrap_or_default(), 200))
        (field("after", "After another scraper", "OWNER/NAME: runs after every run of that one that succeeded.").text(&after, 201))
        (field("overlap", "When it is due and still running", "").choice(&OVERLAPS, overlap_name(settings.overlap)))
        (field("missed", "When turns were missed", "").choice(&MISSED, missed_name(settings.missed)))
        (field("pause_after_failures", "Pause after so many failed runs in a row", "0: never.").number(settings.pause_after_failures, 0))
    }
}

fn keeping(settings: &ScraperSettings) -> Markup {
    html! {
        h2 { "What is kept" }
        (field("keep_versions", "Versions of the data", "").number(settings.keep_versions, 1))
        (field("keep_after_failure", "Keep what a failed run left", "").tick(settings.keep_after_failure))
        (field("ignore_columns", "Columns whose changes do not count", "One a line, such as date_scraped.").lines(&settings.ignore_columns))
        (field("record", "Record what it says and hears over HTTP", "For replaying a run later. Its TLS connections end at Haul then.").tick(settings.record))
    }
}

fn limits(limits: &Limits) -> Markup {
    html! {
        h2 { "Limits" }
        div.columns.limits {
            (field("memory_mib", "Memory, MiB", "").number(limits.memory_mib, 1))
            (field("processes", "Processes", "").number(limits.processes, 1))
            (field("disk_mib", "Its folder, MiB", "").number(limits.disk_mib, 1))
            (field("tmp_mib", "/tmp, MiB", "").number(limits.tmp_mib, 1))
            (field("run_seconds", "Running, seconds", "").number(limits.run_seconds, 1))
            (field("build_seconds", "Installing, seconds", "").number(limits.build_seconds, 1))
            (field("log_lines", "Lines of log", "").number(limits.log_lines, 1))
            (field("log_bytes", "Bytes of log", "").number(limits.log_bytes, 1))
        }
    }
}

fn overlap_name(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Cancel => "cancel",
    }
}

fn missed_name(missed: Missed) -> &'static str {
    match missed {
        Missed::Skip => "skip",
        Missed::Once => "once",
    }
}

pub(super) async fn save(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let registry = app.runner.registry();
    let scraper = registry.scraper(&id).await?;
    let origin = match fields.text("from") {
        "" => scraper.origin,
        _ => checked_origin(&app, &visitor, origin(&fields), Some(&scraper.origin)).await?,
    };
    let settings = read(&fields, scraper.settings)?;
    registry
        .change_scraper(&id, origin, settings, clock::now())
        .await?;
    Ok(Redirect::to(&address(&id)))
}

fn read(fields: &Params, before: ScraperSettings) -> Result<ScraperSettings, Problem> {
    Ok(ScraperSettings {
        description: fields.text("description").to_owned(),
        schedule: optional(fields.text("schedule")),
        after: fields.parsed::<ScraperId>("after")?,
        overlap: match fields.text("overlap") {
            "queue" => Overlap::Queue,
            "cancel" => Overlap::Cancel,
            _ => Overlap::Skip,
        },
        missed: match fields.text("missed") {
            "skip" => Missed::Skip,
            _ => Missed::Once,
        },
        pause_after_failures: whole(fields, "pause_after_failures")?,
        keep_versions: whole(fields, "keep_versions")?,
        keep_after_failure: !fields.text("keep_after_failure").is_empty(),
        ignore_columns: fields.lines("ignore_columns").map(ToOwned::to_owned).collect(),
        record: !fields.text("record").is_empty(),
        public: !fields.text("public").is_empty(),
        limits: Limits {
            memory_mib: whole(fields, "memory_mib")?,
            processes: whole(fields, "processes")?,
            disk_mib: whole(fields, "disk_mib")?,
            tmp_mib: whole(fields, "tmp_mib")?,
            run_seconds: whole(fields, "run_seconds")?,
            build_seconds: whole(fields, "build_seconds")?,
            log_lines: whole(fields, "log_lines")?,
            log_bytes: whole(fields, "log_bytes")?,
        },
        ..before
    })
}

fn whole<T: std::str::FromStr>(fields: &Params, name: &str) -> Result<T, Problem> {
    let number = fields.text(name).parse();
    number.map_err(|_| Problem::bad_request(format!("{name:?} is a whole number")))
}
