use pkgindex::{HttpOptions, Revision};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::port::{Port, in_memory};

/// What is asked of most tests here: `app` needs `web` and `tls`, both need `libc`; `x` and `y` need each other.
const LINES: &str =
    "INDEX|libc|\nINDEX|tls|libc\nINDEX|web|libc,tls\nINDEX|app|tls,web\nINDEX|x|y\nINDEX|y|x\n";

/// The texts of a JSON list.
#[track_caller]
fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

/// The packages of a list of `{package, depth}`, as `package:depth`.
fn found(answer: &Value) -> Vec<String> {
    let items = answer["found"]["items"].as_array().unwrap();
    let show = |item: &Value| format!("{}:{}", item["package"].as_str().unwrap(), item["depth"]);
    items.iter().map(show).collect()
}

fn steps(answer: &Value) -> Vec<Vec<&str>> {
    let steps = answer["steps"]["items"].as_array().unwrap();
    steps.iter().map(|step| texts(&step["packages"])).collect()
}

#[tokio::test]
async fn a_package_is_shown_with_its_neighbours() {
    let port = Port::with(LINES).await;
    let tls = port.get("/v1/package?name=tls").await.json();
    assert_eq!(tls["revision"], 1);
    assert_eq!(tls["package"], "tls");
    assert_eq!(texts(&tls["dependencies"]["items"]), ["libc"]);
    assert_eq!(texts(&tls["dependents"]["items"]), ["app", "web"]);
    let counted = port.get("/v1/package?name=tls&limit=0").await.json();
    assert_eq!(
        counted["dependents"],
        json!({"total": 2, "items": [], "next": null})
    );
}

#[tokio::test]
async fn dependencies_are_direct_or_transitive_or_up_to_a_depth() {
    let port = Port::with(LINES).await;
    let direct = port.get("/v1/dependencies?name=app").await.json();
    assert_eq!(found(&direct), ["tls:1", "web:1"]);
    let all = port.get("/v1/dependencies?name=app&transitive=true").await.json();
    assert_eq!(found(&all), ["libc:2", "tls:1", "web:1"]);
    let near = port
        .get("/v1/dependents?name=libc&transitive=true&depth=1")
        .await
        .json();
    assert_eq!(found(&near), ["tls:1", "web:1"]);
    let far = port.get("/v1/dependents?name=libc&depth=2").await.json();
    assert_eq!(found(&far), ["app:2", "tls:1", "web:1"]);
    assert_eq!(far["complete"], true);
}

#[tokio::test]
async fn a_shortest_path_says_why() {
    let port = Port::with(LINES).await;
    let why = port.get("/v1/why?from=app&to=libc").await.json();
    assert_eq!(texts(&why["path"]), ["app", "tls", "libc"]);
    let none = port.get("/v1/why?from=libc&to=app").await.json();
    assert_eq!(none["path"], Value::Null);
}

#[tokio::test]
async fn orders_go_in_levels() {
    let port = Port::with(LINES).await;
    let install = port.get("/v1/install-order?name=app&name=x").await.json();
    let expected = [
        vec!["libc"],
        vec!["x", "y"],
        vec!["tls"],
        vec!["web"],
        vec!["app"],
    ];
    assert_eq!(steps(&install), expected);
    assert_eq!(install["packages"], 6);
    let remove = port.get("/v1/removal-order?name=tls").await.json();
    assert_eq!(steps(&remove), [["app"], ["web"], ["tls"]]);
}

#[tokio::test]
async fn cycles_and_orphans_are_listed() {
    let port = Port::with(LINES).await;
    let cycles = port.get("/v1/cycles").await.json();
    assert_eq!(texts(&cycles["knots"]["items"][0]["packages"]), ["x", "y"]);
    assert_eq!(cycles["knots"]["total"], 1);
    let orphans = port.get("/v1/orphans").await.json();
    assert_eq!(texts(&orphans["packages"]["items"]), ["app"]);
}

#[tokio::test]
async fn names_may_hold_slashes_pluses_and_ats() {
    let port = Port::with("INDEX|@scope/lib|\nINDEX|gtk+|@scope/lib\nINDEX|a:b@3.12|gtk+\n").await;
    for (query, package, dependents) in [
        ("name=@scope/lib", "@scope/lib", vec!["gtk+"]),
        ("name=%40scope%2Flib", "@scope/lib", vec!["gtk+"]),
        ("name=gtk%2B", "gtk+", vec!["a:b@3.12"]),
        ("name=a:b@3.12", "a:b@3.12", vec![]),
    ] {
        let answer = port.get(&format!("/v1/package?{query}")).await.json();
        assert_eq!(answer["package"], package);
        assert_eq!(texts(&answer["dependents"]["items"]), dependents);
    }
    port.get("/v1/package?name=gtk+")
        .await
        .problem(400, "write + as %2B");
}

