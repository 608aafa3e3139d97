//! A host that comes up by itself: it serves what the ledger wants, and nobody deploys. A copy of the ledger on the
//! host stands for the one that hosts reach over the network; that one is read through the same port.

use std::time::Duration;

use super::support::eventually;
use super::support::host::answering;
use super::support::lab::Lab;
use super::support::site::{Site, access, head, host_line};

const COPY: &str = "/var/lib/relman-ledger";

/// Gives the host back as it was: the scenarios that share a ledger must not find it another one's.
struct Bare<'a>(&'a Lab);

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        self.0.script(&["fresh", "host1"]);
    }
}

fn configuration(lab: &Lab) -> String {
    format!(
        "{}\n[run.secrets]\nCANARY = \"env:LAB_CANARY\"\n\n[ansible.vars]\nrelman_catch_up_enabled = true\n\n\
         [environments.production]\nvia = \"ansible\"\ndrain_seconds = 2\n{}\nhosts = [{}]\n",
        head(lab, "joins"),
        access(lab),
        host_line(lab, 1)
    )
}

/// What the launch of a machine writes: where the ledger is, and never which release.
fn introduce(site: &Site) {
    let folders = std::fs::read_dir(site.state().join("relman")).expect("the ledger is there");
    let mut folders = folders.map(|folder| folder.expect("a folder").path());
    let folder = folders.find(|path| path.join("ledger.db").is_file()).expect("the ledger is there");
    site.lab.put_on_host(1, &folder, COPY);
    let id = folder.file_name().and_then(|name| name.to_str()).expect("the folder is the ledger's id");
    let text = format!(
        "[service]\nname = \"web\"\n[image]\nrepository = \"{}/joins\"\n[run]\nport = 1\n\
         [ledger]\nid = \"{id}\"\nurl = \"sqlite:{COPY}/ledger.db\"\n[artifacts]\nurl = \"file:{COPY}/artifacts\"\n\
         [environments.production]\nvia = \"local\"\n",
        site.lab.registry
    );
    let scratch = site.root.join("introduced");
    std::fs::create_dir_all(&scratch).expect("it can be written");
    std::fs::write(scratch.join("relman.toml"), text).expect("it can be written");
    let secrets = format!("LAB_CANARY={}\n", site.canary);
    std::fs::write(scratch.join("catch-up.env"), secrets).expect("it can be written");
    site.lab.put_on_host(1, &scratch, "/etc/relman");
    std::fs::remove_dir_all(&scratch).expect("it was made above");
}

/// What the role put on the host, and when each was changed or started last.
fn installed(lab: &Lab) -> String {
    lab.on_host(
        1,
        "stat --format='%n %i %A %U %z' /usr/local/bin/relman /etc/systemd/system/relman-catch-up.service \
         /etc/systemd/system/relman-drain.service && \
         systemctl is-enabled relman-catch-up.service relman-drain.service && \
         systemctl show --property=ActiveEnterTimestampMonotonic,InvocationID relman-drain.service",
    )
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_new_host_serves_what_the_ledger_wants_and_a_reboot_brings_its_secrets_back() {
    let lab = Lab::up();
    lab.script(&["fresh", "host1"]);
    let _bare = Bare(&lab);
    let site = Site::separate("joins", configuration);
    site.relman(&["deploy"]).expect(0);
    let installed = installed(&site.lab);
    let wanted = site.deploy_new();
    assert_eq!(installed, self::installed(&site.lab), "a second run of the role changes nothing");
    // A machine of the same image that has never served anything.
    site.lab.on_host(
        1,
        "docker ps --all --quiet --filter name=relman-web- | xargs --no-run-if-empty docker rm --force >/dev/null; \
         rm -rf /var/lib/relman/web /run/relman/web",
    );
    site.relman(&["status", "--exit-code"]).expect(8);
    let entries = site.history();
    introduce(&site);
    site.lab.on_host(1, "systemctl start relman-catch-up.service");
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&wanted), "nobody deployed");
    site.is_settled();
    assert_eq!(site.history(), entries, "the host writes nothing into the ledger");

    site.lab.script(&["reboot", "host1"]);
    eventually("it serves again, with its secret", Duration::from_secs(90), || {
        answering(&site.lab, 1).as_ref() == Some(&wanted)
    });
    eventually("the unit has done its work", Duration::from_secs(30), || {
        site.lab.try_on_host(1, "systemctl is-active relman-catch-up.service").status.success()
    });
    let read = site.lab.on_host(
        1,
        "docker exec $(docker ps --quiet --filter name=relman-web-) sh -c 'cat \"$CANARY_FILE\"'",
    );
    assert_eq!(read.trim(), site.canary);
    // It says that the secrets went with the reboot; what came after it brought them.
    site.lab.on_host(1, "systemctl reset-failed relman-boot.service");
    site.is_settled();
}
