//! The way by SSH: from a bare host to a rollback, a host key that changed, and a bastion.

use super::support::host::answering;
use super::support::lab::Lab;
use super::support::site::{Site, head};

/// A relman.toml with one host and this access.
fn configuration(lab: &Lab, access: &str, host: &str) -> String {
    format!(
        "{}\n[environments.production]\nvia = \"ssh\"\ndrain_seconds = 2\n{host}\n\n[environments.production.access]\n\
         user = \"{}\"\nkey = \"{}\"\n{access}\n",
        head(lab, "access"),
        lab.user,
        lab.key.display()
    )
}

/// A host at an address, with its pinned key or without.
fn host(lab: &Lab, address: &str, port: &str, key: Option<usize>) -> String {
    let keys = key.map_or(String::new(), |number| format!(", host_keys = [\"{}\"]", lab.host_key(number)));
    format!("hosts = [{{ name = \"host1\", address = \"{address}\", port = {port}{keys} }}]")
}

/// Gives the host back as it was: the scenarios that share a ledger must not find it another one's.
pub(crate) struct Bare<'a>(pub(crate) &'a Lab);

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        self.0.script(&["fresh", "host1"]);
    }
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn deploy_and_rollback_by_ssh_from_a_bare_host() {
    let lab = Lab::up();
    lab.script(&["fresh", "host1"]);
    let _bare = Bare(&lab);
    let site = Site::separate("access", |lab| {
        configuration(lab, "", &host(lab, &lab.hosts[0], &lab.ssh_port, Some(1)))
    });
    // Nothing is there to roll back to, and nothing on the host to ask.
    let early = site.relman(&["doctor"]);
    assert!(early.stdout.contains("the first deploy installs"), "{}", early.stdout);
    site.relman(&["deploy"]).expect(0);
    let first = site.serving();
    let second = site.deploy_new();
    assert_ne!(first, second);
    site.relman(&["rollback", "--reason", "by ssh"]).expect(0);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&first));
    site.relman(&["unhold", "--reason", "the test goes on"]).expect(0);
    site.relman(&["rollback", "--to", &format!("v{second}"), "--via", "ansible", "--yes"]).expect(0);
    site.relman(&["rollback", "--to", &format!("v{first}"), "--via", "ssh", "--reason", "quick"]).expect(0);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&first));
    site.relman(&["unhold", "--reason", "the test is over"]).expect(0);
    site.is_settled();

    // A host that shows another key than it had: nothing reaches it, whatever is asked.
    let pinned = site.lab.host_key(1);
    site.change("fix: another key", "relman.toml", &pinned, &site.lab.host_key(2));
    let refused = site.relman(&["deploy"]).expect(1);
    assert!(refused.stderr.contains("is not among the pinned host_keys"), "{}", refused.stderr);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&first));
    site.change("fix: pin on first use", "relman.toml", &host_keys(&site.lab, 2), "");
    let unknown = site.relman(&["status"]);
    assert!(
        unknown.stdout.contains("is not known") || unknown.stderr.contains("is not known"),
        "{unknown:?}"
    );
    let on_first_use = "[environments.production.access]\nunknown_hosts = \"pin-on-first-use\"";
    site.change("fix: pin it", "relman.toml", "[environments.production.access]", on_first_use);
    site.relman(&["status", "--exit-code"]).expect(0);
    let record = find(&site);
    let text = std::fs::read_to_string(&record).expect("the key was recorded");
    assert!(text.contains(&pinned), "{text}");
    std::fs::write(&record, text.replace(&pinned, &site.lab.host_key(2))).expect("it can be written");
    let changed = site.relman(&["deploy"]).expect(1);
    let command = format!("-f {}", record.display());
    assert!(
        changed.stderr.contains("ssh-keygen -R") && changed.stderr.contains(&command),
        "{}",
        changed.stderr
    );
    std::fs::write(&record, text).expect("it can be written");
    site.relman(&["deploy"]).expect(0);
    site.is_settled();
}

fn host_keys(lab: &Lab, number: usize) -> String {
    format!(", host_keys = [\"{}\"]", lab.host_key(number))
}

fn find(site: &Site) -> std::path::PathBuf {
    let folders = std::fs::read_dir(site.state().join("relman")).expect("the ledger is there");
    let mut found = folders.map(|folder| folder.expect("a folder").path().join("known_hosts"));
    found.find(|path| path.is_file()).expect("known_hosts beside the ledger")
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_host_behind_a_bastion_is_deployed_to_and_rolled_back() {
    let lab = Lab::up();
    lab.script(&["fresh", "host1"]);
    let _bare = Bare(&lab);
    // The address that only the lab's hosts reach: the bastion gets there, this machine need not.
    let inner = lab.on_host(1, "hostname -I").split_whitespace().next().expect("an address").to_owned();
    let site = Site::separate("bastion", |lab| {
        let bastion = format!(
            "bastion = {{ address = \"{}\", port = {}, host_keys = [\"{}\"] }}",
            lab.hosts[1],
            lab.ssh_port,
            lab.host_key(2)
        );
        configuration(lab, &bastion, &host(lab, &inner, "22", Some(1)))
    });
    // Ansible goes through it for the roles, relman for everything else.
    site.relman(&["deploy"]).expect(0);
    let first = site.serving();
    site.deploy_new();
    site.relman(&["rollback", "--reason", "through the bastion"]).expect(0);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&first));
    site.relman(&["unhold", "--reason", "the test is over"]).expect(0);
    site.is_settled();
    let seen = site.lab.on_host(2, "journalctl -u ssh --no-pager | grep -c 'Accepted publickey' || true");
    assert!(seen.trim().parse::<u32>().expect("a number") > 0, "the bastion was used");
}
