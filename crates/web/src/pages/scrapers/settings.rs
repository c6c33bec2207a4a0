//! `/scrapers/{owner}/{name}/settings`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use model::ScraperId;
use registry::{Limits, Missed, Origin, Overlap, RegistryError, Scope, Scraper, ScraperSettings};

use super::address;
use super::new::{optional, origin};
use crate::api::scrapers::{Of, checked_origin};
use crate::clock;
use crate::pages::form::{Remark, field};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Form, Params, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

const OVERLAPS: [(&str, &str); 3] = [
    ("skip", "the new run is left out"),
    ("queue", "the new run waits"),
    ("cancel", "the old run is stopped"),
];
const MISSED: [(&str, &str); 2] = [("once", "one run"), ("skip", "nothing")];

/// Its numbers: the name of each, what it is called, and the least that it can be.
const PAUSE: Number = (
    "pause_after_failures",
    "Pause after so many failed runs in a row",
    0,
);
const KEEP: Number = ("keep_versions", "Versions of the data", 1);
const LIMITS: [Number; 8] = [
    ("memory_mib", "Memory, MiB", 1),
    ("processes", "Processes", 1),
    ("disk_mib", "Its folder, MiB", 1),
    ("tmp_mib", "/tmp, MiB", 1),
    ("run_seconds", "Running, seconds", 1),
    ("build_seconds", "Installing, seconds", 1),
    ("log_lines", "Lines of log", 1),
    ("log_bytes", "Bytes of log", 1),
];

type Number = (&'static str, &'static str, u64);

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Markup, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let scraper = app.runner.registry().scraper(&id).await?;
    Ok(shown(
        &app,
        &frame,
        &scraper,
        &fields(&scraper),
        &Remark::default(),
    ))
}

/// What the form shows of a scraper as it is.
fn fields(scraper: &Scraper) -> Params {
    let settings = &scraper.settings;
    let limits = &settings.limits;
    let (from, reference) = match &scraper.origin {
        Origin::Folder { path } => (path.clone(), None),
        Origin::Git { url, reference } => (url.clone(), reference.clone()),
        Origin::Upload { .. } => (String::new(), None),
    };
    let ticked = |is_so: bool| if is_so { "yes".to_owned() } else { String::new() };
    Params::of([
        ("configuration", scraper.configuration.to_string()),
        ("description", settings.description.clone()),
        ("from", from),
        ("reference", reference.unwrap_or_default()),
        ("public", ticked(settings.public)),
        ("schedule", settings.schedule.clone().unwrap_or_default()),
        (
            "after",
            settings
                .after
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        ("overlap", overlap_name(settings.overlap).to_owned()),
        ("missed", missed_name(settings.missed).to_owned()),
        ("pause_after_failures", settings.pause_after_failures.to_string()),
        ("keep_versions", settings.keep_versions.to_string()),
        ("keep_after_failure", ticked(settings.keep_after_failure)),
        ("ignore_columns", settings.ignore_columns.join("\n")),
        ("record", ticked(settings.record)),
        ("memory_mib", limits.memory_mib.to_string()),
        ("processes", limits.processes.to_string()),
        ("disk_mib", limits.disk_mib.to_string()),
        ("tmp_mib", limits.tmp_mib.to_string()),
        ("run_seconds", limits.run_seconds.to_string()),
        ("build_seconds", limits.build_seconds.to_string()),
        ("log_lines", limits.log_lines.to_string()),
        ("log_bytes", limits.log_bytes.to_string()),
    ])
}

/// The form with what was entered.
fn shown(app: &App, frame: &Frame, scraper: &Scraper, fields: &Params, remark: &Remark) -> Markup {
    let place = address(&scraper.id);
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(place) { (scraper.id) } }
        h1 { "Settings" }
        (remark.above())
        form method="post" action={ (place) "/settings" } {
            input type="hidden" name="configuration" value=(fields.text("configuration"));
            (about(fields))
            (times(fields))
            (keeping(fields))
            h2 { "Limits" }
            div.columns.limits { @for limit in LIMITS { (number(fields, limit, "")) } }
            div.actions { button { "Save" } }
        }
        @if let Origin::Git { .. } = scraper.origin { (pushes(app, scraper)) }
        @if scraper.paused.is_none() {
            h2 { "Pause" }
            p { "No run begins by itself until you let it go on. You can still run it by hand." }
            form.actions method="post" action={ (place) "/pause" } { button.plain name="pause" value="yes" { "Pause it" } }
        }
    };
    layout::work_page(frame, Area::Scrapers, "Settings", &content)
}

fn about(fields: &Params) -> Markup {
    html! {
        (field("description", "Description", "One line.").text(fields.text("description"), 200))
        (field("from", "Repository or folder", "Empty: the code that was sent stays.").text(fields.text("from"), 2_000))
        (field("reference", "Branch, tag or commit", "Empty: the repository's own default.").text(fields.text("reference"), 200))
        (field("public", "Anybody may read its data", "Otherwise a key is needed.").tick(is_ticked(fields, "public")))
    }
}

