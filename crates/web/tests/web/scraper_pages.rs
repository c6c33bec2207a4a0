//! Pages about scrapers: what they show, to whom, and what their forms do.

use archive::Artifact;
use model::{Checksum, ScraperId};
use registry::{DeliveryState, Limits, Outcome, Scope, ScraperSettings};
use runlog::Stream;

use crate::client::{Answer, get, get_with, submit};
use crate::fixture::Parts;
use crate::made_up::{self, HOSTILE, Working, add, before, ending, fill, person};
use crate::visitors::{nobody, owner, registry, signed_in, with_people};

const BEGA: &str = "/scrapers/ada/bega";

fn open() -> ScraperSettings {
    ScraperSettings {
        public: true,
        ..ScraperSettings::default()
    }
}

/// A server where nobody signs in, with the scraper `ada/bega`.
async fn with_bega() -> (Parts, ScraperId) {
    let parts = Parts::start().await;
    let id = add(&parts, "ada/bega", ScraperSettings::default()).await;
    (parts, id)
}

/// Checks that a form led to `place`.
#[track_caller]
fn leads_to(answer: &Answer, place: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, place),
        "{}",
        answer.body
    );
}

/// The values of an attribute, in the order of the page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    let rest = page.split(&*begin).skip(1);
    rest.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn every_page_answers_and_can_be_heard_as_well_as_seen() {
    let parts = Parts::start().await;
    let running = made_up::make_up(&parts).await;
    let live = format!("/runs/{}", running.run());
    let places = [
        "",
        "/settings",
        "/secrets",
        "/webhooks",
        "?table=wide",
        "?runs=all",
        "/changes?from=1",
    ];
    let mut places: Vec<String> = places.iter().map(|place| format!("{BEGA}{place}")).collect();
    let others = [
        "/scrapers",
        "/scrapers?q=grants",
        "/scrapers?q=nothing",
        "/scrapers/new",
        "/scrapers/ada/new",
    ];
    places.extend(others.map(ToOwned::to_owned));
    places.extend(
        [
            "/scrapers/bob/grants",
            "/scrapers/ada/live",
            "/runs/1",
            "/runs/30",
        ]
        .map(ToOwned::to_owned),
    );
    places.push(live);
    for place in &places {
        let page = get(&parts.router, place).await;
        page.is_page(200, &["<h1", "<main"]);
        check_structure(place, &page.body);
    }
}

/// One first heading, no level left out, no id twice, a label for every field, a name for every table.
#[track_caller]
fn check_structure(place: &str, page: &str) {
    let levels: Vec<&str> = page.split("<h").skip(1).map(|rest| &rest[..1]).collect();
    let levels: Vec<u32> = levels.iter().filter_map(|level| level.parse().ok()).collect();
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{place}");
    assert!(
        levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "{place}: {levels:?}"
    );
    let tables = page.split("<table>").skip(1);
    assert!(
        tables
            .clone()
            .all(|table| table.starts_with("<caption class=\"unseen\">")),
        "{place}: a table has no name"
    );
    assert_eq!(page.matches("<table").count(), tables.count(), "{place}");
    let mut ids = values(page, "id");
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{place}: {ids:?}");
    for labelled in values(page, "for")
        .into_iter()
        .chain(values(page, "aria-describedby"))
    {
        assert!(ids.contains(&labelled), "{place}: nothing has the id {labelled}");
    }
    let fields = page
        .split("<input ")
        .skip(1)
        .filter(|field| field.starts_with("id="));
    for field in fields {
        let id = field.split('"').nth(1).unwrap();
        assert!(
            page.contains(&format!("for=\"{id}\"")),
            "{place}: {id} has no label"
        );
    }
}

#[tokio::test]
async fn what_scrapers_write_is_text() {
    let (parts, id) = with_bega().await;
    fill(&parts, &id, 3).await;
    let working = Working::start(&parts, &id, person("ada"), before(1)).await;
    working.say(Stream::Stdout, HOSTILE);
    let run = working
        .end(&parts, ending(Outcome::Failed, HOSTILE, [0; 3]), before(0))
        .await;
    let odd = format!("{BEGA}?table=%3Cb%3Eodd+%26+empty%3C/b%3E");
    for place in [BEGA, odd.as_str(), &format!("/runs/{run}")] {
        let page = get(&parts.router, place).await;
        page.is_page(200, &["&lt;/li&gt;&lt;script&gt;alert"]);
        assert!(!page.body.contains("<script>"), "{place}");
        assert!(!page.body.contains("<b>odd"), "{place}");
    }
}

