//! An issuer on loopback, its tokens, and those that are none.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Made for these tests: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER`. It opens nothing.
const KEY: &[u8] = include_bytes!("../../tests/fixtures/oidc/signs.der");
const NOW: i64 = 1_800_000_000;

fn key() -> RsaKeyPair {
    RsaKeyPair::from_der(KEY).unwrap()
}

fn keys(name: &str) -> Value {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key().public_key());
    let (n, e) = (URL_SAFE.encode(public.n), URL_SAFE.encode(public.e));
    json!({"keys": [
        {"kty": "EC", "kid": name, "crv": "P-256", "x": "", "y": ""},
        {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": name, "n": n, "e": e},
    ]})
}

fn signed(header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", URL_SAFE.encode(header.to_string()), URL_SAFE.encode(claims.to_string()));
    let key = key();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE.encode(signature))
}

/// What the issuer answers.
#[derive(Clone)]
struct Answers {
    token: String,
    keys: String,
    /// The keys from the second time on, where they are others.
    later: Option<String>,
    status: &'static str,
    hangs: bool,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    /// Those of an issuer of this name.
    fn good(at: &str) -> Self {
        Self {
            token: json!({"value": signed(&header(), &claims(at)), "count": 1}).to_string(),
            keys: keys("one").to_string(),
            later: None,
            status: "200 OK",
            hangs: false,
            asked: Arc::default(),
        }
    }
}

/// An issuer; its address, which is its name.
async fn issuer(answers: impl FnOnce(&str) -> Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let answers = answers(&at);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                let read = socket.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let line = head.lines().next().unwrap_or_default().to_owned();
                let is_again = answers.asked.lock().unwrap().iter().any(|head| head.contains("jwks"));
                let keys = answers.later.filter(|_| is_again).unwrap_or(answers.keys);
                let body = if line.contains("jwks") { keys } else { answers.token };
                answers.asked.lock().unwrap().push(head);
                if answers.hangs {
                    std::future::pending::<()>().await;
                }
                let length = body.len();
                let more = "Location: http://127.0.0.1:1/\r\nConnection: close";
                let text = format!(
                    "HTTP/1.1 {}\r\nContent-Length: {length}\r\n{more}\r\n\r\n{body}",
                    answers.status
                );
                let _ = socket.write_all(text.as_bytes()).await;
            });
        }
    });
    at
}

fn trusted(issuer: &str) -> Trusted {
    Trusted {
        issuer: issuer.to_owned(),
        repository: "acme/web".to_owned(),
        repository_id: Some("42".to_owned()),
        branch: "main".to_owned(),
        workflow: ".github/workflows/approve.yml".to_owned(),
    }
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "one", "typ": "JWT"})
}

fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": AUDIENCE, "exp": NOW + 300, "nbf": NOW - 60, "repository": "acme/web",
        "repository_id": "42", "ref": "refs/heads/main", "event_name": "workflow_dispatch", "run_attempt": "1",
        "actor": "ada", "actor_id": "583231", "sub": "repo:acme/web:environment:production",
        "workflow_ref": "acme/web/.github/workflows/approve.yml@refs/heads/main",
    })
}

/// What comes of what an issuer at `at` answers.
async fn asked(at: &str, purpose: Purpose) -> Result<Person, OidcError> {
    let job = Job { url: format!("{at}/token?api-version=2.0"), bearer: Secret::new("b3arer".to_owned()) };
    person(&trusted(at), &job, purpose, Timestamp::from_millis(NOW * 1000).unwrap()).await
}

/// The same for a token that `change` made of a good one.
async fn with(purpose: Purpose, change: impl Fn(&mut Value, &mut Value)) -> Result<Person, OidcError> {
    let keys: token::Keys = serde_json::from_value(keys("one")).unwrap();
    let trusted = trusted("https://issuer.example");
    let (mut header, mut claims) = (header(), claims(&trusted.issuer));
    change(&mut header, &mut claims);
    let now = Timestamp::from_millis(NOW * 1000).unwrap();
    token::person(&token::verify(&signed(&header, &claims), &keys, &trusted, now)?, &trusted, purpose)
}

#[tokio::test]
async fn a_job_is_told_who_started_it_and_asks_for_a_token_of_its_own() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let at = issuer(|at| Answers { asked: log.clone(), ..Answers::good(at) }).await;
    let found = asked(&at, Purpose::Decide).await.unwrap();
    assert_eq!((found.login.as_str(), found.id.as_str()), ("ada", "583231"));
    let heads = log.lock().unwrap().clone();
    let [token, keys] = heads.as_slice() else { panic!("{heads:?}") };
    assert!(token.starts_with("GET /token?api-version=2.0&audience=relman "), "{token}");
    assert!(token.contains("b3arer") && keys.starts_with("GET /.well-known/jwks "), "{token} {keys}");
    assert!(!keys.contains("b3arer"), "who gives the keys needs no token");
}

