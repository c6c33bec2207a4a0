//! Scrapers over the API: made, changed, run, and what belongs to them.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures::{StreamExt, stream};
use registry::{Scope, ScraperSettings};
use serde_json::{Value, json};

use crate::client::{Answer, get, send, send_json};
use crate::fixture::{NOW, Parts};
use crate::visitors::{Asker, key, nobody, program, signed_in, with_people};

const ADAS: &str = "/api/v1/scrapers/ada/planning";

fn git(name: &str) -> Value {
    let origin = json!({"kind": "git", "url": "https://git.example.gov/planning.git", "reference": "main"});
    json!({"name": name, "origin": origin, "settings": {"description": "Planning applications"}})
}

/// A server with the scraper `ada/planning`.
async fn with_scraper() -> Parts {
    let parts = with_people().await;
    let added = signed_in(&parts, "ada")
        .await
        .posts("/api/v1/scrapers", &git("planning"))
        .await;
    assert_eq!(added.status, 201, "{}", added.body);
    parts
}

/// An SQLite database with one table, as bytes.
fn database(rows: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute("CREATE TABLE data (number INTEGER)", [])
        .unwrap();
    for number in 0..rows {
        connection
            .execute("INSERT INTO data VALUES (?1)", [number as i64])
            .unwrap();
    }
    drop(connection);
    std::fs::read(path).unwrap()
}

/// A tar archive with one scraper in it.
fn code() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let text = b"print('hello')\n";
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "scraper.py", text.as_slice())
        .unwrap();
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn a_scraper_lives_from_post_to_delete() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let added = ada.posts("/api/v1/scrapers", &git("planning")).await;
    assert_eq!((added.status.as_u16(), added.header("location")), (201, ADAS));
    let shown = nobody(&parts).gets(ADAS).await.json();
    assert_eq!(shown, added.json());
    assert_eq!(
        (&shown["owner"], &shown["settings"]["limits"]["memory_mib"]),
        (&json!("ada"), &json!(512))
    );
    ada.posts("/api/v1/scrapers", &git("Planning"))
        .await
        .is_problem(409, "exists already");
    let settings = json!({"schedule": "daily", "limits": {"memory_mib": 256}});
    let change = json!({"origin": shown["origin"], "settings": settings});
    let changed = ada.sends(Method::PUT, ADAS, &change).await.json();
    assert_eq!(
        changed["settings"]["description"], "",
        "what is left out has its default again"
    );
    assert!(changed["due_at"].is_string());
    let paused = ada
        .posts(&format!("{ADAS}/pause"), &json!({"reason": "the site moves"}))
        .await
        .json();
    assert_eq!(
        (&paused["paused"], &paused["due_at"]),
        (&json!("the site moves"), &Value::Null)
    );
    let resumed = ada.posts(&format!("{ADAS}/resume"), &json!({})).await.json();
    assert!(resumed["paused"].is_null() && resumed["due_at"].is_string());
    let gone = ada.sends(Method::DELETE, ADAS, &Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    nobody(&parts)
        .gets(ADAS)
        .await
        .is_problem(404, "there is no scraper");
}

