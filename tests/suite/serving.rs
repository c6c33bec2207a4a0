//! What programs and people at a terminal do with sources: live updates, processes of their own, decisions, replays.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Answer, Bench, Ended, Haul, Running, Site, wait};

const HOST: &str = "tower.example";
const LIMIT: Duration = Duration::from_secs(30);
const TOKEN: &str = "correct-horse-battery-staple";

pub(crate) fn add(bench: &mut Bench) {
    bench.test("live: updates of a feed over the API", &[], feed_over_api);
    bench.test("live: updates of a site over the API", &[], site_over_api);
    bench.test(
        "live: what is told during a crawl survives it",
        &[],
        told_during_crawl,
    );
    bench.test(
        "serve: crawls wait for each other, or run side by side",
        &[],
        crawls_at_once,
    );
    bench.test(
        "serve: a crawl database with a token, and a source of its own",
        &[],
        with_token,
    );
    bench.test("decide: items that failed, at a terminal", &[], escalations);
    bench.test("decide: items that are missed, at a terminal", &[], orphans);
    bench.test("replay: into a new index, and from a crawl", &[], replays);
    bench.test("source: what is said wrongly", &[], said_wrongly);
}

/// A `haul up` and what it is asked over HTTP.
struct Up {
    running: Running,
    address: String,
}

impl Up {
    fn start(haul: &Haul) -> Result<Self> {
        Self::of(haul, &["up", "--listen", "127.0.0.1:0", "--pack-idle-ms", "100"])
    }

