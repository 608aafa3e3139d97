//! From a bare host to a serving one, hardened on the way; that doing it again changes nothing, that check mode tells and
//! does nothing, and that a host on which all of it is older is brought up to date under load.

use std::process::Command;

use super::support::host::{self, answering};
use super::support::lab::{Lab, relman, root};
use super::support::load::Load;
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
    let told = check_mode(&site, "sha256:0");
    assert!(told.contains(" failed=0 ") && !told.contains(" changed=0 "), "{told}");
    assert_eq!(
        lab.on_host(2, "ls /etc/relman /etc/haproxy 2>&1 || true").matches("cannot access").count(),
        2
    );

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
    let told = check_mode(&site, lab.on_host(2, "cat /etc/relman/configured").trim());
    assert!(told.contains(" changed=0 ") && told.contains(" failed=0 "), "{told}");

    let load = Load::on(&lab.url(2), &site.root);
    make_older(lab);
    site.change_harmless("fix: a host that is behind");
    site.relman(&["deploy"]).expect(0);
    load.end_without_a_failure();
    assert_eq!(answering(lab, 2).as_deref(), Some("0.1.2"));
    is_hardened(lab);
    let proxy =
        lab.on_host(2, "cat /etc/haproxy/haproxy.cfg; curl -fsS http://127.0.0.1:8405/metrics | head -n 1");
    assert!(proxy.contains("option idle-close-on-response") && proxy.contains("haproxy_process"), "{proxy}");
    let told = check_mode(&site, lab.on_host(2, "cat /etc/relman/configured").trim());
    assert!(told.contains(" changed=0 "), "all of it is as the roles have it: {told}");
}

/// As an earlier version would have left it: another relman-host, proxy, engine, sudoers and units.
fn make_older(lab: &Lab) {
    lab.on_host(
        2,
        "printf older >>/usr/local/bin/relman-host.new && cat /usr/local/bin/relman-host /usr/local/bin/relman-host.new \
             >/usr/local/bin/relman-host.old && chmod 755 /usr/local/bin/relman-host.old \
             && mv /usr/local/bin/relman-host.old /usr/local/bin/relman-host && rm /usr/local/bin/relman-host.new
         sed -i -e '/idle-close-on-response/d' -e '/retry-on/d' -e '/^frontend relman-metrics/,$d' /etc/haproxy/haproxy.cfg
         systemctl reload haproxy
         echo '{\"live-restore\": true}' >/etc/docker/daemon.json
         rm /etc/ssh/sshd_config.d/00-relman.conf /etc/sysctl.d/90-relman.conf
         echo '# older' >>/etc/systemd/system/relman-boot.service
         echo '# older' >>/etc/relman/policy.toml
         echo sha256:older >/etc/relman/configured",
    );
}

/// The roles by hand in check mode, with what relman gives them; the recap of Ansible.
fn check_mode(site: &Site, configured: &str) -> String {
    let lab = &site.lab;
    let inventory = format!(
        "host2 ansible_host={} ansible_port={} ansible_user={} ansible_ssh_private_key_file={} \
         ansible_ssh_common_args='-F {}'\n",
        lab.hosts[1],
        lab.ssh_port,
        lab.user,
        lab.key.display(),
        lab.ssh_config.display()
    );
    std::fs::write(site.root.join("inventory"), inventory).expect("it can be written");
    let variables = serde_json::json!({
        "proxy_service": "web", "proxy_health_path": "/healthz",
        "relman_host_repositories": [format!("{}/bare", lab.registry)],
        "relman_host_binary": relman().with_file_name("relman-host"), "relman_host_configured": configured,
        "hardening_enabled": true, "hardening_upgrades_hold": ["haproxy"],
    });
    let output = Command::new("ansible-playbook")
        .args(["--check", "--inventory"])
        .arg(site.root.join("inventory"))
        .args(["--extra-vars", &variables.to_string()])
        .arg(root().join("ansible/site.yml"))
        .output()
        .expect("ansible-playbook is on PATH");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "check mode: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    let recap = said.split("PLAY RECAP").last().expect("there is one part at least").to_owned();
    if recap.contains(" changed=0 ") || configured == "sha256:0" { recap } else { said }
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
