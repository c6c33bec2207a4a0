//! The pages as people use them who have a phone, no mouse, or no screen.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{Bench, Browser, Haul, Need, Page, http};

use super::server::{ask, over, set_secret, up};
use super::{SANDBOX, SITE, copy, haul, serve};

const PASSWORD: &str = "a long sentence that nobody guesses";
/// Where Chromium's tree says that people act. Each must have a name.
const CONTROLS: [&str; 8] = [
    "button",
    "checkbox",
    "combobox",
    "link",
    "listbox",
    "radio",
    "textbox",
    "spinbutton",
];

pub(super) fn add(bench: &mut Bench) {
    bench.test(
        "browser: a person signs in, makes a key and runs a scraper by keyboard, on a phone",
        &[SANDBOX, Need::Program("python3"), Need::Program("chromium")],
        by_keyboard,
    );
}

fn by_keyboard() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?.with("HAUL_ACCESS_ACCOUNTS", "true");
    add_account(&haul)?;
    let folder = copy(&haul, "python")?.display().to_string();
    haul.expect(0, &["scraper", "add", "ada/bega", &folder])?;
    set_secret(&haul, "ada/bega", "MORPH_SITE", &format!("http://{SITE}"))?;
    let (running, address) = up(&haul)?;
    let first = over(&address, &ask(&haul, "ada/bega")?)?;
    ensure!(first["ending"]["outcome"] == "succeeded", "{first:#}");
    let place = |path: &str| format!("http://{address}{path}");

    let mut browser = Browser::start()?;
    let mut page = browser.page()?;
    page.as_on_a_phone()?;
    page.open(&place("/sign-in"))?;
    check(&mut page, "/sign-in")?;
    page.tab_to("#name")?;
    page.write("ada")?;
    page.tab_to("#password")?;
    page.write(PASSWORD)?;
    page.press("Enter")?;
    page.until("!location.pathname.startsWith('/sign-in') && document.readyState === 'complete'")?;

    page.open(&place("/account"))?;
    page.tab_to("details:has(form[action='/account/keys/ada']) summary")?;
    page.press("Enter")?;
    page.tab_to("form[action='/account/keys/ada'] input[name=label]")?;
    page.write("of my notebook")?;
    page.press("Enter")?;
    page.until("document.body.innerText.includes('of my notebook')")?;

    let pages = [
        "/scrapers",
        "/scrapers/ada/bega",
        "/scrapers/ada/bega/settings",
        "/scrapers/ada/bega/secrets",
        "/scrapers/ada/bega/webhooks",
        "/runs/1",
        "/account",
        "/accounts",
    ];
    for path in pages {
        page.open(&place(path))?;
        check(&mut page, path)?;
    }
    page.open(&place("/scrapers/ada/bega"))?;
    page.tab_to("form[action$='/run'] button")?;
    page.press("Enter")?;
    page.until("location.pathname === '/runs/2'")?;
    ensure!(over(&address, "2")?["ending"]["outcome"] == "succeeded");
    ensure!(http::get(&address, "/scrapers")?.contains("bega"));
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

fn add_account(haul: &Haul) -> Result<()> {
    let file = haul.folder().join("password.txt");
    fs::write(&file, PASSWORD)?;
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" account add ada --operator < \"$1\""]);
    command.arg(haul.binary()).arg(&file);
    let ended = haul.start_as(command)?.wait()?;
    ensure!(ended.code == Some(0), "{ended:#?}");
    Ok(())
}

/// It fits a phone, says what it is, and names all that can be used.
fn check(page: &mut Page<'_>, path: &str) -> Result<()> {
    let width = page.evaluate("document.documentElement.scrollWidth")?;
    ensure!(width.as_u64() <= Some(360), "{path} is {width} pixels wide");
    let spoken = page.spoken()?;
    let unnamed: Vec<_> = spoken
        .iter()
        .filter(|(role, name)| CONTROLS.contains(&role.as_str()) && name.trim().is_empty())
        .collect();
    ensure!(
        unnamed.is_empty(),
        "{path} has controls without a name: {unnamed:?}"
    );
    let has = |role: &str| spoken.iter().any(|(each, _)| each == role);
    for role in ["main", "heading", "navigation"] {
        ensure!(has(role), "{path} has no {role}: {spoken:?}");
    }
    let tables = page.evaluate("[...document.querySelectorAll('table')].filter(t => !t.caption && !t.getAttribute('aria-label') && !t.getAttribute('aria-labelledby')).length")?;
    ensure!(tables == json!(0), "{path} has {tables} tables without a caption");
    let title = page.evaluate("document.title")?;
    title
        .as_str()
        .filter(|title| !title.is_empty())
        .with_context(|| format!("{path} has no title"))?;
    Ok(())
}
