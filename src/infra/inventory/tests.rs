use serde_json::json;

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDu6d3GmZ0yq3Tn3yqfX1x0T2S6Zf3V8h8t9x5l2b3c4";

fn of(outputs: Value, private: bool) -> Result<Inventory, InventoryError> {
    let (service, environment) = ("web".parse().unwrap(), "production".parse().unwrap());
    let expected = Expected { service: &service, environment: &environment, private };
    read(outputs.as_object().unwrap(), &expected)
}

fn host(name: &str, address: &str) -> Value {
    json!({"name": name, "address": address, "port": 22, "user": "admin", "host_keys": [KEY], "ssm_id": null,
        "bastion": null})
}

fn problems(hosts: Value, private: bool) -> Vec<String> {
    match of(json!({ "relman_hosts": hosts }), private) {
        Err(InventoryError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fleet_is_read_with_everything_in_it() {
    let mut behind = host("web-2", "10.0.1.5");
    behind["ssm_id"] = json!("i-0123456789abcdef0");
    behind["bastion"] = json!({"address": "198.51.100.7", "port": 2222, "user": "hop", "host_keys": [KEY]});
    let config = json!({"service": "web", "environment": "production", "ledger_table": "t",
        "artifacts_bucket": "b", "region": "eu-west-1", "repository_url": "r.example/web", "access": "ssh"});
    let outputs =
        json!({"relman_hosts": [host("web-1", "10.0.1.4"), behind], "relman_config": config, "x": 1});
    let found = of(outputs, true).unwrap();
    assert_eq!(
        found.listing.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(),
        ["web-1", "web-2"]
    );
    assert_eq!(found.listing.hosts[1].ssm_id.as_deref(), Some("i-0123456789abcdef0"));
    assert_eq!(found.listing.hosts[1].bastion.as_ref().unwrap().port, 2222);
    assert_eq!(found.config.ledger_table.as_deref(), Some("t"));
    // What is kept as an artifact reads again.
    let kept = serde_json::to_string(&found.listing.hosts).unwrap();
    assert_eq!(serde_json::from_str::<Vec<InventoryHost>>(&kept).unwrap(), found.listing.hosts);
}

#[test]
fn the_least_is_a_name_and_an_address() {
    let found = of(json!({"relman_hosts": [{"name": "a", "address": "web.example"}]}), false).unwrap();
    assert_eq!((found.listing.hosts[0].port, &found.listing.hosts[0].user), (22, &None));
}

#[test]
fn outputs_without_hosts_say_what_is_missing() {
    assert_eq!(of(json!({}), false), Err(InventoryError::NeverApplied));
    assert_eq!(of(json!({"vpc": "x"}), false), Err(InventoryError::NoOutput));
    assert_eq!(of(json!({"relman_hosts": null}), false), Err(InventoryError::NoOutput));
    assert_eq!(of(json!({"relman_hosts": []}), false), Err(InventoryError::NoHosts));
    assert_eq!(problems(json!("web-1"), false), ["relman_hosts: is not a list"]);
}

#[test]
fn anothers_outputs_are_refused() {
    let error = |config: Value| {
        of(json!({"relman_hosts": [host("a", "10.0.0.1")], "relman_config": config}), false).unwrap_err()
    };
    assert_eq!(
        error(json!({"environment": "staging"})).to_string(),
        "the output relman_config is of environment staging, and not of production"
    );
    assert_eq!(
        error(json!({"service": "api"})).to_string(),
        "the output relman_config is of service api, and not of web"
    );
    assert!(error(json!({"region": 3})).to_string().starts_with("relman_config: "));
}

#[test]
fn doubles_are_told_with_the_first_of_them() {
    let hosts = json!([host("a", "10.0.0.1"), host("a", "10.0.0.2"), host("c", "10.0.0.1")]);
    assert_eq!(
        problems(hosts, false),
        [
            "relman_hosts[1].name: a is relman_hosts[0] already",
            "relman_hosts[2].address: relman_hosts[0] has the same address and port"
        ]
    );
}

#[test]
fn the_same_address_behind_another_bastion_is_another_host() {
    let behind = |name: &str, bastion: &str| {
        let mut host = host(name, "10.0.0.1");
        host["bastion"] = json!({ "address": bastion });
        host
    };
    assert!(
        of(json!({"relman_hosts": [behind("a", "b1.example"), behind("b", "b2.example")]}), true).is_ok()
    );
}

#[test]
fn whatever_is_wrong_is_told_at_once_and_where() {
    let mut wrong = host("a", "-oProxyCommand=x");
    wrong["port"] = json!(0);
    wrong["user"] = json!("-l root");
    wrong["host_keys"] = json!(["ssh-ed25519 AAAA\nx"]);
    wrong["ssm_id"] = json!("i-$(id)");
    wrong["bastion"] = json!({"address": "a b", "user": "x;y"});
    let found = problems(
        json!([wrong, host("Web_1", "10.0.0.2"), {"name": "c"}, {"name": "d", "address": "e", "port": 70000}]),
        false,
    );
    let places: Vec<&str> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "relman_hosts[0].address",
            "relman_hosts[0].port",
            "relman_hosts[0].user",
            "relman_hosts[0].host_keys[0]",
            "relman_hosts[0].ssm_id",
            "relman_hosts[0].bastion.address",
            "relman_hosts[0].bastion.user",
            "relman_hosts[1]",
            "relman_hosts[2]",
            "relman_hosts[3]",
        ],
        "{found:?}"
    );
    assert!(found[8].contains("has no `address`"), "{}", found[8]);
}

#[test]
fn a_public_address_is_refused_where_a_private_one_is_meant() {
    for good in [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "100.64.0.1",
        "fd00::1",
        "ip-10-0-0-1.ec2.internal",
    ] {
        assert!(of(json!({"relman_hosts": [host("a", good)]}), true).is_ok(), "{good}");
    }
    for bad in ["198.51.100.7", "172.32.0.1", "100.128.0.1", "2001:db8::1", "web.example"] {
        let found = problems(json!([host("a", bad)]), true);
        assert!(found[0].starts_with("relman_hosts[0].address: "), "{bad}: {found:?}");
        assert!(of(json!({"relman_hosts": [host("a", bad)]}), false).is_ok(), "{bad}");
    }
}

#[test]
fn what_is_of_another_kind_is_told_without_our_names() {
    for (hosts, told) in [
        (json!(["web-1"]), "relman_hosts[0]: invalid type: string \"web-1\", expected an object"),
        (json!([{"name": "a", "address": "10.0.0.1", "port": "22"}]), "expected a number from 0 to 65535"),
        (json!([{"name": "a", "address": "10.0.0.1", "port": 70_000}]), "expected a number from 0 to 65535"),
        (json!([{"name": "a", "address": "10.0.0.1", "host_keys": "k"}]), "expected a list"),
        (json!([{"name": "a", "address": "10.0.0.1", "bastion": true}]), "expected an object"),
        (json!([{"name": "a"}]), "relman_hosts[0]: has no `address`"),
    ] {
        let error = of(json!({"relman_hosts": hosts}), false).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("struct") && !error.contains("u16"), "{error}");
    }
}