#[tokio::test]
async fn scrapers_are_listed_by_name_with_a_cursor() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    for name in ["a", "b", "c"] {
        ada.posts("/api/v1/scrapers", &git(name)).await;
    }
    let names = |answer: &Answer| -> Vec<Value> {
        let listed = answer.json();
        listed["scrapers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|scraper| scraper["name"].clone())
            .collect()
    };
    let first = nobody(&parts).gets("/api/v1/scrapers?limit=2&owner=ada").await;
    assert_eq!(
        (names(&first), first.json()["next"].clone()),
        (vec![json!("a"), json!("b")], json!("ada/b"))
    );
    let rest = nobody(&parts)
        .gets("/api/v1/scrapers?limit=2&after=ada%2Fb")
        .await;
    assert_eq!(
        (names(&rest), rest.json()["next"].clone()),
        (vec![json!("c")], Value::Null)
    );
    assert_eq!(
        names(
            &nobody(&parts)
                .gets("/api/v1/scrapers?q=applications&owner=bob")
                .await
        ),
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn each_scope_lets_do_its_own_and_nothing_else() {
    let parts = with_scraper().await;
    let asks: [(Scope, Method, String); 7] = [
        (Scope::Run, Method::POST, format!("{ADAS}/runs")),
        (Scope::Run, Method::POST, "/api/v1/runs/1/stop".into()),
        (Scope::Manage, Method::POST, format!("{ADAS}/pause")),
        (Scope::Manage, Method::GET, format!("{ADAS}/secrets")),
        (Scope::Manage, Method::GET, format!("{ADAS}/webhooks")),
        (Scope::Manage, Method::DELETE, format!("{ADAS}/secrets/MORPH_X")),
        (Scope::Manage, Method::DELETE, ADAS.into()),
    ];
    for (needed, method, path) in asks {
        for scope in [Scope::Data, Scope::Run, Scope::Manage] {
            let others = program(&parts, "bob", &[scope])
                .await
                .sends(method.clone(), &path, &json!({}))
                .await;
            assert_eq!(others.status, 403, "bob, {scope:?} {path}");
            if scope != needed {
                let wrong = program(&parts, "ada", &[scope])
                    .await
                    .sends(method.clone(), &path, &json!({}))
                    .await;
                wrong.is_problem(403, "has not the scope");
            }
        }
        let right = program(&parts, "ada", &[needed])
            .await
            .sends(method.clone(), &path, &json!({}))
            .await;
        assert!(
            right.status.is_success() || right.status == 404,
            "{path}: {} {}",
            right.status,
            right.body
        );
    }
}

#[tokio::test]
async fn folders_of_the_machine_are_for_operators_and_only_where_allowed() {
    let parts = with_people().await;
    let open = parts.folder.path().join("open");
    std::fs::create_dir_all(open.join("mine")).unwrap();
    std::os::unix::fs::symlink("/etc", open.join("out")).unwrap();
    let (ada, root) = (signed_in(&parts, "ada").await, signed_in(&parts, "root").await);
    let folder = |name: &str, path: &str| json!({"name": name, "origin": {"kind": "folder", "path": path}});
    let mine = open.join("mine").display().to_string();
    ada.posts("/api/v1/scrapers", &folder("a", &mine))
        .await
        .is_problem(403, "only operators");
    for path in [
        "/etc".to_owned(),
        open.join("out").display().to_string(),
        format!("{mine}/../../../.."),
    ] {
        root.posts("/api/v1/scrapers", &folder("a", &path))
            .await
            .is_problem(403, "may not be named here");
        let repository = json!({"name": "a", "origin": {"kind": "git", "url": path}});
        root.posts("/api/v1/scrapers", &repository)
            .await
            .is_problem(403, "may not be named here");
    }
    assert_eq!(
        root.posts("/api/v1/scrapers", &folder("a", &mine)).await.status,
        201
    );
    let upload = json!({"name": "b", "origin": {"kind": "upload", "checksum": "0".repeat(64)}});
    root.posts("/api/v1/scrapers", &upload)
        .await
        .is_problem(400, "/code with PUT");
}

#[tokio::test]
async fn nobody_owns_an_address_of_ours() {
    let parts = with_people().await;
    let root = signed_in(&parts, "root").await;
    for owner in ["api", "Crawls", "robots.txt"] {
        let mut new = git("a");
        new["owner"] = json!(owner);
        root.posts("/api/v1/scrapers", &new)
            .await
            .is_problem(409, "taken by this server");
        let path = format!("/api/v1/scrapers/{owner}/a/code");
        assert_eq!(
            root.asks(Method::PUT, &path, "application/x-tar", Body::from(code()))
                .await
                .status,
            409
        );
    }
}

#[tokio::test]
async fn the_value_of_a_secret_never_comes_back() {
    let parts = with_scraper().await;
    let ada = signed_in(&parts, "ada").await;
    let place = format!("{ADAS}/secrets/MORPH_PASSWORD");
    let set = ada
        .sends(Method::PUT, &place, &json!({"value": "hunter2-hunter2"}))
        .await;
    assert_eq!((set.status.as_u16(), set.body.as_str()), (204, ""));
    let listed = ada.gets(&format!("{ADAS}/secrets")).await;
    assert_eq!(listed.json(), json!({"secrets": ["MORPH_PASSWORD"]}));
    for path in [
        ADAS.to_owned(),
        format!("{ADAS}/secrets"),
        "/account".into(),
        "/metrics".into(),
    ] {
        assert!(!ada.gets(&path).await.body.contains("hunter2"), "{path}");
    }
    let other = ada
        .sends(
            Method::PUT,
            &format!("{ADAS}/secrets/PATH"),
            &json!({"value": "x"}),
        )
        .await;
    other.is_problem(400, "begins with MORPH_");
    assert_eq!(ada.sends(Method::DELETE, &place, &Value::Null).await.status, 204);
    assert_eq!(
        ada.gets(&format!("{ADAS}/secrets")).await.json(),
        json!({"secrets": []})
    );
}

#[tokio::test]
async fn the_next_five_turns_of_a_schedule_are_foretold() {
    let parts = with_scraper().await;
    let mut parks = git("Parks");
    parks["settings"]["schedule"] = json!("daily");
    let due = signed_in(&parts, "ada")
        .await
        .posts("/api/v1/scrapers", &parks)
        .await
        .json()["due_at"]
        .clone();
    let own = nobody(&parts)
        .gets("/api/v1/scrapers/ada/Parks/schedule")
        .await
        .json();
    assert_eq!((&own["schedule"], &own["next"][0]), (&json!("every 1d"), &due));
    let ask = |text: &str| format!("{ADAS}/schedule?text={text}");
    let nightly = nobody(&parts).gets(&ask("cron+0+3+*+*+*")).await.json();
    let next = nightly["next"].as_array().unwrap();
    assert_eq!(next.len(), 5);
    assert!(
        next.iter()
            .all(|turn| turn.as_str().unwrap().ends_with("T03:00:00Z")),
        "{next:?}"
    );
    assert!(next.is_sorted_by_key(|turn| turn.as_str().unwrap().to_owned()));
    nobody(&parts)
        .gets(&ask("sometimes"))
        .await
        .is_problem(400, "is not a schedule");
    nobody(&parts)
        .gets(&format!("{ADAS}/schedule"))
        .await
        .is_problem(404, "has no schedule");
}

#[tokio::test]
async fn a_run_is_asked_for_once_listed_and_stopped() {
    let parts = with_scraper().await;
    let (person, robot) = (
        signed_in(&parts, "ada").await,
        program(&parts, "ada", &[Scope::Run]).await,
    );
    let asked = robot.posts(&format!("{ADAS}/runs"), &json!({})).await;
    assert_eq!(
        (asked.status.as_u16(), asked.json()["was_there"].clone()),
        (202, json!(false))
    );
    let again = person.posts(&format!("{ADAS}/runs"), &json!({})).await.json();
    assert_eq!(
        (&again["run"], &again["was_there"]),
        (&asked.json()["run"], &json!(true))
    );
    let run = nobody(&parts).gets(asked.header("location")).await.json();
    assert_eq!(
        (&run["phase"], &run["cause"]),
        (&json!("queued"), &json!({"kind": "api", "by": "ada"}))
    );
    let waiting = nobody(&parts)
        .gets("/api/v1/runs?state=unfinished&owner=ada")
        .await
        .json();
    assert_eq!(waiting["runs"], json!([run]));
    let stopped = robot
        .posts(&format!("{}/stop", asked.header("location")), &json!({}))
        .await;
    assert_eq!(
        stopped.json()["ending"]["outcome"],
        "stopped",
        "one that waits is over at once"
    );
    let over = nobody(&parts)
        .gets(&format!("{ADAS}/runs?outcome=stopped"))
        .await
        .json();
    assert_eq!(over["runs"].as_array().unwrap().len(), 1);
    nobody(&parts)
        .gets("/api/v1/runs?outcome=splendid")
        .await
        .is_problem(400, "outcome");
    nobody(&parts)
        .gets("/api/v1/runs/999")
        .await
        .is_problem(404, "there is no run");
    nobody(&parts)
        .gets("/api/v1/runs/x")
        .await
        .is_problem(400, "number of a run");
}

#[tokio::test]
async fn webhooks_are_added_with_a_key_that_is_shown_once() {
    let parts = with_scraper().await;
    let ada = signed_in(&parts, "ada").await;
    let place = format!("{ADAS}/webhooks");
    let new = json!({"url": "https://hooks.example.gov/?o=OUTCOME", "events": ["failed", "recovered"]});
    let added = ada.posts(&place, &new).await;
    assert_eq!(added.status, 201, "{}", added.body);
    let secret = added.json()["key"].as_str().unwrap().to_owned();
    let listed = ada.gets(&place).await;
    assert_eq!(listed.json()["webhooks"][0], added.json()["webhook"]);
    assert!(!listed.body.contains(&secret));
    let one = format!("{place}/{}", added.json()["webhook"]["id"]);
    assert_eq!(
        ada.gets(&format!("{one}/deliveries")).await.json(),
        json!({"deliveries": []})
    );
    ada.posts(&format!("{ADAS}/deliveries/1/redeliver"), &json!({}))
        .await
        .is_problem(404, "there is no");
    ada.posts(&place, &json!({"url": "ftp://a.test/"}))
        .await
        .is_problem(400, "http");
    assert_eq!(ada.sends(Method::DELETE, &one, &Value::Null).await.status, 204);
    assert_eq!(ada.gets(&place).await.json(), json!({"webhooks": []}));
}

async fn put(asker: &Asker<'_>, path: &str, bytes: Vec<u8>) -> Answer {
    asker
        .asks(Method::PUT, path, "application/octet-stream", Body::from(bytes))
        .await
}

#[tokio::test]
async fn data_is_imported_and_an_older_version_comes_back() {
    let parts = with_scraper().await;
    let ada = signed_in(&parts, "ada").await;
    let data = format!("{ADAS}/data");
    let first = put(&ada, &data, database(1)).await;
    assert_eq!(first.status, 201, "{}", first.body);
    put(&ada, &data, database(2)).await;
    let versions = nobody(&parts).gets(&format!("{ADAS}/versions")).await.json();
    let numbers: Vec<&Value> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| &version["number"])
        .collect();
    assert_eq!(numbers, [&json!(2), &json!(1)]);
    let back = ada
        .posts(&format!("{ADAS}/versions/1/restore"), &json!({}))
        .await
        .json();
    assert_eq!(
        (&back["number"], &back["checksum"]),
        (&json!(3), &first.json()["checksum"])
    );
    let broken = put(
        &ada,
        &data,
        b"this is no database, whatever its name says".to_vec(),
    )
    .await;
    assert_eq!(broken.status, 400, "{}", broken.body);
    put(&ada, &data, Vec::new()).await.is_problem(400, "empty");
    put(&signed_in(&parts, "bob").await, &data, database(1))
        .await
        .is_problem(403, "only ada");
    assert_eq!(nobody(&parts).gets(ADAS).await.json()["version"], 3);
}

/// A body that is there once `before` is done.
fn after(before: impl Future<Output = ()> + Send + 'static, bytes: Vec<u8>) -> Body {
    Body::from_stream(stream::once(async move {
        before.await;
        Ok::<_, std::convert::Infallible>(Bytes::from(bytes))
    }))
}

#[tokio::test]
async fn code_that_arrives_slowly_leaves_the_settings_alone() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let place = "/api/v1/scrapers/ada/mine/code";
    let made = put(&ada, place, code()).await.json();
    let open = json!({"origin": made["origin"], "settings": {"public": true, "schedule": "daily"}});
    assert_eq!(
        ada.sends(Method::PUT, "/api/v1/scrapers/ada/mine", &open)
            .await
            .status,
        200
    );
    let registry = parts.runner.registry().clone();
    let close = async move {
        let id = "ada/mine".parse().unwrap();
        let known = registry.scraper(&id).await.unwrap();
        let closed = registry.change_scraper(&id, known.origin, ScraperSettings::default(), None, NOW);
        closed.await.unwrap();
    };
    let sent = ada
        .asks(Method::PUT, place, "application/x-tar", after(close, code()))
        .await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let settings = &sent.json()["settings"];
    assert_eq!(
        (&settings["public"], &settings["schedule"]),
        (&json!(false), &Value::Null)
    );
}