#[tokio::test]
async fn a_run_that_goes_on_is_followed_from_the_line_after_the_last_that_is_shown() {
    let (parts, id) = with_bega().await;
    let waits = get(&parts.router, BEGA).await;
    waits.is_page(200, &["It never ran."]);
    let working = Working::start(&parts, &id, person("ada"), before(1)).await;
    let place = format!("/runs/{}", working.run());
    get(&parts.router, &place)
        .await
        .is_page(200, &["Nothing yet", "log/events?after=0\""]);
    working.say(Stream::Stdout, "one");
    working.say(Stream::Stderr, "two");
    let page = get(&parts.router, &place).await;
    let line = "<li value=\"2\" class=\"stderr\">two</li>";
    page.is_page(
        200,
        &[
            "role=\"log\"",
            line,
            "log/events?after=2\"",
            "log.js",
            "data-run-state",
            "running",
        ],
    );
    working
        .end(
            &parts,
            ending(Outcome::Succeeded, "finished in 83.0 s", [3, 1, 0]),
            before(0),
        )
        .await;
    let page = get(&parts.router, &place).await;
    page.is_page(
        200,
        &["succeeded", "Finished in 83.0 s.", line, "3f786850", "1,204"],
    );
    assert!(
        !page.body.contains("data-log=") && !page.body.contains("log.js"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_long_log_is_shown_from_its_end() {
    let (parts, id) = with_bega().await;
    let working = Working::start(&parts, &id, person("ada"), before(1)).await;
    for number in 1..=2_100 {
        working.say(Stream::Stdout, &format!("line {number}"));
    }
    let run = working
        .end(
            &parts,
            ending(Outcome::Succeeded, "it is over", [0; 3]),
            before(0),
        )
        .await;
    let page = get(&parts.router, &format!("/runs/{run}")).await;
    page.is_page(200, &["100 lines before these", ">line 101<", ">line 2100<"]);
    assert!(!page.body.contains(">line 100<"));
}

#[tokio::test]
async fn only_who_may_is_let_in() {
    let parts = with_people().await;
    let id = add(&parts, "ada/bega", ScraperSettings::default()).await;
    fill(&parts, &id, 2).await;
    let bob = signed_in(&parts, "bob").await;
    for place in ["settings", "secrets", "webhooks"] {
        let place = format!("{BEGA}/{place}");
        leads_to(
            &nobody(&parts).gets(&place).await,
            &format!("/sign-in?to={}", place.replace('/', "%2F")),
        );
        bob.gets(&place)
            .await
            .is_page(403, &["Only ada, members of it and operators may do this"]);
    }
    for (form, fields) in FORMS {
        let place = format!("{BEGA}/{form}");
        bob.submits(&place, fields).await.is_page(403, &["Only ada"]);
        assert_eq!(nobody(&parts).submits(&place, fields).await.status, 303);
    }
    assert!(registry(&parts).scraper(&id).await.unwrap().paused.is_none());
    let page = bob.gets(BEGA).await;
    page.is_page(200, &["2026.0001"]);
    assert!(
        !page.body.contains("Run now") && !page.body.contains("Settings"),
        "{}",
        page.body
    );
}

const FORMS: [(&str, &str); 7] = [
    ("run", ""),
    ("pause", "pause=yes"),
    ("delete", "sure=yes"),
    ("versions", "version=1"),
    ("settings", "description=x"),
    ("secrets", "name=MORPH_A&value=x"),
    ("webhooks", "url=https://a.test/&event=failed"),
];

#[tokio::test]
async fn data_is_for_people_who_sign_in_unless_its_owner_opens_it() {
    let parts = with_people().await;
    let closed = add(&parts, "ada/bega", ScraperSettings::default()).await;
    let opened = add(&parts, "ada/opened", open()).await;
    for id in [&closed, &opened] {
        fill(&parts, id, 2).await;
    }
    let page = nobody(&parts).gets(BEGA).await;
    page.is_page(200, &["/sign-in?to=%2Fscrapers%2Fada%2Fbega"]);
    assert!(!page.body.contains("Zingel Place"), "{}", page.body);
    let file = format!("{BEGA}/data.sqlite");
    assert_eq!(nobody(&parts).gets(&file).await.status, 303);
    let bob = signed_in(&parts, "bob").await;
    bob.gets(BEGA).await.is_page(200, &["Zingel Place"]);
    for answer in [
        bob.gets(&file).await,
        nobody(&parts).gets("/scrapers/ada/opened/data.sqlite").await,
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/vnd.sqlite3");
        assert!(answer.body.starts_with("SQLite format 3\0"));
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    nobody(&parts)
        .gets("/scrapers/ada/opened")
        .await
        .is_page(200, &["Zingel Place"]);
}

#[tokio::test]
async fn what_sent_code_says_is_for_who_sent_it() {
    let parts = with_people().await;
    let code = Checksum::of(b"code");
    let run = registry(&parts)
        .ask_upload(&owner("ada"), code, Limits::default(), before(0))
        .await
        .unwrap();
    let place = format!("/runs/{}", run.id);
    let (ada, bob) = (signed_in(&parts, "ada").await, signed_in(&parts, "bob").await);
    assert_eq!(nobody(&parts).gets(&place).await.status, 303);
    bob.gets(&place).await.is_page(403, &["Only ada"]);
    ada.gets(&place).await.is_page(200, &["code sent by ada"]);
    let api = format!("/api/v1/runs/{}", run.id);
    nobody(&parts).gets(&api).await.is_problem(401, "say who you are");
    bob.gets(&api).await.is_problem(403, "only ada");
    assert_eq!(ada.gets(&api).await.json()["cause"]["by"], "ada");
    let name = run.scraper.to_string();
    for place in [
        format!("/scrapers/{name}"),
        format!("/{name}"),
        format!("/{name}/runs.atom"),
        format!("/api/v1/scrapers/{name}"),
        format!("/api/v1/scrapers/{name}/runs"),
    ] {
        for asker in [nobody(&parts), bob.clone()] {
            assert_eq!(asker.gets(&place).await.status, 404, "{place}");
        }
    }
}

#[tokio::test]
async fn a_scraper_is_added_and_its_settings_are_changed() {
    let parts = Parts::start().await;
    let fields = "owner=local&name=grants&from=https://git.example/grants.git&reference=&schedule=daily&description=Grants";
    leads_to(
        &submit(&parts.router, "/scrapers", fields).await,
        "/scrapers/local/grants",
    );
    let place = "/scrapers/local/grants";
    get(&parts.router, place)
        .await
        .is_page(200, &["Grants", "Runs daily, next"]);
    let fields = "configuration=1&description=Grants+of+all&from=https://git.example/grants.git&reference=v2&schedule=weekly&after=&overlap=queue\
        &missed=skip&pause_after_failures=3&keep_versions=5&ignore_columns=date_scraped%0D%0Aseen_at&public=yes&memory_mib=256&processes=10\
        &disk_mib=100&tmp_mib=10&run_seconds=60&build_seconds=60&log_lines=100&log_bytes=2048";
    leads_to(
        &submit(&parts.router, &format!("{place}/settings"), fields).await,
        place,
    );
    let known = registry(&parts)
        .scraper(&"local/grants".parse().unwrap())
        .await
        .unwrap();
    let settings = known.settings;
    assert_eq!(settings.schedule.as_deref(), Some("weekly"));
    assert_eq!(settings.ignore_columns, ["date_scraped", "seen_at"]);
    assert_eq!((settings.keep_versions, settings.limits.memory_mib), (5, 256));
    assert!(settings.public && !settings.keep_after_failure && !settings.record);
    let late = submit(
        &parts.router,
        &format!("{place}/settings"),
        &fields.replace("Grants+of+all", "Mine"),
    )
    .await;
    late.is_page(
        409,
        &["Somebody changed these settings meanwhile", "value=\"Mine\""],
    );
    let again = get(&parts.router, &format!("{place}/settings")).await;
    again.is_page(
        200,
        &[
            "value=\"weekly\"",
            "value=\"v2\"",
            "date_scraped\nseen_at",
            "value=\"queue\" selected",
            "name=\"configuration\" value=\"2\"",
            "/hooks/local/grants?key=KEY",
            "value=\"Grants of all\"",
        ],
    );
}

#[tokio::test]
async fn bad_input_is_answered_with_what_to_do() {
    let (parts, id) = with_bega().await;
    let says = async |place: &str, fields: &str, text: &str| {
        let page = submit(&parts.router, place, fields).await;
        assert!(
            (400..=409).contains(&page.status.as_u16()),
            "{fields}: {}",
            page.status
        );
        page.is_page(page.status.as_u16(), &["role=\"alert\"", text]);
        for sent in ["now and then", "ftp://a.test/", "TOKEN"] {
            let was_sent = fields.replace('+', " ").contains(sent);
            assert!(
                !was_sent || page.body.contains(&format!("value=\"{sent}\"")),
                "{sent} is lost"
            );
        }
    };
    let git = "from=https://git.example/a.git";
    says("/scrapers", &format!("owner=local&name=a+b&{git}"), "use 1 to").await;
    says("/scrapers", &format!("owner=api&name=a&{git}"), "api").await;
    says("/scrapers", &format!("owner=ada&name=bega&{git}"), "ada/bega").await;
    says("/scrapers", "owner=local&name=a&from=", "1 to 2000 bytes").await;
    says(
        "/scrapers",
        "owner=local&name=a&from=ext::sh",
        "https://HOST/PATH",
    )
    .await;
    says(
        "/scrapers",
        "owner=local&name=a&from=/etc",
        "may not be named here",
    )
    .await;
    says(
        "/scrapers",
        &format!("owner=local&name=a&{git}&schedule=now+and+then"),
        "now and then",
    )
    .await;
    says(
        &format!("{BEGA}/settings"),
        "configuration=1&pause_after_failures=many&description=now+and+then",
        "a row\u{201d} is a whole number",
    )
    .await;
    says(&format!("{BEGA}/secrets"), "name=TOKEN&value=x", "MORPH_").await;
    says(
        &format!("{BEGA}/webhooks"),
        "url=ftp://a.test/&event=failed",
        "address",
    )
    .await;
    says(&format!("{BEGA}/webhooks"), "url=https://a.test/", "event").await;
    says(&format!("{BEGA}/webhooks"), "remove=x", "is a number").await;
    says(&format!("{BEGA}/delete"), "", "Tick the box").await;
    says(&format!("{BEGA}/versions"), "version=7", "7").await;
    assert!(registry(&parts).scraper(&id).await.is_ok());
    get(&parts.router, "/scrapers/ada/unknown")
        .await
        .is_page(404, &["ada/unknown"]);
    get(&parts.router, "/runs/999").await.is_page(404, &["999"]);
    get(&parts.router, "/runs/none")
        .await
        .is_page(400, &["role=\"alert\""]);
}

#[tokio::test]
async fn a_run_is_asked_for_once_and_stopped() {
    let (parts, id) = with_bega().await;
    let place = format!("{BEGA}/run");
    leads_to(&submit(&parts.router, &place, "").await, "/runs/1");
    leads_to(&submit(&parts.router, &place, "").await, "/runs/1");
    get(&parts.router, BEGA)
        .await
        .is_page(200, &["Watch the run", "waits"]);
    get(&parts.router, "/scrapers")
        .await
        .is_page(200, &["Now", "waits", "by local"]);
    leads_to(&submit(&parts.router, "/runs/1/stop", "").await, "/runs/1");
    get(&parts.router, "/runs/1").await.is_page(200, &["stopped"]);
    assert!(registry(&parts).scraper(&id).await.unwrap().unfinished.is_none());
}

#[tokio::test]
async fn a_scraper_is_paused_goes_on_and_goes() {
    let (parts, id) = with_bega().await;
    let place = format!("{BEGA}/pause");
    leads_to(&submit(&parts.router, &place, "pause=yes").await, BEGA);
    get(&parts.router, BEGA)
        .await
        .is_page(200, &["Paused by hand.", "Let it go on"]);
    leads_to(&submit(&parts.router, &place, "pause=no").await, BEGA);
    assert!(!get(&parts.router, BEGA).await.body.contains("Paused"));
    leads_to(
        &submit(&parts.router, &format!("{BEGA}/delete"), "sure=yes").await,
        "/scrapers",
    );
    assert!(registry(&parts).scraper(&id).await.is_err());
}

#[tokio::test]
async fn secrets_are_set_and_removed_and_never_shown() {
    let (parts, id) = with_bega().await;
    let place = format!("{BEGA}/secrets");
    leads_to(
        &submit(&parts.router, &place, "name=MORPH_TOKEN&value=+sesame,%26open+").await,
        &place,
    );
    let page = get(&parts.router, &place).await;
    page.is_page(200, &["MORPH_TOKEN"]);
    assert!(!page.body.contains("sesame"), "{}", page.body);
    let held = registry(&parts).secrets(&id).await.unwrap();
    assert_eq!(held[0].1.reveal(), " sesame,&open ");
    leads_to(&submit(&parts.router, &place, "remove=MORPH_TOKEN").await, &place);
    assert!(registry(&parts).secrets(&id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_shows_its_key_once_and_its_calls() {
    let (parts, id) = with_bega().await;
    let place = format!("{BEGA}/webhooks");
    let page = submit(
        &parts.router,
        &place,
        "url=https://hooks.example/?x=OUTCOME&event=failed&event=changed",
    )
    .await;
    page.is_page(
        200,
        &["shown only now", "<code class=\"secret\">", "failed, changed"],
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!get(&parts.router, &place).await.body.contains("class=\"secret\""));
    let working = Working::start(&parts, &id, person("ada"), before(1)).await;
    working
        .end(&parts, ending(Outcome::Failed, "it failed", [0; 3]), before(0))
        .await;
    let hook = registry(&parts).webhooks(&id).await.unwrap()[0].id;
    get(&parts.router, &place).await.is_page(200, &["waits"]);
    let (call, ..) = registry(&parts).due_delivery(before(0)).await.unwrap().unwrap();
    let given_up = registry(&parts).delivered(&call, DeliveryState::GivenUp, "500 <b>", 12, None);
    given_up.await.unwrap();
    get(&parts.router, &place)
        .await
        .is_page(200, &["given up", "500 &lt;b&gt;", "Once more"]);
    leads_to(
        &submit(&parts.router, &place, &format!("redeliver={}", call.id)).await,
        &place,
    );
    get(&parts.router, &place).await.is_page(200, &["waits"]);
    leads_to(
        &submit(&parts.router, &place, &format!("remove={}", hook.0)).await,
        &place,
    );
    get(&parts.router, &place).await.is_page(200, &["None yet."]);
}

#[tokio::test]
async fn an_older_version_is_put_in_force() {
    let (parts, id) = with_bega().await;
    for rows in [2, 4] {
        fill(&parts, &id, rows).await;
    }
    get(&parts.router, BEGA)
        .await
        .is_page(200, &["2026.0003", "Version 2"]);
    leads_to(
        &submit(&parts.router, &format!("{BEGA}/versions"), "version=1").await,
        &format!("{BEGA}#data"),
    );
    let page = get(&parts.router, BEGA).await;
    page.is_page(200, &["Version 3", "2026.0001"]);
    assert!(!page.body.contains("2026.0003"), "{}", page.body);
}

#[tokio::test]
async fn the_database_is_downloaded_whole_in_parts_or_not_again() {
    let (parts, id) = with_bega().await;
    fill(&parts, &id, 2).await;
    let issued = registry(&parts)
        .issue_key(&owner("ada"), "test", vec![Scope::Data], None, before(0))
        .await;
    let key = issued.unwrap().token.reveal().to_owned();
    for place in [
        format!("{BEGA}/data.sqlite"),
        "/ada/bega/data.sqlite".to_owned(),
        "/api/v1/scrapers/ada/bega/versions/1/data.sqlite".to_owned(),
    ] {
        let get = async |headers: &[(&str, &str)]| {
            let all: Vec<(&str, &str)> = [("x-api-key", key.as_str())]
                .iter()
                .chain(headers)
                .copied()
                .collect();
            get_with(&parts.router, &place, &all).await
        };
        let whole = get(&[]).await;
        assert_eq!(
            (whole.status.as_u16(), whole.header("accept-ranges")),
            (200, "bytes"),
            "{place}"
        );
        assert!(
            whole
                .header("content-disposition")
                .starts_with("attachment; filename=\"bega"),
            "{place}"
        );
        assert_eq!(whole.header("cache-control"), "private, no-cache", "{place}");
        let tag = whole.header("etag");
        let part = get(&[("range", "bytes=0-15"), ("if-range", tag)]).await;
        assert_eq!(
            (part.status.as_u16(), part.body.as_str()),
            (206, "SQLite format 3\0"),
            "{place}"
        );
        let held = get(&[("if-none-match", tag)]).await;
        assert_eq!(
            (held.status.as_u16(), held.header("cache-control")),
            (304, "private, no-cache"),
            "{place}"
        );
    }
}

#[tokio::test]
async fn the_rest_of_a_page_is_shown_where_its_data_cannot_be() {
    let (parts, id) = with_bega().await;
    fill(&parts, &id, 2).await;
    let version = registry(&parts).versions(&id).await.unwrap().remove(0);
    parts
        .archive
        .delete_artifact(&id, &Artifact::Dataset(version.checksum))
        .await
        .unwrap();
    let page = get(&parts.router, BEGA).await;
    page.is_page(200, &["cannot be looked into just now", "Run now", "Settings"]);
}

#[tokio::test]
async fn looking_into_data_counts_as_a_question() {
    let (parts, id) = with_bega().await;
    fill(&parts, &id, 2).await;
    get(&parts.router, BEGA).await.is_page(200, &["2026.0001"]);
    for _ in 0..500 {
        let page = get(&parts.router, BEGA).await;
        page.is_page(200, &["Run now"]);
        if !page.body.contains("2026.0001") {
            page.is_page(200, &["cannot be looked into just now", "Download it all"]);
            return;
        }
    }
    panic!("a page is looked at as often as one likes");
}

#[tokio::test]
async fn what_a_run_left_is_for_its_owner() {
    let parts = with_people().await;
    let id = add(&parts, "ada/bega", ScraperSettings::default()).await;
    let working = Working::start(&parts, &id, person("ada"), before(1)).await;
    let run = working
        .end(&parts, ending(Outcome::Failed, "it failed", [0; 3]), before(0))
        .await;
    let (page, ada, bob) = (
        format!("/runs/{run}"),
        signed_in(&parts, "ada").await,
        signed_in(&parts, "bob").await,
    );
    assert!(!ada.gets(&page).await.body.contains("/cassette"));
    let left = parts.folder.path().join("left");
    std::fs::write(&left, "what it left").unwrap();
    for (kind, artifact) in [
        ("cassette", Artifact::Cassette(run)),
        ("rejected", Artifact::Rejected(run)),
    ] {
        let place = format!("/api/v1/runs/{run}/{kind}");
        ada.gets(&place).await.is_problem(404, "left no such file");
        parts.archive.put_artifact(&id, &artifact, &left).await.unwrap();
        let link = format!("href=\"{place}\"");
        ada.gets(&page).await.is_page(200, &[&link]);
        assert!(!bob.gets(&page).await.body.contains(&link));
        let sent = ada.gets(&place).await;
        assert_eq!((sent.status.as_u16(), sent.body.as_str()), (200, "what it left"));
        assert!(sent.header("content-disposition").contains(&format!("run-{run}")));
        bob.gets(&place).await.is_problem(403, "only ada");
        nobody(&parts)
            .gets(&place)
            .await
            .is_problem(401, "say who you are");
    }
}

#[tokio::test]
async fn two_versions_are_compared() {
    let (parts, id) = with_bega().await;
    for rows in [2, 4] {
        fill(&parts, &id, rows).await;
    }
    get(&parts.router, BEGA)
        .await
        .is_page(200, &["/scrapers/ada/bega/changes?from=1\""]);
    let changes = format!("{BEGA}/changes");
    let page = get(&parts.router, &format!("{changes}?from=1")).await;
    page.is_page(200, &["Changes from version 1 to 2", "2026.0003", ">added<"]);
    assert!(!page.body.contains("2026.0001"), "{}", page.body);
    get(&parts.router, &format!("{changes}?from=2&to=1"))
        .await
        .is_page(200, &["2026.0003", ">removed<"]);
    get(&parts.router, &format!("{changes}?from=2"))
        .await
        .is_page(200, &["No row is different"]);
    get(&parts.router, &format!("{changes}?from=7"))
        .await
        .is_page(404, &["7"]);
    get(&parts.router, &changes).await.is_page(404, &["0"]);
}

#[tokio::test]
async fn lists_are_found_by_name_and_description() {
    let parts = Parts::start().await;
    let _running = made_up::make_up(&parts).await;
    let page = get_with(&parts.router, "/scrapers?q=GRANTS", &[]).await;
    page.is_page(200, &["bob/grants", "out of memory", "paused"]);
    let (_, all) = page.body.split_once(">All<").unwrap();
    assert!(!all.contains("ada/bega"), "{all}");
    get(&parts.router, "/scrapers?q=nothing")
        .await
        .is_page(200, &["None has this in its name"]);
}
