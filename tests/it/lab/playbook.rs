//! A team's own playbook, which takes the image reference and replaces a container: what it gives, and what not.

use super::support::lab::root;
use super::support::site::{Site, access, head, host_line};

/// What such a team has: stop, start, wait. It knows nothing of relman but the names of some variables.
const PLAYBOOK: &str = include_str!("../../fixtures/playbook/replace.yml");

/// Its host has an engine by other means than relman's.
const SITE: &str = "- name: Engine
  hosts: all
  become: true
  gather_facts: true
  gather_subset: [min]
  roles:
    - role: docker

- name: Replace
  ansible.builtin.import_playbook: replace.yml
";

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_team_s_own_playbook_deploys_and_rolls_back() {
    let site = Site::separate("team", |lab| {
        format!(
            "{}\n[environments.production]\nvia = \"playbook\"\nplaybook = \"deploy/site.yml\"\n{}\nhosts = [{}]\n",
            head(lab, "team"),
            access(lab),
            host_line(lab, 2)
        )
    });
    let directory = site.repository().join("deploy");
    std::fs::create_dir_all(&directory).expect("it can be made");
    std::fs::write(directory.join("site.yml"), SITE).expect("it can be written");
    std::fs::write(directory.join("replace.yml"), PLAYBOOK).expect("it can be written");
    std::os::unix::fs::symlink(root().join("ansible/roles"), directory.join("roles")).expect("it is new");
    site.git(&["add", "--all"]);
    site.git(&["commit", "--quiet", "--message", "feat: our own playbook"]);

    site.relman(&["deploy"]).expect(0);
    let first = site.serving();
    assert_eq!(version(&site), first);
    site.change_harmless("feat: another");
    site.relman(&["deploy"]).expect(0);
    let second = site.serving();
    assert_eq!(version(&site), second);
    site.relman(&["rollback", "--reason", "the team wants it back"]).expect(0);
    assert_eq!(site.serving(), first);
    assert_eq!(version(&site), first);

    // It comes back by the same playbook, with the release of before.
    site.relman(&["unhold", "--reason", "on we go"]).expect(0);
    site.change("feat: broken", "web/health.py", "return []", "return [\"broken\"]");
    let failed = site.relman(&["deploy"]);
    assert!(matches!(failed.code, Some(3 | 4)), "{failed:#?}");
    assert_eq!(version(&site), first, "the playbook ran again with the return point");
    site.relman(&["verify"]).expect(0);
    // What it cannot give is said, not made up: nobody looked at the host.
    let status = site.relman(&["status"]).expect(0);
    let honest = ["playbook", "not observed", "unknown"];
    assert!(honest.iter().any(|word| status.stdout.contains(word)), "{}", status.stdout);
    site.lab.on_host(2, "docker rm --force web >/dev/null");
}

fn version(site: &Site) -> String {
    let answer = site.lab.on_host(2, "curl -fsS http://127.0.0.1:8000/version");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("it answers JSON");
    answer["version"].as_str().expect("with a version").to_owned()
}
