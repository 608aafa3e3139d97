//! What types cannot say about a configuration. Whatever could become an option of ssh or ansible, leave its
//! directory, or be taken for a template is refused here, at the edge.

mod policy;

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::{Access, Config, Environment, Provision, Via};
use crate::domain::run::{RunConfig, RunFault, is_variable};
use crate::host::wire::HostAddress;
use crate::host::wire::address::{is_address, is_document, is_host_key, is_user};

/// Key and reason of each problem.
type Problems = Vec<(String, String)>;

/// Everything that is wrong with a configuration whose file lies in `root`.
pub(super) fn check(config: &Config, root: &Path) -> Problems {
    let mut found = Problems::new();
    check_image(config, &mut found);
    check_run(&config.run, &mut found);
    check_places(config, &mut found);
    let directory = config.ansible.directory.to_string_lossy().into_owned();
    ensure(&mut found, "ansible.directory", is_path(&directory), || UNSAFE_PATH.to_owned());
    ensure(&mut found, "ansible.command", is_path(&config.ansible.command), || UNSAFE_PATH.to_owned());
    for name in config.ansible.vars.keys() {
        let key = format!("ansible.vars.{name}");
        ensure(&mut found, &key, is_variable(name), || RunFault::NotAVariable.to_string());
    }
    range(&mut found, "lease.seconds", config.lease.seconds, 10, 3_600);
    if let Some(name) = &config.service.default_environment {
        let known = config.environments.contains_key(name);
        ensure(&mut found, "service.default_environment", known, || {
            format!("there is no [environments.{name}]")
        });
    }
    policy::github(config, &mut found);
    for (name, environment) in &config.environments {
        let at = format!("environments.{name}");
        check_environment(&at, environment, root, &mut found);
        policy::check(&at, name, config, &mut found);
        check_run_in(&at, config, environment, &mut found);
    }
    found
}

/// What is wrong with the URL of a ledger, if anything.
pub fn ledger_url(url: &str) -> Option<String> {
    let fits = match url.split_once(':') {
        Some(("sqlite", path)) => is_file(path),
        Some(("dynamodb", table)) => is_table(table),
        _ => false,
    };
    (!fits).then(|| "is neither sqlite:PATH nor dynamodb:TABLE".to_owned())
}

/// What is wrong with the URL of an artifact store, if anything.
pub fn artifacts_url(url: &str) -> Option<String> {
    let fits = match url.split_once(':') {
        Some(("file", path)) => is_file(path),
        Some(("s3", place)) => place.strip_prefix("//").is_some_and(is_bucket),
        _ => false,
    };
    (!fits).then(|| "is neither file:PATH nor s3://BUCKET[/PREFIX]".to_owned())
}

fn is_file(path: &str) -> bool {
    !path.is_empty() && is_clean(path)
}

/// `ledger.url` and `artifacts.url`.
fn check_places(config: &Config, found: &mut Problems) {
    let (ledger, artifacts) = (config.ledger.url.as_deref(), config.artifacts.url.as_deref());
    for (key, fault) in
        [("ledger.url", ledger.and_then(ledger_url)), ("artifacts.url", artifacts.and_then(artifacts_url))]
    {
        found.extend(fault.map(|fault| (key.to_owned(), fault)));
    }
    let shared = ledger.is_some_and(|url| url.starts_with("dynamodb:"));
    ensure(found, "artifacts.url", !shared || artifacts.is_some(), || {
        "is missing: a ledger in DynamoDB has no folder beside it; name s3://BUCKET[/PREFIX]".to_owned()
    });
}

fn ensure(found: &mut Problems, key: &str, good: bool, reason: impl FnOnce() -> String) {
    if !good {
        found.push((key.to_owned(), reason()));
    }
}

fn range(found: &mut Problems, key: &str, value: u64, low: u64, high: u64) {
    ensure(found, key, (low..=high).contains(&value), || format!("{value} is not within {low} and {high}"));
}

fn check_image(config: &Config, found: &mut Problems) {
    let image = &config.image;
    ensure(found, "image.repository", is_repository(&image.repository), || {
        "is not REGISTRY[:PORT]/NAME in lower case, without tag or digest".to_owned()
    });
    for (key, path) in [("image.context", &image.context), ("image.dockerfile", &image.dockerfile)] {
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let clean = path.to_str().is_some_and(|path| !path.is_empty() && is_clean(path));
        ensure(found, key, inside && clean, || "is not a path inside the repository".to_owned());
    }
    check_variables("image.build_args", image.build_args.iter(), found);
}

fn check_run(run: &RunConfig, found: &mut Problems) {
    found.extend(run.check().into_iter().map(|p| (format!("run.{}", p.key), p.fault.to_string())));
}

