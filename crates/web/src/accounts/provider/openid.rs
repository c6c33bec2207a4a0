//! OpenID Connect (Core 1.0), with discovery: the issuer says where everything else is.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreTokenResponse,
};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use url::Url;

use super::http::Http;
use super::ticket::Ticket;
use super::{Known, no_answer};
use crate::problem::Problem;
use crate::visitor::Provider;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Signatures that we take: those that only the provider can make. What is made with our shared secret (HS256) is not among them.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Asked anew each time: providers change their keys, and people sign in rarely.
async fn client(http: &Http, provider: &Provider, issuer: &str, back: String) -> Result<Client, Problem> {
    let failed = |error: &dyn std::error::Error| no_answer(provider, error);
    let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|error| failed(&error))?;
    let back = RedirectUrl::new(back).map_err(|error| failed(&error))?;
    let metadata = CoreProviderMetadata::discover_async(issuer, http).await;
    let client = CoreClient::from_provider_metadata(
        metadata.map_err(|error| failed(&error))?,
        ClientId::new(provider.client_id.clone()),
        Some(ClientSecret::new(provider.client_secret.reveal().to_owned())),
    );
    Ok(client.set_redirect_uri(back))
}

/// Where somebody signs in.
pub(super) async fn place(
    http: &Http,
    provider: &Provider,
    issuer: &str,
    back: String,
    (challenge, state, nonce): (PkceCodeChallenge, CsrfToken, Nonce),
) -> Result<Url, Problem> {
    let client = client(http, provider, issuer, back).await?;
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let request = client.authorize_url(flow, move || state, move || nonce);
    let (place, ..) = request
        .add_scope(Scope::new("profile".to_owned()))
        .add_scope(Scope::new("email".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    Ok(place)
}

/// Who came back with this code.
pub(super) async fn known(
    http: &Http,
    provider: &Provider,
    issuer: &str,
    back: String,
    ticket: &Ticket,
    code: &str,
) -> Result<Known, Problem> {
    let client = client(http, provider, issuer, back).await?;
    let failed = |error: &dyn std::error::Error| no_answer(provider, error);
    let tokens = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .map_err(|error| failed(&error))?
        .set_pkce_verifier(PkceCodeVerifier::new(ticket.verifier.clone()))
        .request_async(http)
        .await
        .map_err(|error| failed(&error))?;
    let claims = verified(&client, &tokens, ticket).map_err(|error| failed(&error))?;
    Ok(described(claims))
}

/// Why an identity token is not believed.
#[derive(Debug, thiserror::Error)]
enum Unbelievable {
    #[error("there is no identity token")]
    Missing,
    #[error("the identity token is not believed")]
    Claims(#[from] openidconnect::ClaimsVerificationError),
}

/// Signed by the issuer, for us, not too old, and for this very sign-in.
fn verified<'a>(
    client: &Client,
    tokens: &'a CoreTokenResponse,
    ticket: &Ticket,
) -> Result<&'a CoreIdTokenClaims, Unbelievable> {
    let token = tokens.id_token().ok_or(Unbelievable::Missing)?;
    let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
    Ok(token.claims(&verifier, &Nonce::new(ticket.nonce.clone()))?)
}

fn described(claims: &CoreIdTokenClaims) -> Known {
    let subject = claims.subject().to_string();
    let email = claims.email().map(|email| email.to_string());
    let before_at = |email: &String| email.split('@').next().map(str::to_owned);
    let name = claims.preferred_username().map(|name| name.to_string());
    Known {
        name: name
            .or_else(|| email.as_ref().and_then(before_at))
            .unwrap_or_else(|| subject.clone()),
        email: email.filter(|_| claims.email_verified() == Some(true)),
        subject,
    }
}
