//! One token: its signature, whether it is for us and good now, and whom it names. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;

use super::{AUDIENCE, OidcError, Person, Purpose, Trusted};
use crate::domain::time::Timestamp;

/// Seconds by which this machine's clock and the issuer's may differ.
const LEEWAY: i64 = 60;

/// The issuer's keys (RFC 7517).
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// What the issuer says. What is not here is not looked at.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    repository: String,
    repository_id: String,
    #[serde(rename = "ref")]
    git_ref: String,
    event_name: String,
    run_attempt: String,
    actor: String,
    actor_id: String,
    /// `OWNER/NAME/.github/workflows/FILE@REF`.
    workflow_ref: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

fn invalid(why: impl Into<String>) -> OidcError {
    OidcError::Invalid(why.into())
}

impl Keys {
    fn of(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kty == "RSA" && key.kid == name && !name.is_empty())
    }

    /// Whether the key that a token names is not among these: the issuer may have a new one since. Believes nothing of
    /// the token.
    pub(super) fn lack(&self, text: &str) -> bool {
        let head = text.split('.').next().and_then(|head| BASE64_URL_SAFE_NO_PAD.decode(head).ok());
        let header: Option<Header> = head.and_then(|head| serde_json::from_slice(&head).ok());
        header.is_some_and(|header| !header.kid.is_empty() && self.of(&header.kid).is_none())
    }
}

/// Reads a token that the issuer signed for us and that is good now.
pub(super) fn verify(
    text: &str,
    keys: &Keys,
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Claims, OidcError> {
    let parts: Vec<&str> = text.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { return Err(invalid("it is no JWT")) };
    let decode = |part: &str| {
        BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid("a part of it is not base64url"))
    };
    let header: Header =
        serde_json::from_slice(&decode(head)?).map_err(|_| invalid("its header does not read"))?;
    // Never what the token itself would like: the issuer signs with this one.
    if header.alg != "RS256" {
        return Err(invalid("it is not signed with RS256"));
    }
    // RFC 7515, 4.1.11: whoever does not know what it asks for must not accept it.
    if header.crit.is_some() {
        return Err(invalid("its header asks for more than is known here (crit)"));
    }
    let key =
        keys.of(&header.kid).ok_or_else(|| invalid(format!("{} has no key of its name", trusted.issuer)))?;
    let components = RsaPublicKeyComponents { n: decode(&key.n)?, e: decode(&key.e)? };
    components
        .verify(&RSA_PKCS1_2048_8192_SHA256, format!("{head}.{body}").as_bytes(), &decode(signature)?)
        .map_err(|_| invalid(format!("its signature is not that of {}", trusted.issuer)))?;
    let claims: Claims = serde_json::from_slice(&decode(body)?)
        .map_err(|_| invalid("a claim is missing, or of another kind"))?;
    let is_for_us = match &claims.aud {
        Audience::One(one) => one == AUDIENCE,
        // One that somebody else may use as well could have been theirs.
        Audience::Several(several) => matches!(several.as_slice(), [one] if one == AUDIENCE),
    };
    let seconds = Timestamp::from_millis(0).map_or(i64::MAX, |epoch| now.seconds_since(epoch));
    match () {
        () if claims.iss != trusted.issuer => Err(invalid(format!("it is not from {}", trusted.issuer))),
        () if !is_for_us => Err(invalid("it is for somebody else")),
        () if claims.exp.saturating_add(LEEWAY) <= seconds => {
            Err(invalid("it has expired, or this machine's clock is wrong"))
        }
        () if claims.nbf.is_some_and(|nbf| nbf.saturating_sub(LEEWAY) > seconds) => {
            Err(invalid("it is not good yet, or this machine's clock is wrong"))
        }
        () => Ok(claims),
    }
}

/// Whom it names, where it counts for this.
pub(super) fn person(claims: &Claims, trusted: &Trusted, purpose: Purpose) -> Result<Person, OidcError> {
    let refused = |why: String| Err(OidcError::Refused(why));
    if !claims.repository.eq_ignore_ascii_case(&trusted.repository) {
        return refused(format!("the job is not of the repository {}", trusted.repository));
    }
    if trusted.repository_id.as_ref().is_some_and(|id| *id != claims.repository_id) {
        return refused(format!("the repository {} is another one than it was", trusted.repository));
    }
    if !is_login(&claims.actor) || !is_id(&claims.actor_id) {
        return Err(invalid("it names nobody"));
    }
    // Whoever may write a workflow can start another with its job's token (`github-actions[bot]`), and would be two people.
    if claims.actor.ends_with("[bot]") {
        return refused(format!("{} is a program, and people are asked for", claims.actor));
    }
    // What others can bring about in somebody's name proves nothing about them: a comment, a workflow of another branch, an
    // old run. That goes for whoever starts as well: one who can make another the starter approves alone.
    match (purpose, claims.event_name.as_str()) {
        (_, "workflow_dispatch") | (Purpose::Start, "push") => {}
        (Purpose::Start, _) => {
            return refused(
                "the job was started neither by a push nor by hand (workflow_dispatch)".to_owned(),
            );
        }
        (Purpose::Decide, _) => {
            return refused("the job was not started by hand (workflow_dispatch)".to_owned());
        }
    }
    if claims.git_ref != format!("refs/heads/{}", trusted.branch) {
        return refused(format!("its workflow is not the one of the branch {}", trusted.branch));
    }
    // Another workflow may run what others wrote, in the name of whoever started it.
    let (path, at) = claims.workflow_ref.split_once('@').unwrap_or_default();
    let is_ours = path.splitn(3, '/').nth(2) == Some(trusted.workflow.as_str()) && at == claims.git_ref;
    if purpose == Purpose::Decide && !is_ours {
        return refused(format!("the job is not of {}", trusted.workflow));
    }
    // GitHub names whoever started the first attempt, whoever started this one.
    if claims.run_attempt != "1" {
        return refused("the job was run again, and GitHub does not say by whom: start it anew".to_owned());
    }
    Ok(Person { login: claims.actor.clone(), id: claims.actor_id.clone() })
}

/// Logins of GitHub, apps among them (`NAME[bot]`).
pub(super) fn is_login(text: &str) -> bool {
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    (1..=100).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}
