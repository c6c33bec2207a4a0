//! People and programs who ask a server where accounts are needed.

use axum::body::Body;
use axum::http::{Method, Request, header};
use model::OwnerName;
use registry::{NewAccount, Registry, Scope, Secret};
use serde_json::Value;
use web::Access;

use crate::client::{Answer, send};
use crate::fixture::{NOW, Parts};

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server where people sign in, with the operator `root` and the members `ada` and `bob`.
pub(crate) async fn with_people() -> Parts {
    with_people_and(access()).await
}

pub(crate) fn access() -> Access {
    Access {
        accounts: true,
        base: "https://haul.test".into(),
        ..Access::default()
    }
}

pub(crate) async fn with_people_and(access: Access) -> Parts {
    let parts = Parts::with(None, access).await;
    for name in ["root", "ada", "bob"] {
        let new = NewAccount {
            name: owner(name),
            email: None,
            password: Some(Secret::new(PASSWORD)),
            is_operator: name == "root",
        };
        registry(&parts).add_account(new, NOW).await.unwrap();
    }
    parts
}

pub(crate) fn registry(parts: &Parts) -> &Registry {
    parts.runner.registry()
}

pub(crate) fn owner(name: &str) -> OwnerName {
    OwnerName::new(name).unwrap()
}

/// Somebody who asks; what they show goes with every request.
#[derive(Clone)]
pub(crate) struct Asker<'a> {
    parts: &'a Parts,
    shows: Option<(&'static str, String)>,
}

/// Somebody who shows nothing.
pub(crate) fn nobody(parts: &Parts) -> Asker<'_> {
    Asker { parts, shows: None }
}

/// Somebody who has signed in on the page.
pub(crate) async fn signed_in<'a>(parts: &'a Parts, name: &str) -> Asker<'a> {
    let fields = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
    let answer = nobody(parts).submits("/sign-in", &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    with_cookie(parts, &answer)
}

/// Whoever was just given this cookie.
pub(crate) fn with_cookie<'a>(parts: &'a Parts, answer: &Answer) -> Asker<'a> {
    let set = answer.headers.get_all(header::SET_COOKIE).iter();
    let mut pairs = set.map(|line| line.to_str().unwrap().split(';').next().unwrap());
    let pair = pairs.find(|pair| pair.starts_with("__Host-haul=")).unwrap();
    Asker {
        parts,
        shows: Some(("cookie", pair.to_owned())),
    }
}

/// A program with a key of `name` that has `scopes`.
pub(crate) async fn program<'a>(parts: &'a Parts, name: &str, scopes: &[Scope]) -> Asker<'a> {
    let key = key(parts, name, scopes).await;
    Asker {
        parts,
        shows: Some(("x-api-key", key)),
    }
}

pub(crate) async fn key(parts: &Parts, name: &str, scopes: &[Scope]) -> String {
    let issued = registry(parts)
        .issue_key(&owner(name), "test", scopes.to_vec(), None, NOW)
        .await;
    issued.unwrap().token.reveal().to_owned()
}

impl Asker<'_> {
    /// The same with another header.
    pub(crate) fn showing(&self, header: &'static str, value: &str) -> Self {
        Self {
            shows: Some((header, value.to_owned())),
            ..self.clone()
        }
    }

    /// What goes with every request.
    pub(crate) fn shown(&self) -> &str {
        self.shows.as_ref().map_or("", |(_, value)| value)
    }

    /// The same with one more cookie.
    pub(crate) fn keeping(&self, cookie: &str) -> Self {
        let (_, held) = self.shows.clone().unwrap();
        self.showing("cookie", &format!("{held}; {cookie}"))
    }

    pub(crate) async fn asks(&self, method: Method, path: &str, kind: &str, body: Body) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind);
        if let Some((name, value)) = &self.shows {
            request = request.header(*name, value);
        }
        send(&self.parts.router, request.body(body).unwrap()).await
    }

    pub(crate) async fn gets(&self, path: &str) -> Answer {
        self.asks(Method::GET, path, "text/plain", Body::empty()).await
    }

    pub(crate) async fn submits(&self, path: &str, fields: &str) -> Answer {
        let body = Body::from(fields.to_owned());
        self.asks(Method::POST, path, "application/x-www-form-urlencoded", body)
            .await
    }

    pub(crate) async fn sends(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.asks(method, path, "application/json", Body::from(body.to_string()))
            .await
    }

    pub(crate) async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.sends(Method::POST, path, body).await
    }
}
