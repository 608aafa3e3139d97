//! Who started a job of GitHub Actions, as GitHub itself signs it
//! (<https://docs.github.com/en/actions/reference/security/oidc>, RFC 7519, RFC 7517).
//!
//! Invariants: nobody is believed whose token was not verified with the issuer's own keys; a token is in no error, no
//! output and no log.

#[cfg(test)]
mod tests;
mod token;

use std::time::Duration;

use serde::Deserialize;

use crate::domain::time::Timestamp;
use crate::host::wire::Secret;
use crate::tls;

/// Whom a token is for. Tokens for a cloud are for that cloud, so none of them can be used here, nor one of ours there.
pub const AUDIENCE: &str = "relman";
/// Longest time that one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest answer, in bytes: GitHub's keys are some ten kilobytes.
const LONGEST: usize = 256 * 1024;

/// Whose tokens count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Who signs: `https://token.actions.githubusercontent.com`, or that of a GitHub Enterprise Server.
    pub issuer: String,
    /// The repository whose jobs count: `OWNER/NAME`.
    pub repository: String,
    /// Its id, which stays with it when it is renamed; and a new one of the old name has another.
    pub repository_id: Option<String>,
    /// The branch whose workflows count.
    pub branch: String,
    /// The workflow by which people decide: `.github/workflows/approve.yml`.
    pub workflow: String,
}

/// Where a job asks for a token of its own.
#[derive(Debug, Clone)]
pub struct Job {
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
    pub url: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub bearer: Secret,
}

/// What somebody is asked to be known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// They started something: by a push, or by hand.
    Start,
    /// They decide something: by hand, for this very job.
    Decide,
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The login. It can be changed, and another may take it then.
    pub login: String,
    /// The id, which stays.
    pub id: String,
}

/// Why it is not known who it is. Never holds a token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// GitHub, or whoever signs, cannot be asked.
    #[error("{place} does not say who started this job: {why}")]
    Unavailable {
        /// Which address.
        place: String,
        /// What happened.
        why: String,
    },
    /// The token is not what it should be.
    #[error("the token of this job proves nothing: {0}")]
    Invalid(String),
    /// It is a good token, and does not count for this.
    #[error("the token of this job does not count here: {0}")]
    Refused(String),
}

/// Asks who started this job.
///
/// # Errors
/// When nobody can be asked, or the answer proves nothing.
pub async fn person(
    trusted: &Trusted,
    job: &Job,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Person, OidcError> {
    #[derive(Deserialize)]
    struct Issued {
        value: String,
    }
    let http = client()?;
    let url = reqwest::Url::parse_with_params(&job.url, [("audience", AUDIENCE)])
        .map_err(|_| OidcError::Invalid("ACTIONS_ID_TOKEN_REQUEST_URL is no URL".to_owned()))?;
    if !is_safe(&url) {
        return Err(OidcError::Invalid("ACTIONS_ID_TOKEN_REQUEST_URL is not https".to_owned()));
    }
    let issued: Issued = get(http.get(url.clone()).bearer_auth(job.bearer.expose()), &url).await?;
    let place = format!("{}/.well-known/jwks", trusted.issuer.trim_end_matches('/'));
    let url = reqwest::Url::parse(&place)
        .map_err(|_| OidcError::Invalid(format!("{place} is no URL (identity.github.issuer)")))?;
    if !is_safe(&url) {
        return Err(OidcError::Invalid("identity.github.issuer is not https".to_owned()));
    }
    let mut keys: token::Keys = get(http.get(url.clone()), &url).await?;
    if keys.lack(&issued.value) {
        // Once: what stands before the issuer may have had the keys from before a new one.
        keys = get(http.get(url.clone()), &url).await?;
    }
    let claims = token::verify(&issued.value, &keys, trusted, now)?;
    token::person(&claims, trusted, purpose)
}

fn client() -> Result<reqwest::Client, OidcError> {
    let failed = |why: String| OidcError::Unavailable { place: "this machine".to_owned(), why };
    reqwest::Client::builder()
        .connect_timeout(LIMIT)
        .timeout(LIMIT)
        // Whoever sends elsewhere would be believed for what elsewhere says.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("relman/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls::config().map_err(|error| failed(error.to_string()))?)
        .build()
        .map_err(|error| failed(error.to_string()))
}

/// Encrypted, or within this machine.
pub fn is_safe(url: &reqwest::Url) -> bool {
    url.scheme() == "https"
        || (url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "[::1]")))
}

async fn get<T: serde::de::DeserializeOwned>(
    request: reqwest::RequestBuilder,
    url: &reqwest::Url,
) -> Result<T, OidcError> {
    // Its query may say more than should be seen.
    let place = url.host_str().unwrap_or_default().to_owned();
    let unavailable = |why: &str| OidcError::Unavailable { place: place.clone(), why: why.to_owned() };
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => unavailable("no answer in time"),
        false => unavailable(if error.is_connect() { "no connection" } else { "the connection broke" }),
    };
    let mut answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(unavailable(&format!("it answered {}", answer.status())));
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&part);
        if body.len() > LONGEST {
            return Err(unavailable("its answer is too long"));
        }
    }
    // What serde says has parts of the answer in it.
    serde_json::from_slice(&body).map_err(|_| unavailable("its answer does not read"))
}
