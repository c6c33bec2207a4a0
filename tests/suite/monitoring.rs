//! What operators see: figures of a real crawl, the rules that a real Prometheus follows, the dashboard.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Answer, Bench, Haul, Need, Prometheus, Request, Running, Site, http, wait};

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "monitoring: promtool accepts rules, their tests and the example",
        &[Need::Program("promtool")],
        promtool,
    );
    bench.test(
        "monitoring: dashboard, rules and documentation name what is shown",
        &[],
        names,
    );
    bench.test("monitoring: every alert is tested and explained", &[], alerts);
    bench.test(
        "monitoring: Prometheus sees what haul shows, and alerts fire",
        &[Need::Program("prometheus")],
        real_prometheus,
    );
}

const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

fn promtool() -> Result<()> {
    let folder = root().join("ops/prometheus");
    let run = |arguments: &[&str]| -> Result<()> {
        let ended = Command::new("promtool")
            .current_dir(&folder)
            .args(arguments)
            .output()?;
        let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "promtool {}: {said}", arguments.join(" "));
        Ok(())
    };
    run(&["check", "rules", "rules.yml"])?;
    run(&["check", "config", "prometheus.yml"])?;
    for file in fs::read_dir(folder.join("tests"))? {
        let path = file?.path();
        run(&["test", "rules", &path.to_string_lossy()])?;
    }
    Ok(())
}

fn alerts() -> Result<()> {
    let (rules, docs) = (read("ops/prometheus/rules.yml")?, read("docs/monitoring.md")?);
    let mut tests = String::new();
    for file in fs::read_dir(root().join("ops/prometheus/tests"))? {
        tests += &fs::read_to_string(file?.path())?;
    }
    let named: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.split_once("- alert: "))
        .map(|(_, name)| name)
        .collect();
    ensure!(named.len() > 20, "the rules are read wrongly: {named:?}");
    for alert in named {
        ensure!(
            docs.contains(&format!("\n### {alert}\n")),
            "{alert} is not explained"
        );
        let anchor = format!("docs/monitoring.md#{}\n", alert.to_lowercase());
        ensure!(
            rules.contains(&anchor),
            "{alert} does not lead to its explanation"
        );
        for case in [format!("{alert} fires"), format!("{alert} is quiet: ")] {
            ensure!(tests.contains(&case), "no test says {case:?}");
        }
    }
    Ok(())
}

/// Crawls twice, sends a live update, replays, searches: everything that makes figures appear.
fn names() -> Result<()> {
    let seen = Watched::start()?;
    seen.crawl()?;
    seen.lose_a_page();
    seen.crawl()?;
    let url = seen.site.url("figures.example", "/page1");
    seen.post(
        "sources/figures/updates",
        &json!([{ "url": url, "change": "fetch" }]),
    )?;
    seen.post("sources/figures/replays", &json!({ "from": "beginning" }))?;
    http::get(&seen.address, "/api/v1/search?q=page")?;

    let documented = words(&read("docs/monitoring.md")?);
    let dashboard = expressions(&serde_json::from_str(&read("ops/grafana/haul.json")?)?);
    ensure!(
        dashboard.len() > 40,
        "the dashboard is read wrongly: {dashboard:?}"
    );
    let mut used = words(&read("ops/prometheus/rules.yml")?);
    used.extend(dashboard.iter().flat_map(|query| words(query)));

    let (mut shown, mut missing) = (BTreeSet::new(), Vec::new());
    let all = wait::until("every figure", PATIENCE, || {
        let samples = samples(&seen.figures()?);
        shown = figures(&samples);
        let unused = documented.difference(&shown).cloned();
        missing = used.difference(&samples).cloned().chain(unused).collect();
        Ok(missing.is_empty().then_some(()))
    });
    all.with_context(|| format!("named, not shown: {missing:?}"))?;
    let unexplained: Vec<_> = shown.difference(&documented).collect();
    ensure!(
        unexplained.is_empty(),
        "shown, not in docs/monitoring.md: {unexplained:?}"
    );
    Ok(())
}

fn real_prometheus() -> Result<()> {
    let seen = Watched::start()?;
    let prometheus = Prometheus::watch(&seen.address, &hasty(&read("ops/prometheus/rules.yml")?))?;
    seen.crawl()?;

    let watched = [
        "haul_crawler_items_total{to=\"applied\"}",
        "haul_ledger_transitions_total{outcome=\"escalated\",origin=\"crawl\"}",
        "haul_crawler_stage_seconds_count{stage=\"fetch\"}",
    ];
    for figure in watched {
        wait::until(figure, PATIENCE, || {
            let shown = value(&seen.figures()?, figure);
            Ok((shown.is_some() && shown == prometheus.value(figure)?).then_some(()))
        })?;
    }
    let waiting = prometheus.fires("HaulEscalationsWait")?;
    let summary = waiting["summary"].as_str().unwrap_or_default();
    ensure!(summary.contains("source figures"), "{waiting}");
    let Watched { running, .. } = seen;
    running.kill()?;
    prometheus.fires("HaulDown")?;
    Ok(())
}