/// What is wrong only with the run configuration that an environment makes: its own variables and secrets.
fn check_run_in(at: &str, config: &Config, environment: &Environment, found: &mut Problems) {
    for problem in config.run_in(environment).check() {
        let secret = problem.key.strip_prefix("secrets.");
        if let Some(name) = secret.filter(|name| environment.secrets.contains_key(*name)) {
            found.push((format!("{at}.secrets.{name}"), problem.fault.to_string()));
            continue;
        }
        let own_file = |name: &str| {
            name.strip_suffix("_FILE").is_some_and(|secret| environment.secrets.contains_key(secret))
        };
        let name = problem
            .key
            .strip_prefix("env.")
            .filter(|name| environment.env.contains_key(*name) || own_file(name));
        if let Some(name) = name {
            found.push((format!("{at}.env.{name}"), problem.fault.to_string()));
        }
    }
}

fn check_environment(at: &str, environment: &Environment, root: &Path, found: &mut Problems) {
    let hosts = &environment.hosts;
    let key = format!("{at}.hosts");
    match (environment.via, &environment.terraform) {
        (Via::Ansible | Via::Ssh | Via::Ssm | Via::Playbook, None) => {
            ensure(found, &key, !hosts.is_empty(), || {
                "names no host; only via = \"local\" and terraform need none".to_owned()
            })
        }
        (Via::Ansible | Via::Ssh | Via::Ssm | Via::Playbook, Some(_)) => {
            ensure(found, &key, hosts.is_empty(), || {
                "names hosts, and so does terraform: one of the two must go".to_owned()
            })
        }
        (Via::Local, terraform) => {
            ensure(found, &key, hosts.len() <= 1, || {
                "names several hosts, and via = \"local\" is this machine alone".to_owned()
            });
            ensure(found, &format!("{at}.terraform"), terraform.is_none(), || {
                "names hosts, and via = \"local\" is this machine alone".to_owned()
            });
        }
    }
    check_terraform(at, environment, found);
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (n, host) in hosts.iter().enumerate() {
        let at = format!("{at}.hosts[{n}]");
        check_host(&at, host, found);
        let is_instance = environment.via != Via::Ssm || is_instance(&host.address);
        ensure(found, &format!("{at}.address"), is_instance, || {
            "is not the id of an instance (i-… or mi-…), which via = \"ssm\" needs".to_owned()
        });
        ensure(found, &format!("{at}.name"), names.insert(&host.name), || {
            format!("{} is there twice", host.name)
        });
        let fresh = addresses.insert((&host.address, host.port));
        ensure(found, &format!("{at}.address"), fresh, || {
            "another host has this address and port".to_owned()
        });
    }
    check_access(&format!("{at}.access"), &environment.access, found);
    let key = format!("{at}.playbook");
    match (&environment.playbook, environment.via) {
        (None, Via::Playbook) => found.push((key, "is missing, and via = \"playbook\" needs it".to_owned())),
        (None, _) => {}
        (Some(path), via) => {
            let good = path.to_str().is_some_and(is_path);
            ensure(found, &key, good, || UNSAFE_PATH.to_owned());
            let there = via != Via::Playbook || root.join(path).is_file();
            ensure(found, &key, !good || there, || format!("{} is no file", root.join(path).display()));
        }
    }
    range(found, &format!("{at}.bake_seconds"), environment.bake_seconds, 0, 86_400);
    range(found, &format!("{at}.failure_budget"), u64::from(environment.failure_budget), 0, 1_000);
    if environment.via == Via::Playbook {
        let at = format!("{at}.wave_size");
        ensure(found, &at, environment.wave_size.is_none() && environment.failure_budget == 0, || {
            "waves and a failure budget need a way that sees what hosts run; your own playbook has `serial`"
                .to_owned()
        });
    }
    range(found, &format!("{at}.drain_seconds"), environment.drain_seconds, 0, 3_600);
}

fn check_terraform(at: &str, environment: &Environment, found: &mut Problems) {
    let Some(terraform) = &environment.terraform else {
        let skips = environment.provision == Provision::Skip;
        return ensure(found, &format!("{at}.provision"), skips, || {
            format!("needs [{at}.terraform], which says what is provisioned")
        });
    };
    let at = format!("{at}.terraform");
    let good = |path: &Path| path.to_str().is_some_and(is_path);
    ensure(found, &format!("{at}.directory"), good(&terraform.directory), || UNSAFE_PATH.to_owned());
    for (n, file) in terraform.var_files.iter().enumerate() {
        ensure(found, &format!("{at}.var_files[{n}]"), good(file), || UNSAFE_PATH.to_owned());
    }
    if let Some(workspace) = &terraform.workspace {
        let good = (1..=90).contains(&workspace.len())
            && workspace.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        ensure(found, &format!("{at}.workspace"), good, || {
            "is no name of a workspace: 1 to 90 letters, digits, - _ and .".to_owned()
        });
    }
}

fn check_host(at: &str, host: &HostAddress, found: &mut Problems) {
    check_place(at, (&host.address, host.port), host.user.as_deref(), &host.host_keys, found);
}

fn check_place(at: &str, place: (&str, u16), user: Option<&str>, keys: &[String], found: &mut Problems) {
    let (address, port) = place;
    ensure(found, &format!("{at}.address"), is_address(address), || {
        "is neither an IP address nor a DNS name".to_owned()
    });
    ensure(found, &format!("{at}.port"), port > 0, || "is 0".to_owned());
    ensure(found, &format!("{at}.user"), user.is_none_or(is_user), || NOT_A_USER.to_owned());
    for (n, line) in keys.iter().enumerate() {
        ensure(found, &format!("{at}.host_keys[{n}]"), is_host_key(line), || {
            "is not TYPE BASE64 as in an OpenSSH public key file".to_owned()
        });
    }
}