#[tokio::test]
async fn settings_are_changed_by_who_has_seen_them() {
    let parts = with_scraper().await;
    let ada = signed_in(&parts, "ada").await;
    let shown = nobody(&parts).gets(ADAS).await;
    let tag = shown.header("etag").to_owned();
    let change = |description: &str| json!({"origin": shown.json()["origin"], "settings": {"description": description}});
    let changing = async |held: &str, description: &str| {
        let request = Request::put(ADAS)
            .header("if-match", held)
            .header("cookie", ada.shown())
            .body(Body::from(change(description).to_string()));
        send(&parts.router, request.unwrap()).await
    };
    let first = changing(&tag, "one").await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_ne!(first.header("etag"), tag);
    changing(&tag, "two").await.is_problem(412, "changed meanwhile");
    assert_eq!(changing("*", "three").await.status, 200);
    assert_eq!(
        ada.sends(Method::PUT, ADAS, &change("four")).await.status,
        200,
        "who says nothing of it takes what is there"
    );
}

#[tokio::test]
async fn files_are_taken_in_a_few_at_a_time_on_the_runners_disk() {
    let parts = with_scraper().await;
    let ada = signed_in(&parts, "ada").await;
    let incoming = || {
        let files = std::fs::read_dir(parts.folder.path().join("runs/data")).unwrap();
        files
            .filter(|file| std::fs::metadata(file.as_ref().unwrap().path()).unwrap().len() > 0)
            .count()
    };
    let data = format!("{ADAS}/data");
    let endless = || {
        let pieces = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from("SQLite"))]);
        Body::from_stream(pieces.chain(stream::pending()))
    };
    let mut sending: Vec<_> = (0..8)
        .map(|_| Box::pin(ada.asks(Method::PUT, &data, "application/octet-stream", endless())))
        .collect();
    // They go on until all their first pieces are on the disk.
    while incoming() < 8 {
        for one in &mut sending {
            assert!(futures::poll!(one.as_mut()).is_pending());
        }
        tokio::task::yield_now().await;
    }
    let ninth = put(&ada, &data, database(1)).await;
    ninth.is_problem(503, "too many files");
    assert_eq!(ninth.header("retry-after"), "30");
    drop(sending);
    assert_eq!(incoming(), 0, "who breaks off leaves nothing");
    assert_eq!(put(&ada, &data, database(1)).await.status, 201);
}

