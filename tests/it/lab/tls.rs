//! TLS at the proxy of a host: a certificate by ACME from a test server of that protocol, a newer one and a bad one taken
//! under load, and no connection that ends for it.

use std::time::Duration;

use super::support::eventually;
use super::support::lab::Lab;
use super::support::load::Load;
use super::support::site::{Site, access, head, host_line};

const NAME: &str = "web.lab.test";
const NEW: &str = "/etc/relman/tls/service.pem";

#[test]
#[ignore = "needs the lab: make test-lab"]
fn certificates_are_asked_for_and_renewed_without_a_lost_request() {
    let site = Site::separate("tls", configuration);
    let lab = &site.lab;
    lab.script(&["fresh", "host2"]);
    start_acme_server(lab);
    site.relman(&["deploy"]).expect(0);
    eventually("a certificate of the ACME server is served", Duration::from_secs(60), || {
        served(lab).contains("Pebble")
    });
    let to_plain = format!("curl -sS -o /dev/null -w '%{{http_code}} %{{redirect_url}}' http://{NAME}/a?b=c");
    assert_eq!(lab.on_host(2, &to_plain), format!("308 https://{NAME}/a?b=c"));
    let scheme = format!("curl -sSk --http2 -w ' %{{http_version}}' https://{NAME}/");
    let answer = lab.on_host(2, &scheme);
    assert!(answer.contains("\"version\":\"0.1.0\"") && answer.ends_with(" 2"), "{answer}");
    let old = format!("curl -sSk --tls-max 1.1 https://{NAME}/ 2>&1 || true");
    assert!(!lab.on_host(2, &old).contains("version\":"), "what is older than TLS 1.2 is refused");

    let load = Load::on(&format!("https://{}:{}", lab.hosts[1], lab.https_port), &site.root);
    site.change_harmless("feat: by TLS");
    site.relman(&["deploy"]).expect(0);
    let (first, workers) = (served(lab), lab.on_host(2, "pgrep haproxy"));
    lab.on_host(2, "systemctl start relman-acme.service");
    eventually("the newer certificate is served", Duration::from_secs(30), || served(lab) != first);
    let second = served(lab);
    assert!(second.contains("Pebble"), "{second}");

    // Somebody's mistakes: another's key, another name, one that has ended, no certificate at all.
    for (what, pem, said) in mistakes(lab) {
        lab.on_host(2, &format!("install -m 0600 {pem} {NEW}.part; mv {NEW}.part {NEW}"));
        eventually(&format!("{what} is refused"), Duration::from_secs(30), || journal(lab).contains(said));
        assert_eq!(served(lab), second, "{what}: the proxy goes on with what it has");
    }
    // Killed between the file and the proxy: the next look finds what the proxy was never told.
    let left = "cat /opt/lab/good.crt /opt/lab/good.key >/var/lib/relman/_tls/web.pem; \
                install -m 0600 /var/lib/relman/_tls/web.pem /etc/relman/tls/service.pem";
    lab.on_host(2, left);
    eventually("what was left half done is served", Duration::from_secs(30), || served(lab).contains(NAME));
    let second = served(lab);
    assert_eq!(lab.on_host(2, "pgrep haproxy"), workers, "no reload, no restart");
    load.end_without_a_failure();

    lab.on_host(2, "systemctl restart haproxy");
    assert_eq!(served(lab), second, "a proxy that starts anew has the newest good one");
    // Of which even the owner of a slot reads nothing.
    let modes = "stat -c '%U %a' /var/lib/relman/_tls /var/lib/relman/_tls/web.pem /etc/relman/tls";
    assert_eq!(lab.on_host(2, modes), "root 700\nroot 600\nroot 700\n");
}

/// Certificates that must not be taken: a name for it, the file on the host, and what the journal says of it.
fn mistakes(lab: &Lab) -> Vec<(&'static str, &'static str, &'static str)> {
    let make = "umask 077; cd /opt/lab
        one() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days $1 -subj /CN=$2 \
            -addext subjectAltName=DNS:$2 -keyout $3.key -out $3.crt 2>/dev/null; }
        one 30 web.lab.test good; one 30 shop.lab.test other
        cat good.crt other.key >key.pem
        cat other.crt other.key >name.pem
        echo hello >text.pem";
    lab.on_host(2, make);
    vec![
        (
            "a key that is another's",
            "/opt/lab/key.pem",
            "inconsistencies between private key and certificate",
        ),
        ("a certificate for another name", "/opt/lab/name.pem", "it is not for web.lab.test"),
        ("no certificate", "/opt/lab/text.pem", "no certificate"),
    ]
}

/// Serial number and issuer of the certificate that the proxy shows; empty when it shows none.
fn served(lab: &Lab) -> String {
    let ask = format!(
        "openssl s_client -connect 127.0.0.1:443 -servername {NAME} </dev/null 2>/dev/null \
         | openssl x509 -noout -serial -issuer 2>/dev/null || true"
    );
    lab.on_host(2, &ask)
}

fn journal(lab: &Lab) -> String {
    lab.on_host(2, "journalctl --no-pager --unit relman-tls.service")
}

/// Pebble (RFC 8555 for tests) on the host itself, which it reaches by the service's name.
fn start_acme_server(lab: &Lab) {
    lab.on_host(
        2,
        &format!(
            "export DEBIAN_FRONTEND=noninteractive
             apt-get install --yes --no-install-recommends pebble openssl curl >/dev/null
             echo '127.0.0.1 {NAME}' >>/etc/hosts
             mkdir -p /opt/lab; cd /opt/lab
             openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=pebble -addext subjectAltName=IP:127.0.0.1 \
                 -keyout pebble.key -out pebble.crt 2>/dev/null
             cat >pebble.json <<'END'
             {{\"pebble\": {{\"listenAddress\": \"127.0.0.1:14000\", \"managementListenAddress\": \"127.0.0.1:15000\",
                \"certificate\": \"/opt/lab/pebble.crt\", \"privateKey\": \"/opt/lab/pebble.key\",
                \"httpPort\": 80, \"tlsPort\": 443, \"ocspResponderURL\": \"\"}}}}
END
             systemd-run --quiet --unit lab-acme --setenv PEBBLE_VA_NOSLEEP=1 --setenv PEBBLE_WFE_NONCEREJECT=0 \
                 pebble -config /opt/lab/pebble.json"
        ),
    );
}

fn configuration(lab: &Lab) -> String {
    format!(
        "{}\n[environments.production]\nvia = \"ansible\"\ndrain_seconds = 3\n{}\nhosts = [{}]\n\n\
         [ansible.vars]\nproxy_tls = \"acme\"\nproxy_tls_names = [\"{NAME}\"]\nproxy_acme_email = \"ops@lab.test\"\n\
         proxy_acme_server = \"https://127.0.0.1:14000/dir\"\nproxy_acme_ca_file = \"/opt/lab/pebble.crt\"\n\
         # Whatever it is given, it is time for a newer one.\nproxy_acme_days = 9999\nproxy_acme_spread = \"0\"\n",
        head(lab, "tls"),
        access(lab),
        host_line(lab, 2)
    )
}