#[tokio::test]
async fn a_good_token_names_its_person_for_either_purpose() {
    let ada = Person { login: "ada".to_owned(), id: "583231".to_owned() };
    for purpose in [Purpose::Start, Purpose::Decide] {
        assert_eq!(with(purpose, |_, _| {}).await.unwrap(), ada);
        assert_eq!(with(purpose, |_, claims| claims["aud"] = json!([AUDIENCE])).await.unwrap(), ada);
        assert_eq!(with(purpose, |_, claims| claims["repository"] = json!("Acme/Web")).await.unwrap(), ada);
    }
    // A push starts something, and decides nothing.
    let other = json!("acme/web/.github/workflows/deploy.yml@refs/heads/main");
    assert_eq!(with(Purpose::Start, |_, claims| claims["workflow_ref"] = other.clone()).await.unwrap(), ada);
    assert_eq!(with(Purpose::Start, |_, claims| claims["event_name"] = json!("push")).await.unwrap(), ada);
}

#[tokio::test]
async fn nobody_becomes_the_starter_by_what_another_does() {
    for (claim, value, told) in [
        ("event_name", "pull_request_target", "neither by a push nor by hand"),
        ("event_name", "issue_comment", "neither by a push nor by hand"),
        ("event_name", "schedule", "neither by a push nor by hand"),
        ("ref", "refs/heads/feature/x", "not the one of the branch main"),
        ("run_attempt", "2", "start it anew"),
        ("actor", "github-actions[bot]", "is a program"),
    ] {
        let error = with(Purpose::Start, |_, claims| claims[claim] = json!(value)).await.expect_err(value);
        assert!(
            matches!(error, OidcError::Refused(_)) && error.to_string().contains(told),
            "{value}: {error}"
        );
    }
}

/// The keys are asked for again where the token's is not among them, once.
#[tokio::test]
async fn a_new_key_is_asked_for_once() {
    for (later, counts) in [(Some(keys("one")), true), (None, false)] {
        let log = Arc::new(Mutex::new(Vec::new()));
        let at = issuer(|at| Answers {
            keys: keys("old").to_string(),
            later: later.map(|keys| keys.to_string()),
            asked: log.clone(),
            ..Answers::good(at)
        })
        .await;
        let found = asked(&at, Purpose::Decide).await;
        assert_eq!(found.is_ok(), counts, "{found:?}");
        assert_eq!(log.lock().unwrap().len(), 3, "a token, the keys, and the keys again");
    }
}

#[tokio::test]
async fn invariant_a_token_that_is_not_wholly_right_proves_nothing() {
    type Change = fn(&mut Value, &mut Value);
    let cases: [(&str, Change, &str); 29] = [
        ("no algorithm", |header, _| header["alg"] = json!("none"), "not signed with RS256"),
        ("that of a shared key", |header, _| header["alg"] = json!("HS256"), "not signed with RS256"),
        ("another of the same key", |header, _| header["alg"] = json!("RS512"), "not signed with RS256"),
        ("more than is known", |header, _| header["crit"] = json!(["exp"]), "(crit)"),
        ("a program", |_, claims| claims["actor"] = json!("github-actions[bot]"), "is a program"),
        ("another key", |header, _| header["kid"] = json!("two"), "no key of its name"),
        ("no key", |header, _| header["kid"] = json!(""), "no key of its name"),
        ("for a cloud", |_, claims| claims["aud"] = json!("sts.amazonaws.com"), "for somebody else"),
        ("for a cloud too", |_, claims| claims["aud"] = json!([AUDIENCE, "other"]), "for somebody else"),
        ("for nobody", |_, claims| claims["aud"] = json!([]), "for somebody else"),
        ("another issuer", |_, claims| claims["iss"] = json!("https://issuer.example.net"), "not from"),
        ("over", |_, claims| claims["exp"] = json!(NOW - 60), "expired"),
        ("over at once", |_, claims| claims["exp"] = json!(i64::MIN), "expired"),
        ("later", |_, claims| claims["nbf"] = json!(NOW + 61), "not good yet"),
        (
            "without an end",
            |_, claims| drop(claims.as_object_mut().unwrap().remove("exp")),
            "claim is missing",
        ),
        ("an end in words", |_, claims| claims["exp"] = json!("soon"), "of another kind"),
        (
            "another repository",
            |_, claims| claims["repository"] = json!("acme/webs"),
            "not of the repository",
        ),
        (
            "a new one of that name",
            |_, claims| claims["repository_id"] = json!("43"),
            "another one than it was",
        ),
        ("nobody", |_, claims| drop(claims.as_object_mut().unwrap().remove("actor")), "claim is missing"),
        ("no id", |_, claims| claims["actor_id"] = json!(""), "names nobody"),
        ("an id that is none", |_, claims| claims["actor_id"] = json!("1/2"), "names nobody"),
        ("a login that is none", |_, claims| claims["actor"] = json!("ada/1\n"), "names nobody"),
        ("by a push", |_, claims| claims["event_name"] = json!("push"), "not started by hand"),
        ("by a comment", |_, claims| claims["event_name"] = json!("issue_comment"), "not started by hand"),
        ("elsewhere", |_, claims| claims["ref"] = json!("refs/tags/main"), "not the one of the branch main"),
        (
            "another workflow",
            |_, claims| claims["workflow_ref"] = json!("acme/web/.github/workflows/ci.yml@refs/heads/main"),
            "not of .github/workflows/approve.yml",
        ),
        (
            "that of a branch",
            |_, claims| claims["workflow_ref"] = json!("acme/web/.github/workflows/approve.yml@refs/heads/x"),
            "not of .github/workflows/approve.yml",
        ),
        (
            "no workflow",
            |_, claims| claims["workflow_ref"] = json!(""),
            "not of .github/workflows/approve.yml",
        ),
        ("again", |_, claims| claims["run_attempt"] = json!("2"), "start it anew"),
    ];
    for (what, change, told) in cases {
        let error = with(Purpose::Decide, change).await.expect_err(what).to_string();
        assert!(error.contains(told), "{what}: {error}");
    }
}

