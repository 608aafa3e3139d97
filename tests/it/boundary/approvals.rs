//! Who approves, where GitHub should say it and does not.

use super::Case;
use super::server::{Plan, Reply};

const APPROVE: &[&str] = &["approve", "production#1"];
const TRUSTED: &str = "[ledger]\nurl = \"sqlite:ledger.db\"\n[identity.github]\nrepository = \"acme/web\"\nissuer = \"http://127.0.0.1:PORT\"\n[environments.production]\nhosts = [{ name = \"web-1\", address = \"127.0.0.1\" }]\n";

fn rule(approvers: &str) -> String {
    format!("{TRUSTED}approval = {{ needed = 1, four_eyes = true, approvers = [{approvers}] }}\n")
}

/// In a job that may ask for a token, which is `token`.
fn job(name: &'static str, token: &str, code: i32, says: &[&'static str]) -> Case {
    let plan: Plan = vec![
        ("GET api-version", Reply::Json(200, format!("{{\"value\":\"{token}\"}}"))),
        ("GET", Reply::Json(200, "{\"keys\":[]}".to_owned())),
    ];
    Case::new(name, APPROVE, code, says)
        .config(rule("\"oidc:bob/7\""))
        .aws(plan)
        .with("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:PORT/token?api-version=2.0")
        .with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", super::SECRETS[1])
}

pub(super) fn cases() -> Vec<Case> {
    // Headers of {"alg":"none"} and {"alg":"RS256","kid":"k"}.
    let (none, signed) = ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ");
    let bad = |name, config: String, says: &[&'static str]| Case::new(name, APPROVE, 2, says).config(config);
    vec![
        job("a token that is none", "hello", 6, &["proves nothing", "it is no JWT", "identity.github"]),
        job(
            "a token that nobody signed",
            &format!("{none}.e30."),
            6,
            &["proves nothing", "not signed with RS256"],
        ),
        job(
            "a token by a key that is not the issuer's",
            &format!("{signed}.e30.AAAA"),
            6,
            &["proves nothing", "http://127.0.0.1:", "no key of its name"],
        ),
        job(
            "GitHub gives no token",
            "",
            1,
            &["127.0.0.1 does not say who started this job", "it answered 403"],
        )
        .aws(vec![("GET", Reply::Page(403))]),
        job("GitHub answers with a page", "", 1, &["127.0.0.1 does not say", "does not read"])
            .aws(vec![("GET", Reply::Page(200))]),
        job("a token is asked for in the clear", "", 6, &["ACTIONS_ID_TOKEN_REQUEST_URL is not https"])
            .with("ACTIONS_ID_TOKEN_REQUEST_URL", "http://token.example/?api-version=2.0"),
        Case::new(
            "four eyes, and nobody vouches for the first pair",
            &["deploy", "v1.0.0"],
            6,
            &["who starts this deploy is not proven", "in a job of GitHub Actions", "id-token: write"],
        )
        .config(rule("")),
        bad(
            "people by AWS and by GitHub",
            rule("\"oidc:bob/7\", \"sts:arn:aws:iam::1:user/bob\""),
            &["environments.production.approval.approvers", "one person"],
        ),
        bad(
            "people by GitHub without their ids",
            rule("\"oidc:bob\""),
            &["approvers[0]", "gh api users/LOGIN --jq .id"],
        ),
        bad(
            "people by GitHub, of no repository",
            rule("\"oidc:bob/7\"").replace(
                "[ledger]\nurl = \"sqlite:ledger.db\"\n[identity.github]\nrepository = \"acme/web\"\nissuer = \"http://127.0.0.1:PORT\"\n",
                "",
            ),
            &["approval.approvers", "no [identity.github]"],
        ),
        bad(
            "an issuer in the clear",
            rule("").replace("http://127.0.0.1:PORT\"", "http://issuer.example\""),
            &["identity.github.issuer", "https://HOST"],
        ),
    ]
}