#[tokio::test]
async fn code_that_is_sent_makes_a_scraper_or_changes_it() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let place = "/api/v1/scrapers/ada/mine/code";
    let made = put(&ada, place, code()).await;
    assert_eq!(
        (made.status.as_u16(), made.json()["origin"]["kind"].clone()),
        (201, json!("upload")),
        "{}",
        made.body
    );
    let again = put(&ada, place, code()).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["origin"]),
        (200, &made.json()["origin"])
    );
    let change = json!({"origin": made.json()["origin"], "settings": {"description": "mine"}});
    let changed = ada.sends(Method::PUT, "/api/v1/scrapers/ada/mine", &change).await;
    assert_eq!(
        changed.status, 200,
        "the origin that it has may stay: {}",
        changed.body
    );
    put(&ada, "/api/v1/scrapers/ada/other/code", b"no tar".to_vec()).await;
    nobody(&parts)
        .gets("/api/v1/scrapers/ada/other")
        .await
        .is_problem(404, "there is no scraper");
    put(&ada, "/api/v1/scrapers/bob/mine/code", code())
        .await
        .is_problem(403, "only bob");
}

/// A form with files, as `curl -F` sends it.
fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--frontier\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    body
}

async fn import(asker: &Asker<'_>, fields: &[(&str, &[u8])]) -> Answer {
    let kind = "multipart/form-data; boundary=frontier";
    asker
        .asks(
            Method::POST,
            "/api/v1/imports/morph",
            kind,
            Body::from(form(fields)),
        )
        .await
}

