//! What a host pulls with: a helper that is named for the registry, and tokens that the roles bring.

use std::io::Write as _;

use super::support::host::answering;
use super::support::random;
use super::support::site::{Site, access, head, host_line};

/// Gives a login, and writes down for whom and as whom it was asked. A registry without logins takes any.
const HELPER: &str = r#"read -r server; echo "$1 $server $(id -un) $HOME" >>/root/asked; printf '{"Username":"u","Secret":"p"}'"#;

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_host_asks_the_helper_of_its_registry_whenever_it_pulls() {
    let canary = random();
    // Of mode 0600, as the role wants it.
    let mut token = tempfile::NamedTempFile::new().expect("there is a place for a file");
    writeln!(token, "{canary}").expect("the token is written");
    let site = Site::separate("logins", |lab| {
        format!(
            "{}\n[environments.production]\nvia = \"ansible\"\ndrain_seconds = 3\n{}\nhosts = [{}]\n\n\
             [ansible.vars.docker_registry_helpers]\n\"{}\" = \"lab\"\n\n\
             [ansible.vars.docker_registry_tokens.\"https://index.docker.io/v1/\"]\nuser = \"acme\"\nfile = \"{}\"\n",
            head(lab, "logins"),
            access(lab),
            host_line(lab, 2),
            lab.registry,
            token.path().display()
        )
    });
    let lab = &site.lab;
    lab.script(&["fresh", "host2"]);

    // The helper is not there: nothing serves, and the error says what is missing where, and what to do.
    let failed = site.relman(&["deploy", "--verbose"]);
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    for told in ["docker-credential-lab", "is in none of /usr/local/bin, /usr/bin", &lab.registry] {
        assert!(failed.stderr.contains(told), "{told}: {}", failed.stderr);
    }
    assert_eq!(answering(lab, 2), None);

    let file = "/usr/local/bin/docker-credential-lab";
    let helper = HELPER.replace('\'', r"'\''");
    lab.on_host(2, &format!("printf '#!/bin/sh\\n%s\\n' '{helper}' >{file}; chmod 0755 {file}"));
    let done = site.relman(&["deploy", "--verbose"]).expect(0);
    assert_eq!(answering(lab, 2).as_deref(), Some("0.1.0"));
    let asked = lab.on_host(2, "cat /root/asked");
    assert_eq!(asked.trim(), format!("get {} root /root", lab.registry));

    // The token of the other registry is in one file, for root alone, and in nothing that relman says or keeps.
    let facts = lab.on_host(2, "stat -c '%a %U' /root/.docker/config.json; cat /root/.docker/config.json");
    assert!(facts.starts_with("600 root\n") && facts.contains("https://index.docker.io/v1/"), "{facts}");
    let shown = site.relman(&["show", "production#2", "--logs", "-o", "json"]).expect(0);
    let journal = lab.on_host(2, "journalctl --no-pager");
    for text in [&failed.stdout, &failed.stderr, &done.stdout, &done.stderr, &shown.stdout, &journal] {
        assert!(!text.contains(&canary), "the token is told");
    }
}
