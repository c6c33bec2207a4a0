//! Who asks, and whether they may.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use model::OwnerName;
use registry::{Account, ApiKey, RegistryError, Scope, Secret};

use crate::accounts::cookie;
use crate::clock;
use crate::problem::Problem;
use crate::state::App;

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Whether people sign in. If not, whoever reaches the listener may do everything, as the owner `local`.
    pub accounts: bool,
    /// Whether somebody whom a provider knows, and who has no account, gets one.
    pub may_register: bool,
    /// Where people can sign in beside here.
    pub providers: Vec<Provider>,
    /// Where this server is reached from outside, for links and for providers: `https://haul.example.gov`, without a slash at its end. Cookies are `Secure` where it is https.
    pub base: String,
}

/// Somebody else who knows people: GitHub, or any provider of OpenID Connect.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in addresses and on the page: `github`, `example`.
    pub name: String,
    /// What it speaks, and where.
    pub kind: ProviderKind,
    /// Our id there.
    pub client_id: String,
    /// Our word there.
    pub client_secret: Secret,
}

/// What a provider speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect: everything else is asked of the issuer.
    OpenId {
        /// The issuer's address: `https://accounts.example.gov`.
        issuer: String,
    },
    /// GitHub's own OAuth 2; [`ProviderKind::github`] is the one that everybody knows.
    GitHub {
        /// Where people are: `https://github.com`.
        site: String,
        /// Where programs are: `https://api.github.com`; of an enterprise server, `{site}/api/v3`.
        api: String,
    },
}

impl ProviderKind {
    /// github.com.
    pub fn github() -> Self {
        Self::GitHub {
            site: "https://github.com".to_owned(),
            api: "https://api.github.com".to_owned(),
        }
    }
}

/// Whose everything is where nobody signs in.
const LOCAL: &str = "local";

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Visitor {
    /// Nobody signs in here: everything is allowed.
    Anyone,
    /// Nobody that is known.
    Nobody,
    /// Somebody who is signed in.
    Person(Account),
    /// A program with a key.
    Program(ApiKey),
}

impl Visitor {
    async fn of(headers: &HeaderMap, app: &App) -> Result<Self, Problem> {
        if !app.access.accounts {
            return Ok(Self::Anyone);
        }
        let registry = app.runner.registry();
        if let Some(token) = key(headers) {
            let key = registry.key(token, clock::now()).await?;
            return key.map(Self::Program).ok_or_else(Problem::unknown_key);
        }
        let Some(token) = cookie::SESSION.read(&app.access, headers) else {
            return Ok(Self::Nobody);
        };
        let session = registry.session(&Secret::new(token), clock::now()).await?;
        Ok(session.map_or(Self::Nobody, |session| Self::Person(session.account)))
    }

    /// Whose things this visitor makes: `local` where nobody signs in.
    pub(crate) fn owner(&self) -> Result<OwnerName, Problem> {
        match self {
            Self::Anyone => OwnerName::new(LOCAL).map_err(Problem::from),
            Self::Nobody => Err(Problem::unknown_visitor()),
            Self::Person(account) => Ok(account.name.clone()),
            Self::Program(key) => Ok(key.owner.clone()),
        }
    }

    /// Refuses (401 or 403, with what to do) unless this visitor may do `scope` with what belongs to `owner`.
    pub(crate) async fn must(&self, app: &App, scope: Scope, owner: &OwnerName) -> Result<(), Problem> {
        if self.may(app, scope, owner).await? {
            return Ok(());
        }
        let detail = match self {
            Self::Nobody => return Err(Problem::unknown_visitor()),
            Self::Program(key) if !key.scopes.contains(&scope) => {
                let scope = name_of(scope);
                format!("this key has not the scope {scope:?}; make one that has, on your account's page")
            }
            _ => format!("only {owner}, members of it and operators may do this; ask one of them"),
        };
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// Whether this visitor may do `scope` with what belongs to `owner`.
    pub(crate) async fn may(&self, app: &App, scope: Scope, owner: &OwnerName) -> Result<bool, Problem> {
        let holder = match self {
            Self::Anyone => return Ok(true),
            Self::Nobody => return Ok(false),
            Self::Program(key) if !key.scopes.contains(&scope) => return Ok(false),
            Self::Program(key) => match holder(app, key).await? {
                Some(account) => account,
                None => return Ok(scope == Scope::Data || is_same(&key.owner, owner)),
            },
            Self::Person(account) => account.clone(),
        };
        if scope == Scope::Data {
            return Ok(true);
        }
        Ok(app.runner.registry().may_manage(&holder, owner).await?)
    }

    /// Refuses unless this visitor may do everything: an operator, or a program of one that may manage.
    pub(crate) async fn must_operate(&self, app: &App) -> Result<(), Problem> {
        let is_operator = match self {
            Self::Anyone => true,
            Self::Nobody => return Err(Problem::unknown_visitor()),
            Self::Person(account) => account.is_operator,
            Self::Program(key) if !key.scopes.contains(&Scope::Manage) => false,
            Self::Program(key) => holder(app, key).await?.is_some_and(|account| account.is_operator),
        };
        if is_operator {
            return Ok(());
        }
        let detail =
            "only operators may do this; a program needs an operator's key with the scope \"manage\"";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

/// The account that a key belongs to; none where it belongs to an organisation. (Keys of disabled accounts are none.)
async fn holder(app: &App, key: &ApiKey) -> Result<Option<Account>, Problem> {
    match app.runner.registry().account(&key.owner).await {
        Ok(account) => Ok(Some(account)),
        Err(RegistryError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Names that differ by case only are the same name.
pub(crate) fn is_same(one: &OwnerName, other: &OwnerName) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// Every scope, as it is written.
pub(crate) const SCOPES: [(Scope, &str); 3] = [
    (Scope::Data, "data"),
    (Scope::Run, "run"),
    (Scope::Manage, "manage"),
];

fn name_of(scope: Scope) -> &'static str {
    let named = SCOPES.iter().find(|(known, _)| *known == scope);
    named.map_or("", |(_, name)| name)
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        // A page asks for its visitor and for its frame, which names them.
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let visitor = Self::of(&parts.headers, app).await?;
        parts.extensions.insert(visitor.clone());
        Ok(visitor)
    }
}

/// The key that a program sent along.
pub(crate) fn key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("x-api-key")
        .or_else(|| {
            let (scheme, token) = text(header::AUTHORIZATION.as_str())?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        })
        .map(str::trim)
}