/// The same alerts, which fire after a second.
fn hasty(rules: &str) -> String {
    let hasten = |line: &str| match line.strip_prefix("        for: ") {
        Some(_) => "        for: 1s\n".to_owned(),
        None => format!("{line}\n"),
    };
    rules.lines().map(hasten).collect()
}

/// A running haul with a source of which some pages fail.
struct Watched {
    running: Running,
    address: String,
    site: Site,
    is_later: Arc<AtomicBool>,
    _haul: Haul,
}

impl Watched {
    fn start() -> Result<Self> {
        let is_later = Arc::new(AtomicBool::new(false));
        let later = Arc::clone(&is_later);
        let site = Site::serve(move |request| answer(request, later.load(Ordering::SeqCst)))?;
        let haul = Haul::new()?.with("HAUL_PACK_IDLE_MS", "100");
        let mut add: Vec<String> = ["source", "add", "figures"].map(str::to_owned).into();
        add.push(site.url("figures.example", "/"));
        add.extend(site.flags(&["figures.example"]));
        haul.expect(0, &add)?;
        let mut running = haul.start(&["up", "--listen", "127.0.0.1:0"])?;
        let address = running.says("sources and crawls at http://")?;
        let address = address.split('/').next().context("no address")?.to_owned();
        Ok(Self {
            running,
            address,
            site,
            is_later,
            _haul: haul,
        })
    }

    /// From now on one page is gone.
    fn lose_a_page(&self) {
        self.is_later.store(true, Ordering::SeqCst);
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        http::post(&self.address, &format!("/api/v1/{path}"), body)
    }

    /// Crawls the source to the end.
    fn crawl(&self) -> Result<()> {
        let started = self.post("sources/figures/crawls", &json!({}))?;
        let id = started["id"]
            .as_str()
            .with_context(|| format!("no id: {started}"))?;
        wait::until("the end of the crawl", PATIENCE, || {
            let crawl = http::get_json(&self.address, &format!("/api/v1/crawls/{id}"))?;
            Ok((crawl["status"] == "completed").then_some(()))
        })
    }

    fn figures(&self) -> Result<String> {
        http::get(&self.address, "/metrics")
    }
}

/// Five pages, of which one later is gone, and one that may not be read.
fn answer(request: &Request, is_later: bool) -> Answer {
    let link = |number: usize| format!("/page{number}");
    match request.path.as_str() {
        "/" => {
            let mut links: Vec<String> = (1..=if is_later { 4 } else { 5 }).map(link).collect();
            links.push("/secret".to_owned());
            Answer::page("Figures", "A page about figures.", &links)
        }
        "/page5" if is_later => Answer::status(404),
        "/secret" => Answer::status(403),
        path if path.starts_with("/page") => Answer::page(path, "One more page.", &[]),
        _ => Answer::status(404),
    }
}

/// The names of figures in a text; those that the rules record have a colon and are left out.
fn words(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let is_figure =
        |word: &&str| (word.starts_with("haul_") || word.starts_with("process_")) && !word.contains(':');
    let words = text.split(|letter| !is_part(letter));
    words.filter(is_figure).map(str::to_owned).collect()
}

/// Every query of the dashboard.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter()
                .chain(fields.values().flat_map(expressions))
                .collect()
        }
        Value::Array(values) => values.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// The names of all values that are shown.
fn samples(page: &str) -> BTreeSet<String> {
    let values = page.lines().filter(|line| !line.starts_with('#'));
    let names = values.filter_map(|line| line.split(['{', ' ']).next());
    names.map(str::to_owned).collect()
}

/// The same, but the three names of a histogram are one.
fn figures(samples: &BTreeSet<String>) -> BTreeSet<String> {
    let histogram = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        let whole = ends.iter().find_map(|end| name.strip_suffix(end))?;
        samples
            .contains(&format!("{whole}_bucket"))
            .then(|| whole.to_owned())
    };
    let names = samples.iter();
    names
        .map(|name| histogram(name).unwrap_or_else(|| name.clone()))
        .collect()
}

/// The value of a figure with these labels, in this order.
fn value(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}
