//! From a bare host to a serving one, and that doing it again changes nothing.

use super::support::host::{self, answering};
use super::support::site::{Site, access, head, host_line};

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_bare_host_becomes_one_that_serves_and_a_second_run_changes_nothing() {
    let site = Site::separate("bare", |lab| {
        format!(
            "{}\n[environments.production]\nvia = \"ansible\"\ndrain_seconds = 3\n{}\nhosts = [{}]\n",
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

    // What relman thinks the host is configured as, is forgotten: the roles run in full once more.
    let fingerprint = "find /etc /usr/local /lib/systemd/system -xdev -type f -newer /tmp/before ! -path /etc/relman/configured";
    lab.on_host(2, "rm /etc/relman/configured; touch /tmp/before; sleep 1.1");
    let booted = lab.on_host(2, "systemctl show -p ActiveEnterTimestampMonotonic docker haproxy");
    site.change_harmless("fix: a second run");
    site.relman(&["deploy"]).expect(0);
    assert_eq!(lab.on_host(2, fingerprint).trim(), "", "files that a second run of the roles wrote");
    let after = lab.on_host(2, "systemctl show -p ActiveEnterTimestampMonotonic docker haproxy");
    assert_eq!(after, booted, "neither Docker nor HAProxy was started anew");
    assert_eq!(answering(lab, 2).as_deref(), Some("0.1.1"));
    lab.on_host(2, "rm /tmp/before");
}