    fn of(haul: &Haul, words: &[&str]) -> Result<Self> {
        let mut running = haul.start(words)?;
        let said = running.says("http://")?;
        let (address, _) = said.split_once('/').context("no address")?;
        let address = address.to_owned();
        Ok(Self { running, address })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn get(&self, path: &str) -> Result<(u16, String)> {
        ask(&self.address, "GET", path, "", "")
    }

    fn read(&self, path: &str) -> Result<Value> {
        let (status, body) = self.get(path)?;
        ensure!(status == 200, "{path}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let (status, body) = ask(&self.address, "POST", path, "", &body.to_string())?;
        Ok((status, serde_json::from_str(&body).context(body)?))
    }

    fn tell(&self, source: &str, updates: &Value) -> Result<()> {
        let (status, body) = self.post(&format!("/api/v1/sources/{source}/updates"), updates)?;
        ensure!(status == 202, "{updates}: {status} {body}");
        Ok(())
    }

    /// The id of a crawl that was started.
    fn crawl(&self, source: &str) -> Result<(u16, Value)> {
        self.post(&format!("/api/v1/sources/{source}/crawls"), &json!({}))
    }

    fn stop(self) -> Result<()> {
        let ended = self.running.interrupt()?;
        ensure!(ended.code == Some(0), "{ended:#?}");
        Ok(())
    }
}

/// The status and the body of an answer. To HTTP/1.0 everything is sent as it is, up to the end of the connection.
fn ask(address: &str, method: &str, path: &str, token: &str, body: &str) -> Result<(u16, String)> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(LIMIT))?;
    let mut request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !token.is_empty() {
        request.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    request.push_str(&format!("Content-Type: application/json\r\n\r\n{body}"));
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split_whitespace().nth(1).context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

fn finds(haul: &Haul, words: &str, pages: usize) -> Result<()> {
    let mut last = Value::Null;
    let found = wait::until(&format!("{pages} pages with {words}"), LIMIT, || {
        // Before the first pack there is nothing to search.
        last = haul.run(&["search", "--json", words])?.json().unwrap_or_default();
        Ok((last["total"].as_u64().unwrap_or(0) == pages as u64).then_some(()))
    });
    found.with_context(|| format!("the last answer was {last:#}"))
}

fn upsert(url: &str, text: &str) -> Value {
    let content = format!("<title>News</title><p>{text}</p>");
    json!({ "url": url, "change": "upsert", "media_type": "text/html", "content": content })
}

fn feed_over_api() -> Result<()> {
    let haul = Haul::new()?;
    haul.expect(
        0,
        &["source", "add", "news", "--feed", "https://news.example.org/"],
    )?;
    let up = Up::start(&haul)?;
    let (first, second) = ("https://news.example.org/1", "https://news.example.org/2");
    up.tell(
        "news",
        &json!([upsert(first, "A heron came."), upsert(second, "A heron left.")]),
    )?;
    finds(&haul, "heron", 2)?;
    up.tell(
        "news",
        &json!([upsert(first, "A stork came."), { "url": second, "change": "delete" }]),
    )?;
    finds(&haul, "stork", 1)?;
    finds(&haul, "heron", 0)?;

    let live = wait::until("all to be applied", LIMIT, || {
        let live = up.read("/api/v1/sources/news/live")?;
        Ok((live["lag"] == 0).then_some(live))
    })?;
    let ends = live["partitions"].as_array().context("no partitions")?;
    let told: u64 = ends
        .iter()
        .filter_map(|partition| partition["end"].as_u64())
        .sum();
    ensure!(told == 4 && live["members"] == 1, "{live:#}");

    let outside = json!([
        upsert(first, "A crane came."),
        upsert("https://other.example.org/1", "A crane left.")
    ]);
    let wrong = [
        (
            "news",
            outside,
            400,
            "update 1: https://other.example.org/1 is not inside the source news",
        ),
        ("news", json!([]), 400, "send 1 to 1000 updates"),
        (
            "news",
            json!([{ "url": first, "change": "upsert" }]),
            400,
            "either content or content_base64",
        ),
        (
            "olds",
            json!([upsert(first, "A crane.")]),
            404,
            "source olds does not exist",
        ),
    ];
    for (source, updates, status, says) in wrong {
        let answer = up.post(&format!("/api/v1/sources/{source}/updates"), &updates)?;
        ensure!(
            answer.0 == status && answer.1["detail"].to_string().contains(says),
            "{updates}: {answer:?}"
        );
    }
    finds(&haul, "crane", 0)?;
    up.stop()
}

/// Two pages, of which one has as many editions as are asked for.
fn tower(edition: &Arc<AtomicU32>) -> Result<Site> {
    let edition = Arc::clone(edition);
    Site::serve(move |request| match request.path.as_str() {
        "/" => Answer::page("Tower", "The tower of bells.", &["/bell".to_owned()]),
        "/bell" => Answer::page(
            "Bell",
            &format!("It strikes bell{}.", edition.load(Ordering::SeqCst)),
            &[],
        ),
        _ => Answer::status(404),
    })
}

fn add_site(haul: &Haul, site: &Site, more: &[&str]) -> Result<()> {
    let mut words: Vec<String> = ["source", "add", "tower", &site.url(HOST, "/")]
        .map(str::to_owned)
        .into();
    words.extend(site.flags(&[HOST]));
    words.extend(more.iter().map(|word| (*word).to_owned()));
    haul.expect(0, &words).map(drop)
}

fn completed(up: &Up, crawl: &Value) -> Result<Value> {
    let id = crawl["id"]
        .as_str()
        .with_context(|| format!("no crawl: {crawl}"))?;
    wait::until("the end of the crawl", LIMIT, || {
        let crawl = up.read(&format!("/api/v1/crawls/{id}"))?;
        Ok((crawl["status"] == "completed").then_some(crawl))
    })
}

fn site_over_api() -> Result<()> {
    let edition = Arc::new(AtomicU32::new(1));
    let (haul, site) = (Haul::new()?, tower(&edition)?);
    add_site(&haul, &site, &[])?;
    let up = Up::start(&haul)?;
    completed(&up, &up.crawl("tower")?.1)?;
    finds(&haul, "bell1", 1)?;

    edition.store(2, Ordering::SeqCst);
    let url = site.url(HOST, "/bell");
    up.tell("tower", &json!([{ "url": url, "change": "fetch" }]))?;
    finds(&haul, "bell2", 1)?;
    up.tell("tower", &json!([{ "url": url, "change": "delete" }]))?;
    finds(&haul, "bell2", 0)?;
    // The page is there still, and the next crawl says so.
    completed(&up, &up.crawl("tower")?.1)?;
    finds(&haul, "bell2", 1)?;
    up.stop()
}

fn told_during_crawl() -> Result<()> {
    let site = Site::serve(|request| match request.path.as_str() {
        "/" => Answer::page("Tower", "The tower of bells.", &["/bell".to_owned()]),
        "/bell" => Answer::page("Bell", "What the crawl saw.", &[]).after(Duration::from_millis(1_500)),
        _ => Answer::status(404),
    })?;
    let haul = Haul::new()?;
    add_site(&haul, &site, &[])?;
    let up = Up::start(&haul)?;
    let (_, crawl) = up.crawl("tower")?;
    let asked = format!("{HOST}/bell");
    wait::until("the crawl to ask", LIMIT, || {
        Ok((site.asked_for(&asked) > 0).then_some(()))
    })?;
    up.tell(
        "tower",
        &json!([upsert(&site.url(HOST, "/bell"), "What the tower told.")]),
    )?;
    completed(&up, &crawl)?;
    finds(&haul, "told", 1)?;
    finds(&haul, "saw", 0)?;
    up.stop()
}

fn crawls_at_once() -> Result<()> {
    let site = Site::serve(|_| Answer::page("Tower", "Slowly.", &[]).after(Duration::from_millis(700)))?;
    let haul = Haul::new()?;
    add_site(&haul, &site, &["--ignore-robots"])?;
    let up = Up::start(&haul)?;
    let (status, first) = up.crawl("tower")?;
    ensure!(status == 202, "{status}: {first}");
    let (status, refused) = up.crawl("tower")?;
    ensure!(
        status == 409 && refused["detail"].to_string().contains("is running"),
        "{status}: {refused}"
    );

    haul.expect(0, &["source", "set", "tower", "--crawls", "queue"])?;
    let (status, queued) = up.crawl("tower")?;
    ensure!(
        status == 202 && queued.to_string().contains("queued"),
        "{status}: {queued}"
    );
    completed(&up, &first)?;
    let crawls = wait::until("the second crawl", LIMIT, || {
        let shown = haul.expect(0, &["source", "show", "tower", "--json"])?.json()?;
        let crawls = shown["crawls"].as_array().context("no crawls")?.clone();
        Ok(
            (crawls.len() == 2 && crawls.iter().all(|crawl| crawl["status"] == "completed"))
                .then_some(crawls),
        )
    })?;
    ensure!(
        crawls[0]["started_at"].as_u64() > crawls[1]["ended_at"].as_u64(),
        "{crawls:#?}"
    );

    haul.expect(0, &["source", "set", "tower", "--crawls", "concurrent"])?;
    let (first, second) = (up.crawl("tower")?.1, up.crawl("tower")?.1);
    let (first, second) = (completed(&up, &first)?, completed(&up, &second)?);
    ensure!(first["id"] != second["id"], "{first:#} {second:#}");
    ensure!(
        second["started_at"].as_str() < first["ended_at"].as_str(),
        "{first:#} {second:#}"
    );
    up.stop()
}

fn with_token() -> Result<()> {
    let edition = Arc::new(AtomicU32::new(1));
    let (haul, site) = (Haul::new()?, tower(&edition)?);
    let write = |name: &str, token: &str| -> Result<String> {
        let file = haul.folder().join(name);
        fs::write(&file, format!("{token}\n"))?;
        Ok(file.display().to_string())
    };
    let (right, wrong, short) = (
        write("right", TOKEN)?,
        write("wrong", &TOKEN.to_uppercase())?,
        write("short", "abc")?,
    );
    let listen = [
        "serve",
        "--roles",
        "crawldb",
        "--listen",
        "127.0.0.1:0",
        "--crawldb-token-file",
        &right,
    ];
    let store = Up::of(&haul, &listen)?;
    let there = |file: &str| ["--crawldb", &store.url(), "--crawldb-token-file", file].map(str::to_owned);
    let run = |words: &[&str], file: &str| -> Result<Ended> {
        haul.run(
            &[
                words.iter().map(|word| (*word).to_owned()).collect(),
                there(file).to_vec(),
            ]
            .concat(),
        )
    };
    let known = there(&right);
    add_site(
        &haul,
        &site,
        &[
            &["--schedule", "every 1s"],
            known.each_ref().map(String::as_str).as_slice(),
        ]
        .concat(),
    )?;

    let refused = run(&["source", "list"], &wrong)?;
    ensure!(refused.code == Some(1), "{refused:#?}");
    refused.says(&["token"])?;
    let invalid = run(&["source", "list"], &short)?;
    ensure!(invalid.code == Some(2), "{invalid:#?}");
    invalid.says(&["crawldb_token_file", "16 to 512"])?;
    let unnamed = haul.run(&["source", "list", "--crawldb", &store.url()])?;
    ensure!(unnamed.code == Some(1), "{unnamed:#?}");

    let described = "/api/v1/store/openapi.json";
    ensure!(store.get(described)?.0 == 401, "anybody may read the description");
    let (status, openapi) = ask(&store.address, "GET", described, TOKEN, "")?;
    ensure!(status == 200, "{status}: {openapi}");
    let openapi: Value = serde_json::from_str(&openapi)?;
    ensure!(
        openapi["paths"].as_object().is_some_and(|paths| paths.len() > 10),
        "{openapi:#}"
    );

    let alone = [
        ["source", "tower", "--metrics", "127.0.0.1:0"]
            .map(str::to_owned)
            .to_vec(),
        known.to_vec(),
    ]
    .concat();
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    let own = Up::of(&haul, &alone)?;
    wait::until("two crawls by schedule", LIMIT, || {
        let shown = run(&["source", "show", "tower", "--json"], &right)?.json()?;
        let crawls = shown["crawls"].as_array().context("no crawls")?.clone();
        Ok((crawls
            .iter()
            .filter(|crawl| crawl["status"] == "completed")
            .count()
            > 1)
        .then_some(()))
    })?;
    let (status, metrics) = own.get("/metrics")?;
    ensure!(
        status == 200 && metrics.contains("haul_crawl"),
        "{status}: {metrics}"
    );
    ensure!(own.get("/healthz")?.0 == 200, "not healthy");
    own.stop()?;
    store.stop()
}

fn escalations() -> Result<()> {
    let broken = Arc::new(Mutex::new(vec!["/a", "/b", "/c"]));
    let served = Arc::clone(&broken);
    let site = Site::serve(move |request| {
        let is_broken = served
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&request.path.as_str());
        match request.path.as_str() {
            _ if is_broken => Answer::status(500),
            "/" => Answer::page(
                "Tower",
                "The tower of bells.",
                &["/a", "/b", "/c"].map(str::to_owned),
            ),
            path => Answer::page("Room", &format!("The room {path} of owls."), &[]),
        }
    })?;
    let haul = Haul::new()?;
    add_site(
        &haul,
        &site,
        &[
            "--max-retries",
            "1",
            "--retry-initial-ms",
            "10",
            "--ignore-robots",
        ],
    )?;
    haul.expect(0, &["crawl", "tower"])?
        .says(&["3 escalated", "haul escalation list tower"])?;
    let listed = haul.expect(0, &["escalation", "list", "tower"])?.stdout;
    ensure!(listed.lines().count() == 3 && listed.contains("500"), "{listed}");

    let [a, b, c] = ["/a", "/b", "/c"].map(|path| site.url(HOST, path));
    haul.expect(2, &["escalation", "ignore", "tower", &a])?
        .says(&["--reason"])?;
    haul.expect(3, &["escalation", "ignore", "castle", &a, "--reason", "x"])?
        .says(&["there is no source castle"])?;
    let unknown = [
        "escalation",
        "ignore",
        "tower",
        "https://tower.example/z",
        "--reason",
        "x",
    ];
    haul.expect(1, &unknown)?.says(&["has no item"])?;
    haul.expect(
        0,
        &[
            "escalation",
            "ignore",
            "tower",
            &a,
            "--reason",
            "locked for years",
            "--by",
            "Ada",
        ],
    )?;
    haul.expect(
        0,
        &[
            "escalation",
            "delete",
            "tower",
            &b,
            "--reason",
            "torn down",
            "--by",
            "Ada",
        ],
    )?;
    haul.expect(
        0,
        &[
            "escalation",
            "requeue",
            "tower",
            &c,
            "--reason",
            "mended",
            "--by",
            "Ada",
        ],
    )?;
    let listed = haul.expect(0, &["escalation", "list"])?.stdout;
    ensure!(
        listed.lines().count() == 1 && listed.contains("/a (ignored)"),
        "{listed}"
    );

    broken
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|path| *path == "/a");
    let asked = site.asked_for(&format!("{HOST}/a"));
    haul.expect(0, &["crawl", "tower"])?;
    ensure!(
        site.asked_for(&format!("{HOST}/a")) == asked,
        "an ignored item was asked for"
    );
    let found = haul.search("owls")?;
    ensure!(found["total"] == 2, "{found:#}");
    haul.expect(0, &["escalation", "requeue", "tower", "--reason", "unlocked"])?;
    haul.expect(3, &["escalation", "requeue", "tower", "--reason", "again"])?
        .says(&["no item of tower"])
}

