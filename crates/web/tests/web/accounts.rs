//! Who may do what: signing in, accounts, keys, organisations.

use axum::body::{Body, Bytes};
use axum::http::Method;
use futures::stream;
use registry::{AccountChange, Scope, SignIn};
use serde_json::{Value, json};

use crate::client::{Answer, get, submit};
use crate::fixture::{NOW, Parts};
use crate::visitors::{PASSWORD, key, nobody, owner, program, registry, signed_in, with_cookie, with_people};

/// What the page puts into an element that shows a secret once.
fn revealed(page: &Answer) -> &str {
    let (_, rest) = page.body.split_once("<code class=\"secret\">").unwrap();
    rest.split('<').next().unwrap()
}

#[tokio::test]
async fn nobody_changes_anything_without_saying_who_they_are() {
    let parts = with_people().await;
    let document = get(&parts.router, "/api/v1/openapi.json").await.json();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let place = filled(path);
        for (name, method) in [
            ("post", Method::POST),
            ("put", Method::PUT),
            ("patch", Method::PATCH),
            ("delete", Method::DELETE),
        ] {
            // A question in SQL is posted where it is long, and changes nothing; `/run` has its key in the body.
            let is_other = path.ends_with("/query") || path == "/run";
            if !operations[name].is_object() || is_other {
                continue;
            }
            // Who asks is judged before anything is read.
            let answer = nobody(&parts)
                .asks(method, &place, "application/json", Body::from("{"))
                .await;
            answer.is_problem(401, "say who you are");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
}

/// The path with something in the place of each parameter: a number where one is needed.
fn filled(path: &str) -> String {
    const NUMBERS: [&str; 5] = ["{key}", "{webhook}", "{delivery}", "{version}", "{run}"];
    let numbered = NUMBERS
        .iter()
        .fold(path.to_owned(), |path, name| path.replace(name, "1"));
    numbered.replace(['{', '}'], "")
}

#[tokio::test]
async fn pages_lead_whoever_must_sign_in_there_and_back() {
    let parts = with_people().await;
    let page = nobody(&parts).gets("/account?x=1").await;
    assert_eq!(
        (page.status.as_u16(), page.header("location")),
        (303, "/sign-in?to=%2Faccount%3Fx%3D1")
    );
    let form = nobody(&parts).showing("referer", "https://haul.test/sources/new");
    let sent = form.submits("/sources", "url=https://a.gov/").await;
    assert_eq!(
        (sent.status.as_u16(), sent.header("location")),
        (303, "/sign-in?to=%2Fsources%2Fnew")
    );
    let shown = nobody(&parts).gets("/sign-in?to=%2Fsources%2Fnew").await;
    shown.is_page(
        200,
        &["value=\"/sources/new\"", "autocomplete=\"current-password\""],
    );
    let fields = format!("name=ada&password={PASSWORD}&to=%2Fsources%2Fnew").replace(' ', "+");
    let entered = nobody(&parts).submits("/sign-in", &fields).await;
    assert_eq!(
        (entered.status.as_u16(), entered.header("location")),
        (303, "/sources/new")
    );
}

#[tokio::test]
async fn a_session_lasts_until_its_owner_signs_out() {
    let parts = with_people().await;
    nobody(&parts)
        .gets("/sources")
        .await
        .is_page(200, &["href=\"/sign-in\"", "Sign in"]);
    let fields = format!("name=Ada&password={}", PASSWORD.replace(' ', "+"));
    let entered = nobody(&parts).submits("/sign-in", &fields).await;
    let cookie = entered.header("set-cookie");
    for part in ["__Host-haul=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let ada = with_cookie(&parts, &entered);
    ada.gets("/sources")
        .await
        .is_page(200, &["Signed in as ", "ada", "action=\"/sign-out\""]);
    let account = ada.gets("/account").await;
    account.is_page(200, &["<h1>ada</h1>", "Member since"]);
    assert_eq!(account.header("cache-control"), "no-store");
    let left = ada.submits("/sign-out", "").await;
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(
        ada.gets("/account").await.status,
        303,
        "the cookie is worth nothing any more"
    );
}

#[tokio::test]
async fn a_wrong_password_is_said_beside_the_field_and_many_are_too_many() {
    let parts = with_people().await;
    for name in ["ada", "nobody-of-that-name", "<b>"] {
        let refused = nobody(&parts)
            .submits("/sign-in", &format!("name={name}&password=wrong"))
            .await;
        refused.is_page(
            401,
            &[
                "id=\"password-wrong\"",
                "The name or the password is wrong",
                "aria-invalid=\"true\"",
            ],
        );
        assert!(!refused.body.contains("<b>") && refused.header("set-cookie").is_empty());
    }
    for _ in 0..10 {
        nobody(&parts)
            .submits("/sign-in", "name=bob&password=wrong")
            .await;
    }
    let fields = format!("name=bob&password={}", PASSWORD.replace(' ', "+"));
    let late = nobody(&parts).submits("/sign-in", &fields).await;
    late.is_page(429, &["too many wrong passwords"]);
    assert!(late.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in_or_out() {
    let parts = with_people().await;
    for path in ["/sign-in", "/sign-out", "/account/links/example"] {
        let foreign = nobody(&parts).showing("sec-fetch-site", "cross-site");
        foreign
            .submits(path, "name=ada&password=x")
            .await
            .is_page(403, &["page of another site"]);
    }
}

#[tokio::test]
async fn only_operators_change_sources() {
    let parts = with_people().await;
    let all = [Scope::Data, Scope::Run, Scope::Manage];
    let source = |name: &str| json!({"settings": {"site": {"start": [format!("https://{name}.gov/")]}}});
    let may = [
        ("root", signed_in(&parts, "root").await, 201),
        ("roots-key", program(&parts, "root", &[Scope::Manage]).await, 201),
        (
            "roots-small-key",
            program(&parts, "root", &[Scope::Data, Scope::Run]).await,
            403,
        ),
        ("ada", signed_in(&parts, "ada").await, 403),
        ("adas-key", program(&parts, "ada", &all).await, 403),
        ("nobody", nobody(&parts), 401),
    ];
    for (name, asker, status) in may {
        let answer = asker.posts("/api/v1/sources", &source(name)).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        assert_eq!(asker.gets("/api/v1/sources").await.status, 200, "{name} may read");
    }
    let form = signed_in(&parts, "root")
        .await
        .submits("/sources", "url=https://d.gov/")
        .await;
    assert_eq!(form.header("location"), "/sources/d.gov");
}

#[tokio::test]
async fn a_key_is_shown_once_works_is_replaced_and_revoked() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let made = ada
        .submits(
            "/account/keys/ada",
            "label=laptop&scope=data&scope=manage&expires=2099-01-31",
        )
        .await;
    made.is_page(201, &["shown only now", "laptop", "31 Jan 2099"]);
    let first = revealed(&made).to_owned();
    let again = ada.gets("/account").await;
    again.is_page(200, &["laptop", "Read data; Everything else"]);
    assert!(!again.body.contains(&first));
    let keys = |token: &str| nobody(&parts).showing("authorization", &format!("Bearer {token}"));
    let listed = keys(&first).gets("/api/v1/owners/ada/keys").await.json();
    let id = &listed["keys"][0]["id"];
    let replaced = ada.submits(&format!("/account/keys/ada/{id}/rotate"), "").await;
    let second = revealed(&replaced).to_owned();
    for token in [&first, &second] {
        assert_eq!(
            keys(token).gets("/api/v1/owners/ada/keys").await.status,
            200,
            "both work for a day"
        );
    }
    let revoked = ada.submits(&format!("/account/keys/ada/{id}/revoke"), "").await;
    assert_eq!(revoked.header("location"), "/account");
    keys(&first)
        .gets("/api/v1/owners/ada/keys")
        .await
        .is_problem(401, "not valid");
    assert_eq!(
        ada.submits("/account/keys/bob", "label=x&scope=data")
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_said_beside_its_field() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    for fields in ["label=x", "label=x&scope=data&expires=soon", "label=&scope=data"] {
        let refused = ada.submits("/account/keys/ada", fields).await;
        refused.is_page(400, &["id=\"label-wrong\"", "<details open"]);
    }
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let parts = with_people().await;
    let (here, elsewhere) = (signed_in(&parts, "ada").await, signed_in(&parts, "ada").await);
    let old = PASSWORD.replace(' ', "+");
    let wrong = here
        .submits("/account/password", "old=nonsense&new=a+much+better+one")
        .await;
    wrong.is_page(400, &["id=\"old-wrong\"", "This is not your password"]);
    let short = here
        .submits("/account/password", &format!("old={old}&new=short"))
        .await;
    short.is_page(400, &["id=\"new-wrong\"", "12 to 1024 bytes"]);
    let changed = here
        .submits("/account/password", &format!("old={old}&new=+a+much+better+one+"))
        .await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    assert_eq!(with_cookie(&parts, &changed).gets("/account").await.status, 200);
    for gone in [here, elsewhere] {
        assert_eq!(gone.gets("/account").await.status, 303);
    }
    let exact = registry::Secret::new(" a much better one ");
    let entered = registry(&parts).sign_in("ada", exact, NOW).await.unwrap();
    assert!(
        matches!(entered, SignIn::Done(..)),
        "white space belongs to a password"
    );
}

#[tokio::test]
async fn mail_goes_where_its_owner_says() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let saved = ada
        .submits("/account/mail", "email=ada%40example.gov&wants_mail=yes")
        .await;
    assert_eq!(saved.header("location"), "/account");
    ada.gets("/account")
        .await
        .is_page(200, &["value=\"ada@example.gov\"", " checked"]);
    let wrong = ada.submits("/account/mail", "email=nowhere").await;
    wrong.is_page(400, &["id=\"email-wrong\""]);
}

#[tokio::test]
async fn operators_let_people_in_and_show_them_out() {
    let parts = with_people().await;
    let root = signed_in(&parts, "root").await;
    let added = root
        .submits("/accounts", "name=eve&email=eve%40example.gov")
        .await;
    added.is_page(201, &["shown only now", "eve@example.gov"]);
    let password = revealed(&added).to_owned();
    let entered = nobody(&parts)
        .submits("/sign-in", &format!("name=eve&password={password}"))
        .await;
    let eve = with_cookie(&parts, &entered);
    assert_eq!(eve.gets("/accounts").await.status, 403);
    let key = key(&parts, "eve", &[Scope::Data, Scope::Manage]).await;
    let eves_program = nobody(&parts).showing("x-api-key", &key);
    assert_eq!(eves_program.gets("/api/v1/owners/eve/keys").await.status, 200);
    root.submits("/accounts/eve", "disabled=yes").await;
    assert_eq!(eve.gets("/account").await.status, 303, "her session is over");
    assert_eq!(
        eves_program.gets("/api/v1/owners/eve/keys").await.status,
        401,
        "so are her keys"
    );
    root.submits("/accounts/eve", "disabled=no").await;
    root.submits("/accounts/eve", "operator=yes").await;
    let fresh = root.submits("/accounts/eve/password", "").await;
    let entered = nobody(&parts)
        .submits("/sign-in", &format!("name=eve&password={}", revealed(&fresh)))
        .await;
    assert_eq!(with_cookie(&parts, &entered).gets("/accounts").await.status, 200);
}

#[tokio::test]
async fn nobody_shuts_themselves_out_and_names_of_ours_are_nobodys() {
    let parts = with_people().await;
    let root = signed_in(&parts, "root").await;
    root.submits("/accounts/root", "operator=no")
        .await
        .is_page(400, &["shut yourself out"]);
    let change = root
        .sends(
            Method::PATCH,
            "/api/v1/accounts/root",
            &json!({"is_disabled": true}),
        )
        .await;
    change.is_problem(400, "shut yourself out");
    for (name, says) in [
        ("api", "taken by this server"),
        ("Sign-In", "taken by this server"),
        ("ada", "exists already"),
        ("a/b", "is not valid"),
        ("", "Give a name"),
    ] {
        let refused = root.submits("/accounts", &format!("name={name}")).await;
        assert!(refused.status.is_client_error());
        refused.is_page(refused.status.as_u16(), &["id=\"name-wrong\"", says]);
    }
    let organisation = root
        .sends(
            Method::PUT,
            "/api/v1/organisations/crawls",
            &json!({"members": []}),
        )
        .await;
    organisation.is_problem(409, "taken by this server");
}

#[tokio::test]
async fn members_of_an_organisation_manage_what_belongs_to_it() {
    let parts = with_people().await;
    let root = signed_in(&parts, "root").await;
    assert_eq!(
        root.submits("/organisations", "name=council&members=ada%0D%0Abob")
            .await
            .status,
        303
    );
    root.gets("/organisations")
        .await
        .is_page(200, &["council", "ada\nbob"]);
    let ada = signed_in(&parts, "ada").await;
    ada.gets("/account")
        .await
        .is_page(200, &["<h3>council</h3>", "Make it for council"]);
    let scraper = |name: &str| json!({"owner": "council", "name": name, "origin": {"kind": "git", "url": "https://a.test/b"}});
    assert_eq!(ada.posts("/api/v1/scrapers", &scraper("a")).await.status, 201);
    let key = key(&parts, "council", &[Scope::Manage]).await;
    let program = nobody(&parts).showing("x-api-key", &key);
    assert_eq!(program.posts("/api/v1/scrapers", &scraper("b")).await.status, 201);
    root.submits("/organisations", "name=council&members=bob").await;
    ada.posts("/api/v1/scrapers", &scraper("c"))
        .await
        .is_problem(403, "only council");
    root.submits("/organisations", "name=x&members=nobody-here")
        .await
        .is_page(404, &["id=\"name-wrong\""]);
    assert_eq!(ada.gets("/organisations").await.status, 403);
}

#[tokio::test]
async fn the_api_keeps_accounts_and_keys_too() {
    let parts = with_people().await;
    let root = program(&parts, "root", &[Scope::Manage]).await;
    let added = root
        .posts(
            "/api/v1/accounts",
            &json!({"name": "eve", "email": "eve@example.gov"}),
        )
        .await
        .json();
    let password = registry::Secret::new(added["password"].as_str().unwrap());
    assert!(matches!(
        registry(&parts).sign_in("eve", password, NOW).await.unwrap(),
        SignIn::Done(..)
    ));
    let body = json!({"is_operator": true, "email": ""});
    let changed = root
        .sends(Method::PATCH, "/api/v1/accounts/eve", &body)
        .await
        .json();
    assert_eq!(
        (&changed["is_operator"], &changed["email"]),
        (&json!(true), &Value::Null)
    );
    let names: Vec<Value> = root.gets("/api/v1/accounts").await.json()["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["name"].clone())
        .collect();
    assert_eq!(json!(names), json!(["ada", "bob", "eve", "root"]));
    let council = root
        .sends(
            Method::PUT,
            "/api/v1/organisations/council",
            &json!({"members": ["ada"]}),
        )
        .await;
    assert_eq!(council.json()["members"], json!(["ada"]));
    assert_eq!(
        root.gets("/api/v1/organisations").await.json()["organisations"][0]["name"],
        "council"
    );
    let ada = program(&parts, "ada", &[Scope::Manage]).await;
    for path in [
        "/api/v1/accounts",
        "/api/v1/organisations",
        "/api/v1/owners/bob/keys",
    ] {
        assert_eq!(ada.gets(path).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_key_makes_no_key_that_may_do_more() {
    let parts = with_people().await;
    let small = program(&parts, "ada", &[Scope::Manage]).await;
    let key = |scope: &str| json!({"label": "x", "scopes": [scope]});
    small
        .posts("/api/v1/owners/ada/keys", &key("run"))
        .await
        .is_problem(403, "may do more than itself");
    let made = small.posts("/api/v1/owners/ada/keys", &key("manage")).await;
    assert_eq!(made.status, 201);
    assert!(made.json()["token"].as_str().unwrap().starts_with("haul_"));
    let ada = signed_in(&parts, "ada").await;
    let wide = ada.posts("/api/v1/owners/ada/keys", &key("run")).await.json()["key"]["id"].clone();
    let rotated = small
        .posts(&format!("/api/v1/owners/ada/keys/{wide}/rotate"), &json!({}))
        .await;
    rotated.is_problem(403, "may do more than itself");
}

#[tokio::test]
async fn the_page_of_keys_is_for_people() {
    let parts = with_people().await;
    let all = [Scope::Data, Scope::Run, Scope::Manage];
    let wide = signed_in(&parts, "ada")
        .await
        .posts(
            "/api/v1/owners/ada/keys",
            &json!({"label": "wide", "scopes": all}),
        )
        .await
        .json()["key"]["id"]
        .clone();
    let keys = parts.runner.registry().keys(&owner("ada")).await.unwrap().len();
    let robot = program(&parts, "ada", &[Scope::Manage]).await;
    for (path, fields) in [
        ("/account/keys/ada".to_owned(), "label=x&scope=data&scope=run"),
        (format!("/account/keys/ada/{wide}/rotate"), ""),
        (format!("/account/keys/ada/{wide}/revoke"), ""),
    ] {
        robot.submits(&path, fields).await.is_page(400, &["for people"]);
    }
    assert_eq!(
        parts.runner.registry().keys(&owner("ada")).await.unwrap().len(),
        keys + 1,
        "none but the program's own was made, and none is gone"
    );
    let reader = program(&parts, "ada", &[Scope::Data]).await;
    let page = reader.gets("/account").await;
    page.is_page(400, &["for people"]);
    assert!(!page.body.contains("wide"), "{}", page.body);
}

#[tokio::test]
async fn a_form_that_arrives_slowly_gives_no_rights_back() {
    let parts = with_people().await;
    let registry = registry(&parts).clone();
    let operator = |is_operator| AccountChange {
        is_operator: Some(is_operator),
        ..AccountChange::default()
    };
    registry
        .change_account(&owner("ada"), operator(true))
        .await
        .unwrap();
    let ada = signed_in(&parts, "ada").await;
    let (demoting, demoted) = (registry.clone(), operator(false));
    // Whoever reads the form has asked already who sends it.
    let form = stream::once(async move {
        demoting.change_account(&owner("ada"), demoted).await.unwrap();
        Ok::<_, std::convert::Infallible>(Bytes::from("wants_mail=yes"))
    });
    let kind = "application/x-www-form-urlencoded";
    let saved = ada
        .asks(Method::POST, "/account/mail", kind, Body::from_stream(form))
        .await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    assert!(!registry.account(&owner("ada")).await.unwrap().is_operator);
}

#[tokio::test]
async fn a_key_of_morph_goes_on_working() {
    let parts = with_people().await;
    let ada = signed_in(&parts, "ada").await;
    let token = "4Zs8MzTX4xXHaVUkYv9e";
    let body = json!({"label": "morph", "scopes": ["manage"], "token": token});
    let taken = ada.posts("/api/v1/owners/ada/keys", &body).await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    assert!(!taken.body.contains(token));
    let program = nobody(&parts).showing("x-api-key", token);
    assert_eq!(program.gets("/api/v1/owners/ada/keys").await.status, 200);
}

#[tokio::test]
async fn where_nobody_signs_in_there_are_keys_and_no_accounts() {
    let parts = Parts::start().await;
    get(&parts.router, "/sign-in")
        .await
        .is_page(404, &["People do not sign in at this server"]);
    get(&parts.router, "/accounts")
        .await
        .is_page(404, &["People do not sign in"]);
    get(&parts.router, "/account")
        .await
        .is_page(200, &["Keys of local", "Make it for local"]);
    let made = submit(&parts.router, "/account/keys/local", "label=x&scope=data").await;
    let token = revealed(&made).to_owned();
    assert!(
        registry(&parts)
            .key(&token, NOW)
            .await
            .unwrap()
            .is_some_and(|key| key.owner == owner("local"))
    );
}
