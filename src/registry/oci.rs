//! A registry that speaks the OCI distribution specification, over few calls of our own: what comes back is
//! compared with its digest, and being told to wait is obeyed within a budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode};

use super::challenge;
use super::credentials::Credentials;
use super::name::{Name, is_tag};
use super::token::{self, Action};
use super::{Manifest, Registry, RegistryError};
use crate::clock::Clock;
use crate::domain::id::Digest;
use crate::tls;

/// Every kind of manifest; a registry that is not told converts to the oldest.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// The distribution specification lets registries refuse larger manifests; configurations are as small.
const LARGEST: usize = 8 * 1024 * 1024;
/// How long one call may be put off before it is given up.
const BUDGET: Duration = Duration::from_secs(90);

/// A registry behind HTTP.
pub struct OciRegistry {
    http: reqwest::Client,
    credentials: Credentials,
    insecure: bool,
    clock: Arc<dyn Clock>,
    /// `Authorization` by registry, repository and action.
    logins: Mutex<HashMap<(Name, Action), HeaderValue>>,
}

impl std::fmt::Debug for OciRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OciRegistry").field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

struct Call<'a> {
    name: &'a Name,
    method: Method,
    path: String,
    accept: Option<&'static str>,
    body: Option<(&'a str, &'a [u8])>,
}

impl Call<'_> {
    fn action(&self) -> Action {
        if self.method == Method::PUT { Action::Push } else { Action::Pull }
    }

    fn shown(&self) -> String {
        format!("{} {}/{}", self.method, self.name.repository, self.path)
    }
}

impl OciRegistry {
    /// A client. `insecure`: plain HTTP also to registries on other machines.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        credentials: Credentials,
        insecure: bool,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RegistryError> {
        // reqwest drops `Authorization` when a redirect leads to another host or port.
        let redirects = reqwest::redirect::Policy::custom(|attempt| {
            let falls = attempt.url().scheme() == "http"
                && attempt.previous().iter().any(|url| url.scheme() == "https");
            match attempt.previous().len() {
                _ if falls => attempt.error("a redirect from https to http"),
                0..=5 => attempt.follow(),
                _ => attempt.error("too many redirects"),
            }
        });
        let unavailable = |source| RegistryError::Unavailable { registry: "any".to_owned(), source };
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .redirect(redirects)
            .user_agent(concat!("relman/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls::config().map_err(|e| unavailable(Box::new(e)))?)
            .build()
            .map_err(|e| unavailable(Box::new(e)))?;
        Ok(Self { http, credentials, insecure, clock, logins: Mutex::default() })
    }

    async fn send(&self, call: &Call<'_>) -> Result<Response, RegistryError> {
        let key = (call.name.clone(), call.action());
        let denied = || RegistryError::Denied {
            registry: call.name.host.clone(),
            repository: call.name.repository.clone(),
        };
        let start = self.clock.elapsed();
        let (mut asked, mut tries) = (false, 0);
        loop {
            let login = self.logins.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let outcome = self.once(call, login).await;
            match &outcome {
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED && !asked => {
                    asked = true;
                    let login = self.log_in(call, answer.headers()).await?.ok_or_else(denied)?;
                    self.logins.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), login);
                    continue;
                }
                Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => return Err(denied()),
                Ok(answer) if !matches!(answer.status().as_u16(), 429 | 502..=504) => return outcome,
                Err(RegistryError::Unavailable { .. }) | Ok(_) => {}
                Err(_) => return outcome,
            }
            tries += 1;
            let wait = self.wait(tries, outcome.as_ref().ok().map(Response::headers));
            let spent = self.clock.elapsed().saturating_sub(start);
            if tries > 6 || spent + wait > BUDGET {
                return match outcome {
                    Ok(answer) => Err(unavailable(call.name, format!("it answered {}", answer.status()))),
                    error => error,
                };
            }
            self.clock.sleep(wait).await;
        }
    }

    async fn once(&self, call: &Call<'_>, login: Option<HeaderValue>) -> Result<Response, RegistryError> {
        let url = format!("{}/{}", call.name.base(self.insecure), call.path);
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(accept) = call.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login);
        }
        if let Some((media_type, body)) = call.body {
            request = request.header(CONTENT_TYPE, media_type).body(body.to_vec());
        }
        request.send().await.map_err(|e| unavailable(call.name, e.without_url()))
    }

    async fn log_in(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenge::parse(texts) else { return Ok(None) };
        let login = self.credentials.find(&call.name.host).await.map_err(|e| unavailable(call.name, e))?;
        let plain = call.name.base(self.insecure).starts_with("http://");
        token::authorization(&self.http, call.name, &challenge, call.action(), login.as_ref(), plain).await
    }

    /// As long as the registry says, otherwise longer each time, and not all clients at once.
    fn wait(&self, tries: u32, headers: Option<&HeaderMap>) -> Duration {
        let text = headers.and_then(|headers| headers.get(RETRY_AFTER)?.to_str().ok());
        let told = text.and_then(|text| {
            let seconds = text.trim().parse().ok().or_else(|| {
                let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
                let now = self.clock.now().utc();
                u64::try_from((at.with_timezone(&chrono::Utc) - now).num_seconds()).ok()
            })?;
            // More than the budget is given up in any case, and must not overflow.
            Some(Duration::from_secs(seconds).min(BUDGET * 2))
        });
        let step = Duration::from_millis(200 << tries.min(6));
        let chance =
            self.clock.token().as_str().bytes().take(2).fold(0u32, |n, b| n * 16 + u32::from(b % 16));
        told.unwrap_or(step / 2) + step * chance / 512
    }

    async fn fetch(&self, call: Call<'_>) -> Result<Option<(HeaderMap, Vec<u8>)>, RegistryError> {
        let mut answer = self.send(&call).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            _ => return Err(unexpected(&call, answer).await),
        }
        let headers = answer.headers().clone();
        let bytes = read(&mut answer).await.map_err(|e| unavailable(call.name, e))?;
        Ok(Some((headers, bytes)))
    }
}