#[tokio::test]
async fn a_scraper_of_morph_comes_whole_or_not_at_all() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let (name, url, data) = (
        b"ada/planning".as_slice(),
        b"https://github.test/ada/planning".as_slice(),
        database(3),
    );
    let variables = br#"{"MORPH_KEY": "a-secret-value"}"#.as_slice();
    let whole = [
        ("name", name),
        ("git", url),
        ("schedule", b"daily".as_slice()),
        ("variables", variables),
        ("data", &data),
    ];
    for (change, value, says) in [
        ("data", b"broken".as_slice(), ""),
        ("variables", b"[\"a-secret-value\"]", "JSON object"),
        ("variables", br#"{"HOME": "x"}"#, "begins with MORPH_"),
        ("schedule", b"never", "schedule"),
        ("git", b"ext::sh", "address of a repository"),
        ("name", b"bob/planning", "only bob"),
        ("name", b"", "missing"),
    ] {
        let mut fields = whole;
        fields.iter_mut().find(|(name, _)| *name == change).unwrap().1 = value;
        let refused = import(&ada, &fields).await;
        assert!(refused.status.is_client_error(), "{change}: {}", refused.body);
        assert!(
            refused.body.contains(says) && !refused.body.contains("a-secret-value"),
            "{}",
            refused.body
        );
        assert_eq!(
            nobody(&parts).gets(ADAS).await.status,
            404,
            "{change}: nothing is left of it"
        );
    }
    let taken = import(&ada, &whole).await;
    assert_eq!(
        (taken.status.as_u16(), taken.json()["version"].clone()),
        (201, json!(1)),
        "{}",
        taken.body
    );
    assert_eq!(
        ada.gets(&format!("{ADAS}/secrets")).await.json(),
        json!({"secrets": ["MORPH_KEY"]})
    );
    assert!(import(&nobody(&parts), &whole).await.status == 401);
    assert_eq!(taken.json()["settings"]["schedule"], "daily");
    assert!(taken.json()["due_at"].is_string());
}