#[tokio::test]
async fn pages_show_everything_once() {
    let mut lines = String::from("INDEX|hub|\n");
    let names: Vec<_> = (0..57).map(|number| format!("p{number:02}")).collect();
    for name in &names {
        lines += &format!("INDEX|{name}|hub\n");
    }
    let port = Port::with(&lines).await;
    for (path, list, show) in [
        (
            "/v1/dependents?name=hub&limit=10",
            "found",
            (|item| item["package"].clone()) as fn(&Value) -> Value,
        ),
        ("/v1/orphans?limit=10", "packages", Value::clone),
    ] {
        let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let answer = port.get(&format!("{path}{after}")).await.json();
            let page = &answer[list];
            assert_eq!(page["total"], 57);
            seen.extend(page["items"].as_array().unwrap().iter().map(show));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen, names, "{path}");
        assert_eq!(pages, 6, "{path}");
    }
}

#[tokio::test]
async fn an_answer_shows_what_was_acknowledged_before() {
    let port = Port::of(in_memory(), HttpOptions::default()).await;
    for number in 1..=20 {
        let name = format!("p{number}");
        let line = format!("INDEX|{name}|\n");
        port.index.batch(line.as_bytes()).await.unwrap();
        let answer = port.get(&format!("/v1/package?name={name}")).await.json();
        assert_eq!(answer["revision"], number);
    }
    assert_eq!(port.index.sizes().revision, Revision(20));
}

#[tokio::test]
async fn wrong_questions_are_told_how_to_be_right() {
    let port = Port::with(LINES).await;
    for (path, detail) in [
        ("/v1/package", "\"name\" is missing"),
        ("/v1/package?name=", "the name is empty"),
        ("/v1/package?name=a%7Cb", "not one of a-z"),
        ("/v1/package?name=%FF", "not one of a-z"),
        ("/v1/package?naem=a", "\"naem\" is not known here; use name"),
        ("/v1/package?name=a&limit=10001", "a number from 0 to 10000"),
        ("/v1/dependents?name=a&limit=x", "a number from 0 to 10000"),
        ("/v1/dependents?name=a&depth=0", "a number from 1 to 4294967295"),
        ("/v1/dependents?name=a&transitive=yes", "is true or false"),
        (
            "/v1/dependents?name=a&budget=99999999999999999999",
            "a number from 0",
        ),
        ("/v1/why?from=a", "\"to\" is missing"),
        ("/v1/install-order", "\"name\" is missing"),
        ("/v1/cycles?name=a", "use limit, after, budget"),
        ("/v1/orphans?after=", "the name is empty"),
    ] {
        port.get(path).await.problem(400, detail);
    }
    let long = format!("/v1/install-order?{}", "name=libc&".repeat(3_500));
    port.get(&long)
        .await
        .problem(400, "the query is longer than 32768 bytes");
}

#[tokio::test]
async fn packages_that_are_not_there_are_not_found() {
    let port = Port::with(LINES).await;
    for path in [
        "/v1/package?name=LIBC",
        "/v1/dependents?name=LIBC",
        "/v1/why?from=app&to=LIBC",
        "/v1/install-order?name=app&name=LIBC",
    ] {
        let problem = port.get(path).await.problem(404, "LIBC is not indexed");
        assert_eq!(problem["revision"], 1);
    }
}

#[tokio::test]
async fn a_budget_ends_a_question() {
    let port = Port::with(LINES).await;
    port.get("/v1/cycles?budget=1")
        .await
        .problem(422, "more than 1 edges");
    let part = port
        .get("/v1/dependencies?name=app&transitive=true&budget=2")
        .await
        .json();
    assert_eq!(part["complete"], false);
}

/// Query strings that look a little like what is asked here.
fn query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "name",
        "from",
        "to",
        "limit",
        "after",
        "depth",
        "budget",
        "transitive",
        "wait_ms",
        "format",
        "x",
        "",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "app", "libc", "x", "0", "1", "3", "true", "", "%00", "%FF", "%2B", "%"
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}".prop_map(|text| text.replace(['#', ' ', '"', '<', '>', '`', '{', '}'], "%")),
    ];
    let parameter = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(parameter, 0..5).prop_map(|parameters| parameters.join("&"))
}

#[test]
fn any_query_is_answered_with_json_or_a_problem() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let port = runtime.block_on(Port::with(LINES));
    let routes: Vec<_> = include_str!("../data/routes.txt")
        .lines()
        .filter_map(|route| route.strip_prefix("GET "))
        .filter(|path| path.starts_with("/v1/") && *path != "/v1/dump")
        .collect();
    let asked = (prop::sample::select(routes), query());
    let checked = TestRunner::default().run(&asked, |(path, query)| {
        let answer = runtime.block_on(port.get(&format!("{path}?{query}")));
        match answer.status.as_u16() {
            200 => drop(answer.json()),
            status => {
                prop_assert!([400, 404, 409, 410, 422].contains(&status), "{answer:?}");
                answer.problem(status, "");
            }
        }
        Ok(())
    });
    checked.unwrap();
}