/// A folder with so many pages, as the source `manual`.
fn folder(haul: &Haul, pages: usize, more: &[&str]) -> Result<std::path::PathBuf> {
    let folder = haul.folder().join("manual");
    fs::create_dir_all(&folder)?;
    for number in 0..pages {
        let page = format!("<title>Page {number}</title><p>How to keep otter{number}, a kind of otter.</p>");
        fs::write(folder.join(format!("{number}.html")), page)?;
    }
    let words = [
        "source",
        "add",
        "manual",
        "./manual",
        "--base",
        "https://manual.example.org/",
    ];
    haul.expect(0, &[&words, more].concat())?;
    Ok(folder)
}

fn orphans() -> Result<()> {
    let haul = Haul::new()?;
    let folder = folder(&haul, 8, &["--guard-items", "0", "--guard-percent", "1"])?;
    haul.expect(0, &["crawl", "manual"])?;
    let page = |number: usize| format!("https://manual.example.org/{number}.html");
    let remove = |number: usize| fs::remove_file(folder.join(format!("{number}.html")));
    remove(0)?;
    remove(1)?;
    fs::write(folder.join("8.html"), "<title>New</title><p>A new otter.</p>")?;
    let incremental = haul
        .expect(0, &["crawl", "manual", "--incremental", "--json"])?
        .json()?;
    ensure!(
        incremental["crawl"]["totals"]["new"] == 1 && incremental["crawl"]["totals"]["seen"] == 1,
        "{incremental:#}"
    );

    let blocked = haul.expect(0, &["crawl", "manual"])?;
    blocked.says(&["2 of 9 items are missing", "haul orphan approve manual@"])?;
    ensure!(
        blocked.stderr.matches("2 of 9 items are missing").count() == 2,
        "said too often: {blocked:#?}"
    );
    ensure!(
        haul.search("otter")?["total"] == 9,
        "a guard let something through"
    );
    let listed = haul.expect(0, &["orphan", "list", "--json"])?.json()?;
    let crawl = listed["blocked"].as_str().context("no crawl")?.to_owned();
    haul.expect(2, &["orphan", "approve", &crawl])?
        .says(&["--reason"])?;
    haul.expect(1, &["orphan", "approve", "manual@5", "--reason", "x"])?
        .says(&["not the newest"])?;
    haul.expect(
        0,
        &["orphan", "approve", &crawl, "--reason", "moved", "--by", "Ada"],
    )?
    .says(&["haul crawl manual"])?;
    let listed = haul.expect(0, &["orphan", "list"])?.stdout;
    ensure!(listed.contains("is approved by Ada"), "{listed}");
    haul.expect(0, &["crawl", "manual"])?
        .says(&[&format!("going on with crawl {crawl}"), "2 gone"])?;
    ensure!(
        haul.search("otter")?["total"] == 7,
        "what was approved is found still"
    );
    haul.expect(3, &["orphan", "list"])?;

    haul.expect(
        0,
        &[
            "source",
            "set",
            "manual",
            "--deletion",
            "none",
            "--guard-items",
            "20",
        ],
    )?;
    remove(2)?;
    remove(3)?;
    haul.expect(0, &["crawl", "manual"])?;
    let listed = haul.expect(0, &["orphan", "list", "manual"])?.stdout;
    ensure!(
        listed.lines().count() == 2 && listed.contains("missed by 1 crawl"),
        "{listed}"
    );
    haul.expect(0, &["orphan", "keep", "manual", &page(2), "--reason", "in print"])?;
    haul.expect(0, &["orphan", "delete", "manual", "--reason", "out of print"])?;
    haul.expect(3, &["orphan", "delete", "manual", "--reason", "out of print"])?;
    let left = haul
        .items("manual")?
        .iter()
        .filter(|item| item["state"] != "deleted")
        .count();
    ensure!(left == 6, "{left} items are left");
    haul.expect(0, &["source", "rm", "manual"])?;
    haul.expect(3, &["source", "rm", "manual"])?
        .says(&["there is no source manual"])
}