#[tokio::test]
async fn a_push_starts_a_run_of_the_branch_that_it_is_about() {
    let parts = with_scraper().await;
    let key = key(&parts, "ada", &[Scope::Run]).await;
    let (main, other) = (
        json!({"ref": "refs/heads/main"}),
        json!({"ref": "refs/heads/other"}),
    );
    let hook = "/hooks/ada/planning";
    let gitlab = nobody(&parts).showing("x-gitlab-token", &key);
    assert_eq!(gitlab.posts(hook, &other).await.status, 204);
    let started = gitlab.posts(hook, &main).await;
    assert_eq!(
        (started.status.as_u16(), started.json()["was_there"].clone()),
        (202, json!(false)),
        "{}",
        started.body
    );
    let run = nobody(&parts)
        .gets(&format!("/api/v1/runs/{}", started.json()["run"]))
        .await
        .json();
    assert_eq!(run["cause"], json!({"kind": "push"}));
    for asker in [
        nobody(&parts).showing("authorization", &format!("Bearer {key}")),
        nobody(&parts).showing("x-api-key", &key),
    ] {
        assert_eq!(asker.posts(hook, &main).await.json()["was_there"], true);
    }
    let github = nobody(&parts).posts(&format!("{hook}?key={key}"), &main).await;
    assert_eq!(github.status, 202);
}

