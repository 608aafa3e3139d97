//! From a bare host to a serving one, hardened on the way, and that doing it again changes nothing.

use super::support::host::{self, answering};
use super::support::lab::Lab;
use super::support::site::{Site, access, head, host_line};

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_bare_host_becomes_one_that_serves_and_a_second_run_changes_nothing() {
    let site = Site::separate("bare", |lab| {
        format!(
            "{}\n[environments.production]\nvia = \"ansible\"\ndrain_seconds = 3\n{}\nhosts = [{}]\n\n\
             [ansible.vars]\nhardening_enabled = true\nhardening_upgrades_hold = [\"haproxy\"]\n",
            head(lab, "bare"),
            access(lab),
            host_line(lab, 2)
        )
    });
    let lab = &site.lab;
    lab.script(&["fresh", "host2"]);
    let missing = lab.on_host(2, "for tool in docker haproxy relman-host; do command -v $tool || true; done");
    assert_eq!(missing.trim(), "", "the host is bare");

    site.relman(&["deploy"]).expect(0);
    assert_eq!(site.serving(), "0.1.0");
    assert_eq!(answering(lab, 2).as_deref(), Some("0.1.0"));
    host::is_clean(lab, 2);
    site.relman(&["verify", "--live"]).expect(0);
    is_hardened(lab);

    // What relman thinks the host is configured as, is forgotten: the roles run in full once more.
    let fingerprint = "find /etc /usr/local /lib/systemd/system -xdev -type f -newer /tmp/before ! -path /etc/relman/configured";
    lab.on_host(2, "rm /etc/relman/configured; touch /tmp/before; sleep 1.1");
    let booted =
        lab.on_host(2, "systemctl show -p ActiveEnterTimestampMonotonic docker haproxy ssh systemd-journald");
    site.change_harmless("fix: a second run");
    site.relman(&["deploy"]).expect(0);
    assert_eq!(lab.on_host(2, fingerprint).trim(), "", "files that a second run of the roles wrote");
    let after =
        lab.on_host(2, "systemctl show -p ActiveEnterTimestampMonotonic docker haproxy ssh systemd-journald");
    assert_eq!(after, booted, "nothing was started anew");
    assert_eq!(answering(lab, 2).as_deref(), Some("0.1.1"));
    lab.on_host(2, "rm /tmp/before");
}

/// As it counts, and not only as it is written down. Each question below goes through a login by the key.
#[track_caller]
fn is_hardened(lab: &Lab) {
    let sshd = lab.on_host(2, "/usr/sbin/sshd -T");
    for setting in ["passwordauthentication no", "permitrootlogin no", "allowtcpforwarding local"] {
        assert!(sshd.lines().any(|line| line == setting), "{setting}: {sshd}");
    }
    assert!(!sshd.contains("hmac-sha1"), "{sshd}");
    let upgrades = lab.on_host(2, "apt-config dump Unattended-Upgrade; apt-config dump APT::Periodic");
    for setting in [
        "Unattended-Upgrade::Automatic-Reboot \"false\";",
        "Unattended-Upgrade::Package-Blacklist:: \"haproxy\";",
        "APT::Periodic::Unattended-Upgrade \"1\";",
    ] {
        assert!(upgrades.contains(setting), "{setting}: {upgrades}");
    }
    let engine =
        lab.on_host(2, "cat /etc/docker/daemon.json; docker info --format '{{.LiveRestoreEnabled}}'");
    assert!(engine.contains("\"no-new-privileges\": true") && engine.ends_with("true\n"), "{engine}");
    // The network is the host's own; the rest of the kernel is that of the machine, and was left alone.
    let kernel = "sysctl -n net.ipv4.conf.all.accept_redirects net.ipv4.ip_forward; \
                  grep -c '^-*[fk]' /etc/sysctl.d/90-relman.conf || true";
    assert_eq!(lab.on_host(2, kernel).split_whitespace().collect::<Vec<_>>(), ["0", "1", "0"]);
}
