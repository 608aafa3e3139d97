//! Git tags of releases: put once, never moved.

use std::cell::RefCell;

use git2::{Direction, ErrorCode, ObjectType, PushOptions, RemoteCallbacks, Signature, Time};

use super::{GitError, Repository};
use crate::domain::id::CommitSha;
use crate::domain::time::Timestamp;
use crate::host::wire::Secret;

/// A token for pushing over https; given to this host alone and kept nowhere.
#[derive(Debug, Clone)]
pub struct PushToken {
    /// The host of the remote, `github.com`.
    pub host: String,
    /// The token.
    pub token: Secret,
}

/// What became of a tag, in this clone or at the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It was put.
    New,
    /// It was there, for the same commit.
    Present,
    /// It names another commit, and was left alone.
    Conflict(String),
}

impl Repository {
    /// Puts an annotated tag, if there is none of that name. The message carries the digest.
    ///
    /// # Errors
    /// When the commit is not here or the tag cannot be written.
    pub fn tag(
        &self,
        name: &str,
        commit: &CommitSha,
        message: &str,
        tagger: &str,
        at: Timestamp,
    ) -> Result<Pushed, GitError> {
        let git = self.open()?;
        let oid = self.need(&git, commit)?;
        match git.find_reference(&format!("refs/tags/{name}")) {
            Ok(found) => {
                let found = found.peel_to_commit().map(|c| c.id().to_string()).unwrap_or_default();
                return Ok(if found == commit.as_str() { Pushed::Present } else { Pushed::Conflict(found) });
            }
            Err(e) if e.code() == ErrorCode::NotFound => {}
            Err(e) => return Err(self.error("a tag cannot be read", e)),
        }
        let write = || {
            let when = Time::new(at.utc().timestamp(), 0);
            let clean: String = tagger.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
            let signature = match git.signature() {
                Ok(own) => Signature::new(own.name()?, own.email()?, &when)?,
                // No user.name, as in CI: git wants an address, and there is none to give.
                Err(_) => Signature::new(
                    if clean.trim().is_empty() { "relman" } else { &clean },
                    "relman@localhost",
                    &when,
                )?,
            };
            let object = git.find_object(oid, Some(ObjectType::Commit))?;
            git.tag(name, &object, &signature, message, false)
        };
        write().map_err(|e| self.error("the tag cannot be written", e))?;
        Ok(Pushed::New)
    }

    /// Pushes a tag of this clone, expecting that the remote has none of that name.
    ///
    /// # Errors
    /// When the remote cannot be reached, refuses, or speaks ssh, which relman does not.
    pub fn push_tag(
        &self,
        remote_name: &str,
        name: &str,
        commit: &CommitSha,
        token: Option<&PushToken>,
    ) -> Result<Pushed, GitError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| GitError::Push {
            remote: remote_name.to_owned(),
            tag: name.to_owned(),
            source,
        };
        let git = self.open()?;
        let mut remote = git.find_remote(remote_name).map_err(|e| failed(Box::new(e)))?;
        let url =
            remote.pushurl().ok().flatten().or_else(|| remote.url().ok()).unwrap_or_default().to_owned();
        if !(url.starts_with("https://")
            || url.starts_with("http://")
            || url.starts_with("file://")
            || url.starts_with('/'))
        {
            return Err(failed(
                format!("it is reached over ssh; push it yourself: git push {remote_name} {name}").into(),
            ));
        }
        let reference = format!("refs/tags/{name}");
        // Read first: only the fetch side says which commit an annotated tag names.
        if let Some(found) = listed(&mut remote, &url, token, &reference).map_err(|e| failed(Box::new(e)))? {
            return Ok(if found == commit.as_str() { Pushed::Present } else { Pushed::Conflict(found) });
        }
        let refused = RefCell::new(None);
        let mut callbacks = callbacks(&url, token);
        callbacks.push_update_reference(|_, status| {
            if let Some(status) = status {
                *refused.borrow_mut() = Some(status.to_owned());
            }
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks);
        remote
            .push(&[format!("{reference}:{reference}")], Some(&mut options))
            .map_err(|e| failed(Box::new(e)))?;
        drop(options);
        match refused.into_inner() {
            None => Ok(Pushed::New),
            Some(status) => Err(failed(status.into())),
        }
    }
}

fn listed(
    remote: &mut git2::Remote<'_>,
    url: &str,
    token: Option<&PushToken>,
    reference: &str,
) -> Result<Option<String>, git2::Error> {
    let connection = remote.connect_auth(Direction::Fetch, Some(callbacks(url, token)), None)?;
    let peeled = format!("{reference}^{{}}");
    let mut found = None;
    for head in connection.list()? {
        if head.name() == peeled {
            return Ok(Some(head.oid().to_string()));
        }
        if head.name() == reference {
            found = Some(head.oid().to_string());
        }
    }
    Ok(found)
}

fn callbacks<'a>(url: &'a str, token: Option<&'a PushToken>) -> RemoteCallbacks<'a> {
    let mut asked = false;
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(move |_, _, _| {
        // git2 asks again after a refusal, for ever if it is let.
        let again = std::mem::replace(&mut asked, true);
        match token {
            Some(token) if !again && is_for(token, url) => {
                git2::Cred::userpass_plaintext("x-access-token", token.token.expose())
            }
            Some(token) if is_for(token, url) => Err(git2::Error::from_str("the remote refused the token")),
            _ => Err(git2::Error::from_str(
                "the remote wants a login; set GITHUB_TOKEN, or push the tag yourself",
            )),
        }
    });
    callbacks
}

/// Whether the token may go to this address: https, and the host that it was given for.
fn is_for(token: &PushToken, url: &str) -> bool {
    url.strip_prefix("https://").is_some_and(|rest| {
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.eq_ignore_ascii_case(&token.host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_a_token_goes_to_its_own_host_over_tls_alone() {
        let token = PushToken { host: "github.com".into(), token: Secret::new("hunter2".into()) };
        for (url, goes) in [
            ("https://github.com/a/b", true),
            ("https://x@GitHub.com/a/b", true),
            ("http://github.com/a/b", false),
            ("https://github.com.evil.example/a/b", false),
            ("https://evil.example/github.com", false),
            ("https://github.com@evil.example/a", false),
            ("/srv/git/b.git", false),
        ] {
            assert_eq!(is_for(&token, url), goes, "{url}");
        }
        assert!(!format!("{token:?}").contains("hunter2"));
    }
}
