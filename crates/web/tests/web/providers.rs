//! Signing in at somebody else: a small provider of OpenID Connect that signs with a key of its own and does as it is told, and one that answers like GitHub.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use aws_lc_rs::{digest, hmac, rand::SystemRandom};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use registry::Secret;
use serde_json::{Value, json};
use url::Url;
use web::{Access, Provider, ProviderKind};

use crate::client::Answer;
use crate::fixture::Parts;
use crate::visitors::{access, nobody, signed_in, with_cookie, with_people_and};

const CLIENT_SECRET: &str = "shared-between-us";

/// What the provider does next.
#[derive(Clone, Default)]
struct Script {
    /// The challenge and nonce that the browser brought.
    challenge: String,
    nonce: String,
    /// Claims that take the place of the right ones.
    claims: Vec<(&'static str, Value)>,
    /// How the token is signed.
    signed: Signed,
    /// The token endpoint leads elsewhere.
    leads_on: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Signed {
    #[default]
    Right,
    WithAnotherKey,
    WithTheSharedSecret,
    NotAtAll,
}

struct Idp {
    issuer: String,
    key: EcdsaKeyPair,
    other: EcdsaKeyPair,
    script: Mutex<Script>,
}

impl Idp {
    async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let generate = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let idp = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            key: generate(),
            other: generate(),
            script: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(Arc::clone(&idp));
        tokio::spawn(async move { axum::serve(listener, router).await });
        idp
    }

    fn does(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    fn access(&self) -> Access {
        Access {
            providers: vec![Provider {
                name: "example".into(),
                kind: ProviderKind::OpenId {
                    issuer: self.issuer.clone(),
                },
                client_id: "haul".into(),
                client_secret: Secret::new(CLIENT_SECRET),
            }],
            may_register: true,
            ..access()
        }
    }

    /// Somebody signs in there: what they are asked for is remembered, and they come back with a code.
    fn visited(&self, place: &Url) {
        let asked = query(place);
        assert_eq!(
            (asked["client_id"].as_str(), asked["response_type"].as_str()),
            ("haul", "code")
        );
        assert_eq!(asked["redirect_uri"], "https://haul.test/sign-in/example/back");
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut script = self.script.lock().unwrap();
        script.challenge = asked["code_challenge"].clone();
        script.nonce = asked["nonce"].clone();
    }

    fn id_token(&self, script: &Script) -> String {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": self.issuer, "sub": "4711", "aud": "haul", "iat": now, "exp": now + 60, "nonce": script.nonce,
            "preferred_username": "grace", "email": "grace@example.gov", "email_verified": true,
        });
        for (name, value) in &script.claims {
            claims[*name] = value.clone();
        }
        let algorithm = match script.signed {
            Signed::WithTheSharedSecret => "HS256",
            Signed::NotAtAll => "none",
            _ => "ES256",
        };
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let content = format!(
            "{}.{}",
            part(&json!({"alg": algorithm, "kid": "1"})),
            part(&claims)
        );
        let with = |key: &EcdsaKeyPair| {
            key.sign(&SystemRandom::new(), content.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec()
        };
        let signature = match script.signed {
            Signed::Right => with(&self.key),
            Signed::WithAnotherKey => with(&self.other),
            Signed::NotAtAll => Vec::new(),
            Signed::WithTheSharedSecret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
                hmac::sign(&key, content.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{content}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn query(place: &Url) -> HashMap<String, String> {
    place.query_pairs().into_owned().collect()
}

async fn discovery(State(idp): State<Arc<Idp>>) -> Json<Value> {
    let issuer = &idp.issuer;
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn jwks(State(idp): State<Arc<Idp>>) -> Json<Value> {
    let point = idp.key.public_key().as_ref();
    let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": "1", "x": number(&point[1..33]), "y": number(&point[33..])});
    Json(json!({"keys": [key]}))
}

async fn token(State(idp): State<Arc<Idp>>, headers: HeaderMap, body: Bytes) -> Response {
    let script = idp.script.lock().unwrap().clone();
    if script.leads_on {
        return Redirect::temporary(&format!("{}/jwks", idp.issuer)).into_response();
    }
    let sent: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let client = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("haul:{CLIENT_SECRET}"))
    );
    let is_client = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.to_str().unwrap() == client);
    let verifier = digest::digest(&digest::SHA256, sent["code_verifier"].as_bytes());
    let is_same = BASE64_URL_SAFE_NO_PAD.encode(verifier) == script.challenge;
    if !is_client || !is_same || sent["code"] != "the-code" {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    }
    Json(json!({"access_token": "unused", "token_type": "Bearer", "id_token": idp.id_token(&script)}))
        .into_response()
}

/// The cookie that keeps a sign-in which is under way, and where it goes.
async fn begun(parts: &Parts) -> (String, Url) {
    let answer = nobody(parts).gets("/sign-in/example?to=%2Fsources").await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    (pending(&answer), Url::parse(answer.header("location")).unwrap())
}

fn pending(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    assert!(
        set.starts_with("__Host-haul-sign-in=") && set.contains("HttpOnly") && set.contains("Max-Age=600"),
        "{set}"
    );
    set.split(';').next().unwrap().to_owned()
}

async fn back(parts: &Parts, cookie: &str, parameters: &str) -> Answer {
    let path = format!("/sign-in/example/back?{parameters}");
    nobody(parts).showing("cookie", cookie).gets(&path).await
}

/// The whole way there and back.
async fn around(parts: &Parts, idp: &Idp) -> Answer {
    let (cookie, place) = begun(parts).await;
    idp.visited(&place);
    back(
        parts,
        &cookie,
        &format!("code=the-code&state={}", query(&place)["state"]),
    )
    .await
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_comes_back_to_it() {
    let idp = Idp::start().await;
    let parts = with_people_and(idp.access()).await;
    nobody(&parts)
        .gets("/sign-in?to=%2Fsources")
        .await
        .is_page(200, &["/sign-in/example?to=%2Fsources", "Sign in with example"]);
    for time in ["first", "second"] {
        let entered = around(&parts, &idp).await;
        assert_eq!(
            (entered.status.as_u16(), entered.header("location")),
            (303, "/sources"),
            "{}",
            entered.body
        );
        let grace = with_cookie(&parts, &entered);
        grace
            .gets("/account")
            .await
            .is_page(200, &["<h1>grace</h1>", "grace@example.gov", "Member"]);
        assert_eq!(
            parts.runner.registry().accounts().await.unwrap().len(),
            4,
            "the {time} time"
        );
    }
}

#[tokio::test]
async fn an_address_that_nobody_made_sure_of_is_not_kept_and_names_of_ours_are_not_given() {
    let idp = Idp::start().await;
    let parts = with_people_and(idp.access()).await;
    let claims = vec![
        ("preferred_username", json!("crawls")),
        ("email_verified", json!(false)),
    ];
    idp.does(Script {
        claims,
        ..Script::default()
    });
    let entered = around(&parts, &idp).await;
    let page = with_cookie(&parts, &entered).gets("/account").await;
    page.is_page(200, &["<h1>crawls-2</h1>"]);
    assert!(!page.body.contains("grace@example.gov"));
}

#[tokio::test]
async fn a_token_that_is_not_for_this_sign_in_lets_nobody_in() {
    let idp = Idp::start().await;
    let parts = with_people_and(idp.access()).await;
    let claim = |name, value| Script {
        claims: vec![(name, value)],
        ..Script::default()
    };
    let signed = |signed| Script {
        signed,
        ..Script::default()
    };
    let wrong = [
        ("another nonce", claim("nonce", json!("stolen"))),
        ("no nonce", claim("nonce", Value::Null)),
        ("for somebody else", claim("aud", json!("other"))),
        ("by somebody else", claim("iss", json!("https://evil.test"))),
        ("too old", claim("exp", json!(1_000))),
        ("another key", signed(Signed::WithAnotherKey)),
        ("the shared secret as key", signed(Signed::WithTheSharedSecret)),
        ("no signature", signed(Signed::NotAtAll)),
        (
            "a redirect",
            Script {
                leads_on: true,
                ..Script::default()
            },
        ),
    ];
    for (what, script) in wrong {
        idp.does(script);
        let refused = around(&parts, &idp).await;
        refused.is_page(502, &["Example did not answer as it should"]);
        assert!(refused.header("set-cookie").is_empty(), "{what}");
    }
    assert_eq!(parts.runner.registry().accounts().await.unwrap().len(), 3);
    idp.does(Script::default());
    assert_eq!(
        around(&parts, &idp).await.status,
        303,
        "the same way is right where nothing is wrong"
    );
}

#[tokio::test]
async fn only_the_browser_that_began_comes_back() {
    let idp = Idp::start().await;
    let parts = with_people_and(idp.access()).await;
    let (cookie, place) = begun(&parts).await;
    idp.visited(&place);
    let state = query(&place)["state"].clone();
    let (others, _) = begun(&parts).await;
    let right = format!("code=the-code&state={state}");
    for (cookie, parameters) in [
        ("", right.as_str()),
        (others.as_str(), right.as_str()),
        (cookie.as_str(), "code=the-code&state=guessed"),
        (cookie.as_str(), "code=the-code"),
        ("__Host-haul-sign-in=forged.forged", right.as_str()),
    ] {
        back(&parts, cookie, parameters)
            .await
            .is_page(400, &["did not begin in this browser"]);
    }
    back(&parts, &cookie, &format!("code=another&state={state}"))
        .await
        .is_page(502, &["did not answer as it should"]);
    let denied = format!("error=access_denied&error_description=you+%3Cb%3Esaid+no&state={state}");
    back(&parts, &cookie, &denied)
        .await
        .is_page(403, &["Example did not sign you in: you &lt;b&gt;said no"]);
    assert_eq!(back(&parts, &cookie, &right).await.status, 303);
}

#[tokio::test]
async fn strangers_need_an_account_that_is_linked() {
    let idp = Idp::start().await;
    let access = Access {
        may_register: false,
        ..idp.access()
    };
    let parts = with_people_and(access).await;
    around(&parts, &idp)
        .await
        .is_page(403, &["Grace of example has no account here"]);
    let ada = signed_in(&parts, "ada").await;
    ada.gets("/account").await.is_page(200, &["Link example"]);
    let link = ada.submits("/account/links/example", "").await;
    link.is_page(200, &["Go on to example"]);
    let (_, rest) = link.body.split_once(&format!("href=\"{}", idp.issuer)).unwrap();
    let place = format!("{}{}", idp.issuer, rest.split('"').next().unwrap()).replace("&amp;", "&");
    let place = Url::parse(&place).unwrap();
    idp.visited(&place);
    let state = &query(&place)["state"];
    let parameters = format!("code=the-code&state={state}");
    back(&parts, &pending(&link), &parameters)
        .await
        .is_page(400, &["no longer signed in"]);
    let home = format!("/sign-in/example/back?{parameters}");
    let bob = signed_in(&parts, "bob").await;
    let others = bob.keeping(&pending(&link)).gets(&home).await;
    others.is_page(400, &["no longer signed in"]);
    let linked = ada.keeping(&pending(&link)).gets(&home).await;
    assert_eq!(
        (linked.status.as_u16(), linked.header("location")),
        (303, "/account"),
        "{}",
        linked.body
    );
    let entered = around(&parts, &idp).await;
    with_cookie(&parts, &entered)
        .gets("/account")
        .await
        .is_page(200, &["<h1>ada</h1>"]);
    let page = ada.gets("/account").await;
    page.is_page(200, &["4711", "Unlink"]);
    assert!(!page.body.contains("Link example"), "{}", page.body);
    let unlinked = ada.submits("/account/links/example/remove", "subject=4711").await;
    assert_eq!(unlinked.header("location"), "/account");
    around(&parts, &idp).await.is_page(403, &["has no account here"]);
    ada.submits("/account/links/example/remove", "subject=4711")
        .await
        .is_page(404, &["role=\"alert\"", "There is no identity at example"]);
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let idp = Idp::start().await;
    let parts = with_people_and(idp.access()).await;
    let entered = around(&parts, &idp).await;
    let grace = with_cookie(&parts, &entered);
    grace
        .submits("/account/links/example/remove", "subject=4711")
        .await
        .is_page(400, &["This is the only way in"]);
    assert_eq!(around(&parts, &idp).await.status, 303);
}

#[tokio::test]
async fn a_provider_that_says_nothing_keeps_nobody_out() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut access = Idp::start().await.access();
    access.providers[0].kind = ProviderKind::OpenId {
        issuer: format!("http://{}", silent.local_addr().unwrap()),
    };
    let parts = with_people_and(access).await;
    let visits = (0..8).map(|_| {
        let router = parts.router.clone();
        tokio::spawn(async move { crate::client::get(&router, "/sign-in/example").await })
    });
    let visits: Vec<_> = visits.collect();
    // All of them have reached it, and wait.
    let mut held = Vec::new();
    for _ in 0..visits.len() {
        held.push(silent.accept().await.unwrap());
    }
    let entered = tokio::time::timeout(std::time::Duration::from_secs(8), signed_in(&parts, "ada"));
    assert!(entered.await.is_ok(), "a password needs no provider");
    visits.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said_plainly() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let idp = Idp::start().await;
    let mut access = idp.access();
    access.providers[0].kind = ProviderKind::OpenId {
        issuer: format!("http://{free}"),
    };
    let parts = with_people_and(access).await;
    nobody(&parts)
        .gets("/sign-in/example")
        .await
        .is_page(502, &["Example did not answer as it should"]);
    nobody(&parts)
        .gets("/sign-in/elsewhere")
        .await
        .is_page(404, &["Nobody signs in there"]);
}

async fn github() -> String {
    async fn exchange(body: Bytes) -> Json<Value> {
        let sent: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
        let is_right = sent["code"] == "the-code"
            && sent["client_secret"] == CLIENT_SECRET
            && !sent["code_verifier"].is_empty();
        Json(match is_right {
            true => json!({"access_token": "gho_1", "token_type": "bearer", "scope": ""}),
            false => {
                json!({"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."})
            }
        })
    }
    async fn user(headers: HeaderMap) -> Response {
        match headers
            .get(header::AUTHORIZATION)
            .is_some_and(|value| value == "Bearer gho_1")
        {
            true => Json(json!({"id": 42, "login": "octo-cat", "email": null})).into_response(),
            false => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/login/oauth/access_token", post(exchange))
        .route("/api/user", get(user));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn github_says_who_somebody_is_in_its_own_way() {
    let site = github().await;
    let mut access = Idp::start().await.access();
    access.providers[0].kind = ProviderKind::GitHub {
        api: format!("{site}/api"),
        site,
    };
    let parts = with_people_and(access).await;
    let (cookie, place) = begun(&parts).await;
    assert_eq!(place.path(), "/login/oauth/authorize");
    let state = &query(&place)["state"];
    back(&parts, &cookie, &format!("code=wrong&state={state}"))
        .await
        .is_page(502, &["did not answer as it should"]);
    let entered = back(&parts, &cookie, &format!("code=the-code&state={state}")).await;
    with_cookie(&parts, &entered)
        .gets("/account")
        .await
        .is_page(200, &["<h1>octo-cat</h1>"]);
}