fn replays() -> Result<()> {
    let haul = Haul::new()?;
    folder(&haul, 5, &[])?;
    let crawled = haul.expect(0, &["crawl", "manual", "--json"])?.json()?;
    let crawl = crawled["crawl"]["id"].as_str().context("no id")?.to_owned();
    let replay = |words: &[&str]| -> Result<Value> {
        haul.expect(0, &[&["crawl", "replay", "--json"], words].concat())?
            .json()
    };
    let next = replay(&["all", "--into", "next", "--switch"])?;
    ensure!(next["written"] == 5, "{next}");
    let again = replay(&["all", "--into", "next"])?;
    ensure!(again["written"] == 0 && again["same"] == 5, "{again}");
    let shown = haul.expect(0, &["index", "show", "--json"])?.json()?;
    ensure!(shown["in_force"] == "next" && shown["documents"] == 5, "{shown}");
    haul.expect(1, &["index", "switch", "nxet"])?
        .says(&["index nxet is empty"])?;
    haul.expect(0, &["index", "switch", "main"])?;
    haul.expect(1, &["index", "drop", "main"])?
        .says(&["put another one in force first"])?;
    haul.expect(0, &["index", "drop", "next"])?;

    for (from, read) in [
        ("start", 5),
        ("end", 0),
        ("beginning", 5),
        ("2020-01-01T00:00:00Z", 5),
        ("9999-01-01T00:00:00Z", 0),
    ] {
        let replayed = replay(&[&crawl, "--from", from])?;
        ensure!(
            replayed["read"] == read && replayed["written"] == 0,
            "--from {from}: {replayed}"
        );
    }
    let offsets = ["0"; 12].join(",");
    ensure!(
        replay(&["manual", "--from", &offsets])?["same"] == 5,
        "from offsets"
    );
    let wrong: [(&[&str], i32, &str); 5] = [
        (&["manual", "--from", "0,0"], 2, "12 partitions"),
        (&["manual", "--from", "start"], 2, "needs a crawl"),
        (&["manual", "--from", "yesterday"], 2, "RFC 3339"),
        (
            &["manual", "--into", "next", "--switch"],
            2,
            "--switch is for \"all\"",
        ),
        (&["novel"], 3, "there is no source novel"),
    ];
    for (words, code, says) in wrong {
        haul.expect(code, &[&["crawl", "replay"], words].concat())?
            .says(&[says])?;
    }
    Ok(())
}