#[async_trait::async_trait]
impl Registry for OciRegistry {
    async fn resolve(&self, repository: &str, reference: &str) -> Result<Option<Digest>, RegistryError> {
        let name = Name::parse(repository)?;
        let call = manifest_call(&name, Method::HEAD, reference)?;
        let answer = self.send(&call).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            _ => return Err(unexpected(&call, answer).await),
        }
        match content_digest(answer.headers()) {
            Some(found) => {
                check(&name, reference, &found)?;
                Ok(Some(found))
            }
            // No digest, or one of another algorithm: compute it.
            None => Ok(self.manifest(repository, reference).await?.map(|manifest| manifest.digest)),
        }
    }

    async fn manifest(&self, repository: &str, reference: &str) -> Result<Option<Manifest>, RegistryError> {
        let name = Name::parse(repository)?;
        let call = manifest_call(&name, Method::GET, reference)?;
        let Some((headers, bytes)) = self.fetch(call).await? else { return Ok(None) };
        let digest = Digest::of(&bytes);
        check(&name, reference, &digest)?;
        if let Some(told) = content_digest(&headers) {
            check(&name, told.as_str(), &digest)?;
        }
        let header = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = header.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_owned();
        Ok(Some(Manifest { digest, media_type, bytes }))
    }

    async fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        let name = Name::parse(repository)?;
        let path = format!("blobs/{digest}");
        let call = Call { name: &name, method: Method::GET, path, accept: None, body: None };
        let Some((_, bytes)) = self.fetch(call).await? else { return Ok(None) };
        check(&name, digest.as_str(), &Digest::of(&bytes))?;
        Ok(Some(bytes))
    }

    async fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let name = Name::parse(repository)?;
        check(&name, manifest.digest.as_str(), &Digest::of(&manifest.bytes))?;
        let mut call = manifest_call(&name, Method::PUT, tag)?;
        call.accept = None;
        call.body = Some((&manifest.media_type, &manifest.bytes));
        let answer = self.send(&call).await?;
        if !answer.status().is_success() {
            return Err(unexpected(&call, answer).await);
        }
        let found = match content_digest(answer.headers()) {
            Some(found) => Some(found),
            None => self.resolve(repository, tag).await?,
        };
        match found {
            Some(found) if found == manifest.digest => Ok(()),
            Some(found) => Err(RegistryError::WrongDigest {
                registry: name.host,
                asked: manifest.digest.to_string(),
                found,
            }),
            None => Err(unavailable(&name, format!("tag {tag} is not there after it was put"))),
        }
    }
}

fn manifest_call<'a>(name: &'a Name, method: Method, reference: &str) -> Result<Call<'a>, RegistryError> {
    if !is_tag(reference) && reference.parse::<Digest>().is_err() {
        return Err(RegistryError::Repository(format!("{}:{reference}", name.repository)));
    }
    let path = format!("manifests/{reference}");
    Ok(Call { name, method, path, accept: Some(MANIFESTS), body: None })
}

fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// A digest that was asked for by digest must be that one; a tag may have any.
fn check(name: &Name, asked: &str, found: &Digest) -> Result<(), RegistryError> {
    if asked.contains(':') && asked != found.as_str() {
        let (registry, asked) = (name.host.clone(), asked.to_owned());
        return Err(RegistryError::WrongDigest { registry, asked, found: found.clone() });
    }
    Ok(())
}

pub(super) fn unavailable(
    name: &Name,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RegistryError {
    RegistryError::Unavailable { registry: name.host.clone(), source: source.into() }
}

async fn unexpected(call: &Call<'_>, mut answer: Response) -> RegistryError {
    let status = answer.status().as_u16();
    let bytes = read(&mut answer).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(200).collect();
    RegistryError::Answer { registry: call.name.host.clone(), request: call.shown(), status, detail }
}

pub(super) async fn read(answer: &mut Response) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(format!("its answer has more than {LARGEST} bytes").into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn whatever_a_registry_says_of_waiting_is_a_time() {
        let registry = OciRegistry::new(Credentials::default(), false, Arc::new(SystemClock)).unwrap();
        let wait = |text: &'static str| {
            let headers = [(RETRY_AFTER, HeaderValue::from_static(text))].into_iter().collect();
            registry.wait(1, Some(&headers))
        };
        for text in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert!(wait(text) > BUDGET, "{text}");
        }
        for text in ["0", "soon", "-1", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            assert!(wait(text) < Duration::from_secs(2), "{text}");
        }
    }
}