#[tokio::test]
async fn a_push_without_a_right_key_starts_nothing() {
    let parts = with_scraper().await;
    let hook = "/hooks/ada/planning";
    nobody(&parts)
        .posts(hook, &json!({}))
        .await
        .is_problem(401, "say who you are");
    nobody(&parts)
        .posts(&format!("{hook}?key=haul_nonsense"), &json!({}))
        .await
        .is_problem(401, "not valid");
    for (name, scope) in [("ada", Scope::Data), ("bob", Scope::Run)] {
        let asker = program(&parts, name, &[scope]).await;
        assert_eq!(asker.posts(hook, &json!({})).await.status, 403, "{name}");
    }
    assert_eq!(
        nobody(&parts).gets("/api/v1/runs").await.json()["runs"],
        json!([])
    );
}

#[tokio::test]
async fn runs_are_a_feed() {
    let parts = with_scraper().await;
    let ada = signed_in(&parts, "ada").await;
    let empty = nobody(&parts).gets("/ada/planning/runs.atom").await;
    assert_eq!(
        empty.header("content-type"),
        "application/atom+xml; charset=utf-8"
    );
    assert_eq!(elements(&empty.body, "entry"), 0);
    let asked = ada.posts(&format!("{ADAS}/runs"), &json!({})).await;
    ada.posts(&format!("{}/stop", asked.header("location")), &json!({}))
        .await;
    let feed = nobody(&parts).gets("/ada/planning/runs.atom").await;
    assert_eq!(elements(&feed.body, "entry"), 1);
    for text in [
        "<title>Runs of ada/planning</title>",
        "Run 1 stopped",
        "https://haul.test/runs/1",
    ] {
        assert!(feed.body.contains(text), "{}", feed.body);
    }
    let links = feed.body.split("href=\"https://haul.test").skip(1);
    let links: Vec<&str> = links.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), 3, "{}", feed.body);
    for link in links {
        let mut page = nobody(&parts).gets(link).await;
        if page.status == 303 {
            page = nobody(&parts).gets(page.header("location")).await;
        }
        assert_eq!(page.status, 200, "{link}");
    }
    assert_eq!(nobody(&parts).gets("/ada/nothing/runs.atom").await.status, 404);
}

/// How many elements of this name a well-formed document has.
fn elements(document: &str, name: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(document);
    let mut found = 0;
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(start) if start.name().as_ref() == name => found += 1,
            quick_xml::events::Event::Eof => return found,
            _ => {}
        }
    }
}

#[tokio::test]
async fn where_nobody_signs_in_everything_is_local() {
    let parts = Parts::start().await;
    let added = send_json(
        &parts.router,
        Method::POST,
        "/api/v1/scrapers",
        &git("planning").to_string(),
    )
    .await;
    assert_eq!(
        added.header("location"),
        "/api/v1/scrapers/local/planning",
        "{}",
        added.body
    );
    let asked = send_json(
        &parts.router,
        Method::POST,
        "/api/v1/scrapers/local/planning/runs",
        "",
    )
    .await;
    let run = get(&parts.router, asked.header("location")).await.json();
    assert_eq!(run["cause"], json!({"kind": "person", "by": "local"}));
}