fn check_access(at: &str, access: &Access, found: &mut Problems) {
    let user = access.user.as_deref().is_none_or(is_user);
    ensure(found, &format!("{at}.user"), user, || NOT_A_USER.to_owned());
    ensure(
        found,
        &format!("{at}.ssm_document"),
        access.ssm_document.as_deref().is_none_or(is_document),
        || "is no name of a document: 3 to 128 letters, digits, _ . and -".to_owned(),
    );
    if let Some(bastion) = &access.bastion {
        let (at, place) = (format!("{at}.bastion"), (bastion.address.as_str(), bastion.port));
        check_place(&at, place, bastion.user.as_deref(), &bastion.host_keys, found);
    }
    for (key, path) in [("key", &access.key), ("known_hosts", &access.known_hosts)] {
        let good = path.as_ref().is_none_or(|path| path.to_str().is_some_and(is_path));
        ensure(found, &format!("{at}.{key}"), good, || UNSAFE_PATH.to_owned());
    }
}

fn check_variables<'a>(at: &str, all: impl Iterator<Item = (&'a String, &'a String)>, found: &mut Problems) {
    for (name, value) in all {
        let key = format!("{at}.{name}");
        ensure(found, &key, is_variable(name), || RunFault::NotAVariable.to_string());
        ensure(found, &key, !value.contains('\0'), || RunFault::Nul.to_string());
    }
}

const NOT_A_USER: &str = "is not a user name: letters, digits, _ . and -, starting with a letter or _";
const UNSAFE_PATH: &str = "is not a path that ssh and ansible take as it is: letters, digits and _ . / ~ + @ , : = -, not starting with -";

fn is_clean(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// DynamoDB's own rule.
fn is_table(text: &str) -> bool {
    (3..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// S3's rule for names, and a prefix that reads the same in a URL and in a key.
fn is_bucket(text: &str) -> bool {
    let (name, prefix) = text.split_once('/').map_or((text, None), |(name, prefix)| (name, Some(prefix)));
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-=".contains(&b))
    };
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
        && edge(name.bytes().next())
        && edge(name.bytes().next_back())
        && !name.contains("..")
        && prefix.is_none_or(|prefix| prefix.trim_end_matches('/').split('/').all(part))
}

/// Nothing that a shell, ssh (`%h`, `${X}`) or Jinja (`{{`) would expand.
fn is_path(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_alphanumeric() || "_./~+@,:=-".contains(c))
}

/// An instance of EC2 (`i-`), or another machine with an agent (`mi-`).
fn is_instance(text: &str) -> bool {
    let id = text.strip_prefix("mi-").or_else(|| text.strip_prefix("i-")).unwrap_or_default();
    (8..=17).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// `distribution`'s grammar: a registry is told from a path by a dot, a port, or the name localhost.
fn is_repository(text: &str) -> bool {
    let Some((registry, path)) = text.split_once('/') else { return false };
    let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    let registry = is_address(host)
        && !host.contains('_')
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && (host.contains('.') || port.is_some() || host == "localhost");
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let component = |part: &str| {
        let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        part.bytes().next().is_some_and(alnum)
            && part.bytes().next_back().is_some_and(alnum)
            && separators
                .into_iter()
                .all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
    };
    registry && text.len() <= 200 && path.split('/').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text:?} is good");
        }
        for text in bad {
            assert!(!check(text), "{text:?} is bad");
        }
    }

    #[test]
    fn nothing_becomes_an_option_or_a_template() {
        all(
            is_path,
            &["~/.ssh/id_ed25519", "/etc/ssh/known", "keys/a+b", "ä/b"],
            &["", "-F/x", "a b", "a'b", "%h", "${HOME}", "{{x}}", "a\nb", "a\\b", "a`b"],
        );
    }

    #[test]
    fn tables_and_buckets_have_names_that_aws_takes() {
        all(is_table, &["relman-ledger", "a.b_c"], &["", "ab", "a b", "a/b", "a:b", &"x".repeat(256)]);
        all(
            is_bucket,
            &["relman-artifacts-123", "a.b/team/web", "abc/x/", "abc/a=b"],
            &["", "ab", "Abc", "abc-", "a..b", "abc//x", "abc/../x", "abc/x y", "abc/{{x}}", "abc/#x"],
        );
    }

    #[test]
    fn repositories_are_named_in_full() {
        all(
            is_repository,
            &["registry.example/web", "127.0.0.1:5000/team/web", "localhost/a__b/c-d.e"],
            &[
                "web",
                "team/web",
                "registry.example/Web",
                "registry.example/web:1",
                "registry.example/web@x",
                "registry.example/",
                "registry.example/a//b",
                "registry.example/-a",
                "r.example:0/a",
                "http://r.example/a",
            ],
        );
    }
}