fn times(fields: &Params) -> Markup {
    html! {
        h2 { "When it runs" }
        (field("schedule", "Schedule", "daily, weekly, monthly, every 6h, daily between 01:00 and 05:00 Europe/Oslo, cron 0 3 * * * Europe/Oslo. Empty: when somebody says so.").text(fields.text("schedule"), 200))
        (field("after", "After another scraper", "OWNER/NAME: runs after every run of that one that succeeded.").text(fields.text("after"), 201))
        (field("overlap", "When it is due and still running", "").choice(&OVERLAPS, fields.text("overlap")))
        (field("missed", "When turns were missed", "").choice(&MISSED, fields.text("missed")))
        (number(fields, PAUSE, "0: never."))
    }
}

fn keeping(fields: &Params) -> Markup {
    let ignored: Vec<String> = fields.lines("ignore_columns").map(ToOwned::to_owned).collect();
    html! {
        h2 { "What is kept" }
        (number(fields, KEEP, ""))
        (field("keep_after_failure", "Keep what a failed run left", "").tick(is_ticked(fields, "keep_after_failure")))
        (field("ignore_columns", "Columns whose changes do not count", "One a line, such as date_scraped.").lines(&ignored))
        (field("record", "Record what it says and hears over HTTP", "For replaying a run later: its page has the recording, which may hold secrets that were sent. Its TLS connections end at Haul then.").tick(is_ticked(fields, "record")))
    }
}

fn number(fields: &Params, (name, label, least): Number, help: &str) -> Markup {
    field(name, label, help).number(fields.text(name), least)
}

fn is_ticked(fields: &Params, name: &str) -> bool {
    !fields.text(name).is_empty()
}

/// How whoever hosts the repository tells of pushes.
fn pushes(app: &App, scraper: &Scraper) -> Markup {
    let id = &scraper.id;
    let hook = format!(
        "{}/hooks/{}/{}",
        app.access.base,
        segment(id.owner.as_str()),
        segment(id.name.as_str())
    );
    html! {
        h2 { "Run after each push" }
        p { "Give whoever hosts the repository this address for push events, and a key that may start runs, which " a href="/account" { "your account's page" } " makes:" }
        pre tabindex="0" { code { (hook) "?key=KEY" } }
        p.soft { "At GitLab, put the key into the field for the secret token instead. Pushes to other branches than the one above start nothing." }
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
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Response, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let scraper = app.runner.registry().scraper(&id).await?;
    match saved(&app, &visitor, &scraper, &fields).await {
        Ok(()) => Ok(Redirect::to(&address(&scraper.id)).into_response()),
        Err(problem) => {
            let remark = Remark::of("", problem)?;
            Ok(remark.answer(shown(&app, &frame, &scraper, &fields, &remark)))
        }
    }
}

/// Only over what the form showed: somebody else may have changed it since.
async fn saved(app: &App, visitor: &Visitor, scraper: &Scraper, fields: &Params) -> Result<(), Problem> {
    let shown = whole(fields, ("configuration", "The number of the settings", 1))?;
    let origin = match fields.text("from") {
        "" => scraper.origin.clone(),
        _ => checked_origin(app, visitor, origin(fields), Some(&scraper.origin)).await?,
    };
    let settings = read(fields, scraper.settings.clone())?;
    let registry = app.runner.registry();
    let changed = registry.change_scraper(&scraper.id, origin, settings, Some(shown), clock::now());
    changed.await.map_err(|error| match error {
        RegistryError::ChangedMeanwhile { .. } => Problem::new(
            StatusCode::CONFLICT,
            "somebody changed these settings meanwhile; open them again, then change what is to be different",
        ),
        error => error.into(),
    })?;
    Ok(())
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
        pause_after_failures: whole(fields, PAUSE)?,
        keep_versions: whole(fields, KEEP)?,
        keep_after_failure: is_ticked(fields, "keep_after_failure"),
        ignore_columns: fields.lines("ignore_columns").map(ToOwned::to_owned).collect(),
        record: is_ticked(fields, "record"),
        public: is_ticked(fields, "public"),
        limits: limits(fields)?,
        ..before
    })
}

fn limits(fields: &Params) -> Result<Limits, Problem> {
    let [memory, processes, disk, tmp, run, build, lines, bytes] = LIMITS;
    Ok(Limits {
        memory_mib: whole(fields, memory)?,
        processes: whole(fields, processes)?,
        disk_mib: whole(fields, disk)?,
        tmp_mib: whole(fields, tmp)?,
        run_seconds: whole(fields, run)?,
        build_seconds: whole(fields, build)?,
        log_lines: whole(fields, lines)?,
        log_bytes: whole(fields, bytes)?,
    })
}

fn whole<T: std::str::FromStr>(fields: &Params, (name, label, _): Number) -> Result<T, Problem> {
    let number = fields.text(name).parse();
    number.map_err(|_| Problem::bad_request(format!("\u{201c}{label}\u{201d} is a whole number")))
}