#[test]
fn a_token_whose_letters_were_changed_is_none() {
    let keys: token::Keys = serde_json::from_value(keys("one")).unwrap();
    let trusted = trusted("https://issuer.example");
    let now = Timestamp::from_millis(NOW * 1000).unwrap();
    let good = signed(&header(), &claims(&trusted.issuer));
    token::verify(&good, &keys, &trusted, now).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let other = URL_SAFE.encode(json!({"iss": trusted.issuer, "actor": "eve"}).to_string());
    for bad in [
        String::new(),
        "a.b".to_owned(),
        format!("{good}.{good}"),
        format!("{}.{other}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], URL_SAFE.encode([0; 256])),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        "x".repeat(1_000_000),
    ] {
        let error = token::verify(&bad, &keys, &trusted, now).expect_err("it is none");
        assert!(matches!(error, OidcError::Invalid(_)) && error.to_string().len() < 200, "{error}");
    }
    // One letter of the signature.
    for at in [0, parts[2].len() / 2] {
        let mut signature = parts[2].as_bytes().to_vec();
        signature[at] = if signature[at] == b'A' { b'B' } else { b'A' };
        let bad = format!("{}.{}.{}", parts[0], parts[1], String::from_utf8(signature).unwrap());
        assert!(token::verify(&bad, &keys, &trusted, now).is_err());
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_as_it_should_is_told_by_its_place_alone() {
    type Change = fn(&mut Answers);
    let cases: [(Change, &str); 6] = [
        (|answers| answers.status = "500 No", "it answered 500"),
        (|answers| answers.status = "403 No", "it answered 403"),
        (|answers| answers.status = "302 Found", "it answered 302"),
        (|answers| answers.token = "<html>t0ken".to_owned(), "its answer does not read"),
        (|answers| answers.token = "x".repeat(LONGEST + 1), "its answer is too long"),
        (|answers| answers.token = json!({"value": "t0ken"}).to_string(), "it is no JWT"),
    ];
    for (change, told) in cases {
        let at = issuer(|at| {
            let mut answers = Answers::good(at);
            change(&mut answers);
            answers
        })
        .await;
        let error = asked(&at, Purpose::Decide).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(told) && !text.contains("t0ken") && !text.contains("b3arer"), "{text}");
    }
    let at = issuer(|at| Answers { hangs: true, ..Answers::good(at) }).await;
    tokio::time::pause();
    let error = asked(&at, Purpose::Decide).await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
    let error = asked("http://127.0.0.1:1", Purpose::Decide).await.unwrap_err();
    assert!(error.to_string().contains("no connection"), "{error}");
    let job = Job { url: "http://token.example/".to_owned(), bearer: Secret::new("b3arer".to_owned()) };
    let now = Timestamp::from_millis(0).unwrap();
    let error = person(&trusted("https://x"), &job, Purpose::Start, now).await.unwrap_err();
    assert!(error.to_string().contains("is not https"), "{error}");
}
