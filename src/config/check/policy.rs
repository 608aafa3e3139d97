//! Order, approvals and freezes of an environment.

use std::collections::BTreeSet;

use super::{Problems, ensure, is_clean, range};
use crate::config::Config;
use crate::domain::id::EnvironmentName;

/// What an environment asks for before a deploy may start.
pub(super) fn check(at: &str, name: &EnvironmentName, config: &Config, found: &mut Problems) {
    let Some(environment) = config.environments.get(name) else { return };
    if let Some(first) = &environment.after {
        ensure(found, &format!("{at}.after"), config.environments.contains_key(first), || {
            format!("there is no [environments.{first}]")
        });
        // A chain that comes back to where it began would let nothing through.
        let mut seen = BTreeSet::from([name]);
        let mut next = Some(first);
        while let Some(here) = next {
            if !seen.insert(here) {
                found.push((format!("{at}.after"), format!("comes back to {here}")));
                break;
            }
            next = config.environments.get(here).and_then(|environment| environment.after.as_ref());
        }
    }
    if let Some(rule) = &environment.approval {
        range(found, &format!("{at}.approval.needed"), u64::from(rule.needed), 1, 20);
        let people = rule.approvers.len();
        ensure(
            found,
            &format!("{at}.approval.approvers"),
            people == 0 || people >= rule.needed as usize,
            || format!("names {people}, and {} are needed", rule.needed),
        );
        for (n, person) in rule.approvers.iter().enumerate() {
            ensure(found, &format!("{at}.approval.approvers[{n}]"), is_person(person), || {
                "is neither sts:ARN nor oidc:LOGIN/ID (gh api users/LOGIN --jq .id tells the ID)".to_owned()
            });
        }
        // One person may have both, and would count twice.
        let by_github = rule.approvers.iter().filter(|person| person.starts_with("oidc:")).count();
        ensure(found, &format!("{at}.approval.approvers"), by_github == 0 || by_github == people, || {
            "names some by AWS and some by GitHub, and nobody can tell whether two of them are one person"
                .to_owned()
        });
        ensure(
            found,
            &format!("{at}.approval.approvers"),
            by_github == 0 || config.github().is_some(),
            || "names people by GitHub, and there is no [identity.github] with its repository".to_owned(),
        );
    }
    for (n, window) in environment.freeze.iter().enumerate() {
        let at = format!("{at}.freeze[{n}]");
        if let Err(why) = window.check() {
            found.push((at.clone(), why.to_string()));
        }
        let reason = &window.reason;
        let good = !reason.trim().is_empty() && reason.chars().count() <= 200 && is_clean(reason);
        ensure(found, &format!("{at}.reason"), good, || {
            "is empty, too long, or not one plain line".to_owned()
        });
    }
}

/// `sts:ARN` or `oidc:LOGIN/ID`.
fn is_person(text: &str) -> bool {
    if let Some(arn) = text.strip_prefix("sts:") {
        return arn.starts_with("arn:") && arn.len() <= 200 && is_clean(arn);
    }
    let Some((login, id)) = text.strip_prefix("oidc:").and_then(|name| name.split_once('/')) else {
        return false;
    };
    // A program (`NAME[bot]`) is nobody who approves.
    let is_login = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (1..=100).contains(&login.len())
        && login.chars().all(is_login)
        && (1..=20).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_digit())
}

/// Whose jobs GitHub names people in.
pub(super) fn github(config: &Config, found: &mut Problems) {
    let Some(github) = config.github() else { return };
    let at = |key: &str| format!("identity.github.{key}");
    let part = |text: &str| {
        (1..=100).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let good = github.repository.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name));
    ensure(found, &at("repository"), good, || "is not OWNER/NAME".to_owned());
    let good = github
        .repository_id
        .as_ref()
        .is_none_or(|id| (1..=20).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit()));
    ensure(found, &at("repository_id"), good, || "is not a number".to_owned());
    let good = (1..=200).contains(&github.branch.len())
        && is_clean(&github.branch)
        && !github.branch.contains(char::is_whitespace)
        && !github.branch.starts_with("refs/");
    ensure(found, &at("branch"), good, || "is not the name of a branch, such as main".to_owned());
    let file = github.workflow.strip_prefix(".github/workflows/").unwrap_or_default();
    let good = part(file) && (file.ends_with(".yml") || file.ends_with(".yaml"));
    ensure(found, &at("workflow"), good, || "is not .github/workflows/FILE.yml".to_owned());
    let issuer = &github.issuer;
    let is_near = issuer.starts_with("http://127.0.0.1:");
    let good = (issuer.starts_with("https://") || is_near)
        && issuer.len() <= 200
        && is_clean(issuer)
        && !issuer.ends_with('/')
        && !issuer.contains(['?', '#', '@', ' ']);
    ensure(found, &at("issuer"), good, || {
        "is not https://HOST[/PATH], without a slash at its end".to_owned()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(production: &str) -> Vec<String> {
        let text = format!(
            "[service]\nname = \"web\"\n[image]\nrepository = \"registry.example/web\"\n[run]\nport = 8000\n\
             [environments.staging]\nafter = \"production\"\n[environments.production]\n{production}"
        );
        let config: Config = toml::from_str(&text).unwrap();
        let mut found = Problems::new();
        check("production", &"production".parse().unwrap(), &config, &mut found);
        found.into_iter().map(|(key, why)| format!("{key} {why}")).collect()
    }

    #[test]
    fn a_program_is_no_person() {
        assert!(is_person("oidc:ada_acme/583231"));
        assert!(!is_person("oidc:github-actions[bot]/41898282"));
    }

    #[test]
    fn what_would_let_nothing_through_is_told() {
        for good in [
            "",
            "approval = { needed = 1, approvers = [\"sts:arn:aws:iam::1:user/bob\"] }",
            "freeze = [{ from = \"Fri 16:00\", until = \"Mon 08:00\", zone = \"Europe/Berlin\", reason = \"weekend\" }]",
        ] {
            assert_eq!(found(good), Vec::<String>::new(), "{good}");
        }
        for (bad, key) in [
            ("after = \"staging\"", "production.after comes back"),
            ("after = \"nowhere\"", "production.after there is no"),
            ("approval = { needed = 0 }", "production.approval.needed"),
            (
                "approval = { needed = 2, approvers = [\"sts:arn:aws:iam::1:user/bob\"] }",
                "production.approval.approvers",
            ),
            (
                "approval = { needed = 1, approvers = [\"oidc:bob/7\"] }",
                "production.approval.approvers names people by GitHub",
            ),
            ("approval = { needed = 1, approvers = [\"bob\"] }", "production.approval.approvers[0]"),
            (
                "freeze = [{ from = \"Fri 16:00\", until = \"Fri 16:00\", reason = \"x\" }]",
                "production.freeze[0]",
            ),
            (
                "freeze = [{ from = \"Fri 16:00\", until = \"Sat 16:00\", reason = \" \" }]",
                "production.freeze[0].reason",
            ),
        ] {
            let told = found(bad);
            assert!(told.len() == 1 && told[0].starts_with(key), "{bad}: {told:?}");
        }
    }
}