fn said_wrongly() -> Result<()> {
    let haul = Haul::new()?;
    folder(&haul, 1, &[])?;
    haul.expect(
        0,
        &["source", "add", "news", "--feed", "https://news.example.org/"],
    )?;
    let inside = "https://news.example.org/1";
    let page = haul.folder().join("manual/0.html").display().to_string();
    let wrong: [(&[&str], i32, &str); 11] = [
        (&["source"], 2, "Usage"),
        (&["source", "novel"], 3, "there is no source novel"),
        (&["source", "show", "novel"], 3, "there is no source novel"),
        (
            &["source", "set", "novel", "--live", "false"],
            3,
            "there is no source novel",
        ),
        (&["source", "set", "manual"], 3, "nothing is different"),
        (
            &["source", "set", "manual", "--schedule", "evry 6h"],
            2,
            "every 6h",
        ),
        (
            &["source", "tell", "novel", inside],
            3,
            "there is no source novel",
        ),
        (
            &["source", "tell", "news", "https://other.example.org/1"],
            2,
            "not inside the source news",
        ),
        (
            &["source", "tell", "news", inside, "--gone", "--content", &page],
            2,
            "cannot be used with",
        ),
        (
            &["source", "tell", "news", inside, "--content", "no-such-file"],
            1,
            "no-such-file cannot be read",
        ),
        (&["crawl", "news"], 2, "is a feed"),
    ];
    for (words, code, says) in wrong {
        haul.expect(code, words)?.says(&[says])?;
    }
    haul.expect(0, &["source", "set", "news", "--live", "false"])?;
    haul.expect(1, &["source", "tell", "news", inside])?
        .says(&["takes no live updates"])
}
