//! Answers a registry's challenge: user and password, or a token from its token server.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::RegistryError;
use super::challenge::Challenge;
use super::credentials::Login;
use super::name::Name;
use super::oci::{read, unavailable};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Reading.
    Pull,
    /// Writing, which reads as well.
    Push,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The `Authorization` that satisfies the challenge; none when there is nothing to satisfy it with. `plain`: the
/// registry itself is reached without TLS, so its token server may be as well.
pub(super) async fn authorization(
    http: &reqwest::Client,
    name: &Name,
    challenge: &Challenge,
    action: Action,
    login: Option<&Login>,
    plain: bool,
) -> Result<Option<HeaderValue>, RegistryError> {
    match (challenge, login) {
        (Challenge::Basic, Some(Login::Basic { user, password })) => {
            let request = http.get("http://localhost/").basic_auth(user, Some(password.expose()));
            let built = request.build().map_err(|e| unavailable(name, e.without_url()))?;
            Ok(built.headers().get(AUTHORIZATION).cloned().map(hidden))
        }
        (Challenge::Basic, _) => Ok(None),
        (Challenge::Bearer { realm, service, scope }, login) => {
            let url = reqwest::Url::parse(realm)
                .map_err(|_| unavailable(name, "its token server has no address"))?;
            if url.scheme() != "https" && !(plain && url.scheme() == "http") {
                return Err(unavailable(name, "its token server is not reached over https"));
            }
            let wanted = match action {
                Action::Pull => format!("repository:{}:pull", name.repository),
                Action::Push => format!("repository:{}:pull,push", name.repository),
            };
            let scope = scope.clone().unwrap_or(wanted);
            fetch(http, name, url, service.as_deref(), &scope, login).await
        }
    }
}

async fn fetch(
    http: &reqwest::Client,
    name: &Name,
    mut url: reqwest::Url,
    service: Option<&str>,
    scope: &str,
    login: Option<&Login>,
) -> Result<Option<HeaderValue>, RegistryError> {
    let mut fields = vec![("scope", scope)];
    fields.extend(service.map(|service| ("service", service)));
    let request = match login {
        Some(Login::Identity(token)) => {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "relman"),
                ("refresh_token", token.expose()),
            ]);
            let mut form = url.clone();
            form.set_query(None);
            form.query_pairs_mut().extend_pairs(fields);
            let body = form.query().unwrap_or_default().to_owned();
            http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
        }
        login => {
            url.query_pairs_mut().extend_pairs(fields);
            let request = http.get(url);
            match login {
                Some(Login::Basic { user, password }) => request.basic_auth(user, Some(password.expose())),
                _ => request,
            }
        }
    };
    let mut answer = request.send().await.map_err(|e| unavailable(name, e.without_url()))?;
    if matches!(answer.status().as_u16(), 400..=403) {
        return Ok(None);
    }
    if !answer.status().is_success() {
        return Err(unavailable(name, format!("its token server answered {}", answer.status())));
    }
    let bytes = read(&mut answer).await.map_err(|e| unavailable(name, e))?;
    let text =
        serde_json::from_slice::<Answer>(&bytes).ok().and_then(|answer| answer.token.or(answer.access_token));
    let header = text.and_then(|text| HeaderValue::try_from(format!("Bearer {text}")).ok());
    header
        .map(|header| Some(hidden(header)))
        .ok_or_else(|| unavailable(name, "its token server gave no token"))
}

fn hidden(mut header: HeaderValue) -> HeaderValue {
    header.set_sensitive(true);
    header
}
