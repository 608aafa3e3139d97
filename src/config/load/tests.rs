use super::*;

const SMALL: &str = r#"
[service]
name = "web"

[image]
repository = "registry.example/web"

[run]
port = 8000

[environments.production]
hosts = [{ name = "web-1", address = "10.0.0.1" }]
"#;

fn variables(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse_with(text: &str, all: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    parse(text, FILE, Path::new("/nowhere"), &variables(all))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_small_file_is_enough() {
    let config = parse_with(SMALL, &[]).unwrap();
    assert_eq!(config.run.memory_mib, 512);
    assert_eq!(config.run.health.path, "/healthz");
    assert_eq!(config.environments.len(), 1);
}

#[test]
fn unknown_keys_name_line_and_nearest_key_all_at_once() {
    let text = SMALL
        .replace("port = 8000", "port = 8000\nmemroy_mib = 5")
        .replace("hosts = [{ name", "vai = \"local\"\nhosts = [{ nam = \"x\", name");
    assert_eq!(
        parse_with(&text, &[]).unwrap_err(),
        [
            "relman.toml:10: run.memroy_mib: is not a key; did you mean run.memory_mib?",
            "relman.toml:13: environments.production.vai: is not a key; did you mean environments.production.via?",
            "relman.toml:14: environments.production.hosts[0].nam: is not a key; did you mean environments.production.hosts[].name?",
        ]
    );
}

#[test]
fn wrong_types_missing_keys_and_syntax_name_line_and_key() {
    for (from, to, expected) in [
        ("port = 8000", "port = \"x\"", "relman.toml:9: run.port: invalid type: string \"x\", expected u16"),
        ("port = 8000", "memory_mib = 64", "relman.toml:8: run: missing key `port`"),
        ("name = \"web\"", "name = \"We b\"", "relman.toml:3: service.name: service name \"We b\""),
        ("[run]", "[run", "relman.toml:8: "),
        (
            "address = \"10.0.0.1\"",
            "port = 1",
            "relman.toml:12: environments.production.hosts[0]: missing key `address`",
        ),
    ] {
        let problems = parse_with(&SMALL.replace(from, to), &[]).unwrap_err();
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
    let problems = parse_with("[service]\nname = \"web\"\n", &[]).unwrap_err();
    assert!(problems[0].contains("missing key `image`"), "{problems:?}");
}

#[test]
fn what_types_cannot_say_is_checked_with_lines() {
    let text = SMALL
        .replace("port = 8000", "port = 8000\nvolumes = [\"/a:/b\", \"x\"]\nhealth = { path = \"healthz\" }")
        .replace(
            "hosts = [{ name = \"web-1\", address = \"10.0.0.1\" }]",
            "hosts = [\n{ name = \"web-1\", address = \"-oProxyCommand=x\" },\n{ name = \"web-1\", address = \"b\" }]\n[environments.other]",
        );
    assert_eq!(
        parse_with(&text, &[])
            .unwrap_err()
            .iter()
            .map(|p| p.split(": ").take(2).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>(),
        [
            "relman.toml:10 run.volumes[1]",
            "relman.toml:11 run.health.path",
            "relman.toml:17 environments.other.hosts",
            "relman.toml:15 environments.production.hosts[0].address",
            "relman.toml:16 environments.production.hosts[1].name",
        ]
    );
}

/// What the host would refuse is refused before a deploy begins.
#[test]
fn a_run_configuration_that_no_host_takes_is_refused_with_its_line() {
    let text = SMALL.replace(
        "port = 8000",
        "port = 8000\nstop_timeout_seconds = 900\nsecrets = { TOKEN = \"env:TOKEN\" }\nhealth = { path = \"/{{ x }}\" }",
    ) + "env = { TOKEN_FILE = \"x\" }\n";
    let problems = parse_with(&text, &[]).unwrap_err();
    assert_eq!(
        problems.iter().map(|p| p.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>(),
        [
            "relman.toml:10 run.stop_timeout_seconds",
            "relman.toml:12 run.health.path",
            "relman.toml:16 environments.production.env.TOKEN_FILE",
        ],
        "{problems:?}"
    );
}

#[test]
fn the_secrets_of_an_environment_win_and_are_checked_in_their_line() {
    let good = SMALL.replace("port = 8000", "port = 8000\nsecrets = { A = \"env:A\", B = \"ssm:/b\" }")
        + "secrets = { B = \"ssm:/other/b:7\", C = \"secretsmanager:c\" }\n";
    let config = parse_with(&good, &[]).unwrap();
    let run = config.run_in(config.environments.values().next().unwrap());
    let shown: Vec<String> = run.secrets.iter().map(|(name, from)| format!("{name}={from}")).collect();
    assert_eq!(shown, ["A=env:A", "B=ssm:/other/b:7", "C=secretsmanager:c"]);
    let bad = SMALL.to_owned() + "secrets = { B = \"env:a b\" }\n";
    let problems = parse_with(&bad, &[]).unwrap_err();
    assert!(problems[0].contains("environments.production.secrets.B: is none of env:NAME"), "{problems:?}");
    let bad = SMALL.to_owned() + "secrets = { B = \"ssm:hunter2hunter2\" }\n";
    let problems = parse_with(&bad, &[]).unwrap_err();
    assert!(problems[0].contains("environments.production.secrets.B") && !problems[0].contains("hunter2"));
}

#[test]
fn variables_override_scalars() {
    let config = parse_with(
        SMALL,
        &[
            ("RELMAN_ENVIRONMENTS__PRODUCTION__VIA", "local"),
            ("RELMAN_RUN__PORT", "9000"),
            ("RELMAN_RUN__HEALTH__PATH", "/up"),
            ("RELMAN_LEDGER__ALLOW_EPHEMERAL", "true"),
            ("RELMAN_RUN__ENV__LOG_LEVEL", "debug"),
            ("RELMAN_ACTOR", "somebody"),
            ("OTHER", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.environments.values().next().unwrap().via, crate::config::Via::Local);
    assert_eq!((config.run.port, config.run.health.path.as_str()), (9000, "/up"));
    assert!(config.ledger.allow_ephemeral);
    assert_eq!(config.run.env["LOG_LEVEL"], "debug");
}

#[test]
fn a_variable_that_overrides_nothing_is_an_error_without_its_value() {
    for (variable, value, expected) in [
        (
            "RELMAN_RUN__PROT",
            "9",
            "RELMAN_RUN__PROT: overrides no key of the configuration; did you mean RELMAN_RUN__PORT?",
        ),
        (
            "RELMAN_ENVIRONMENTS__PRODUCTOIN__VIA",
            "local",
            "RELMAN_ENVIRONMENTS__PRODUCTOIN__VIA: there is no environment productoin",
        ),
        ("RELMAN_RUN__VOLUMES", "hunter2", "RELMAN_RUN__VOLUMES: run.volumes is a list"),
        ("RELMAN_RUN__PORT", "hunter2", "RELMAN_RUN__PORT: overrides run.port, which takes a number"),
        ("RELMAN_RUN__PORT", "70000", "RELMAN_RUN__PORT: run.port: "),
        ("RELMAN_RUN__HEALTH__PATH", "hunter2", "RELMAN_RUN__HEALTH__PATH: run.health.path: "),
        ("RELMAN_SERVICE", "x", "RELMAN_SERVICE: overrides no key"),
        ("RELMAN_RELMAN_RUN__PORT", "9000", "RELMAN_RELMAN_RUN__PORT: overrides no key"),
    ] {
        let problems = parse_with(SMALL, &[(variable, value)]).unwrap_err();
        assert!(problems[0].starts_with(expected), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_not_repeated() {
    let text = SMALL.replace("port = 8000", "port = 8000\nsecrets = { TOKEN = \"hunter2hunter2\" }");
    let problems = parse_with(&text, &[]).unwrap_err();
    assert!(problems[0].starts_with("relman.toml:10: run.secrets.TOKEN: "), "{problems:?}");
    assert!(!problems[0].contains("hunter2"), "{problems:?}");
}

#[test]
fn the_file_is_found_upwards() {
    let root = tempfile::tempdir().unwrap();
    let below = root.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    assert!(matches!(load(None, &below, &BTreeMap::new()), Err(ConfigError::Missing(_))));
    std::fs::write(root.path().join(FILE), SMALL).unwrap();
    assert_eq!(load(None, &below, &BTreeMap::new()).unwrap().root, root.path());
    let missing = load(Some(Path::new("other.toml")), &below, &BTreeMap::new());
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
}

/// Every key that the types write is in the list, and every key of the list is taken by the types.
#[test]
fn the_list_of_keys_is_that_of_the_types() {
    let mut full = String::new();
    for key in keys::KEYS.iter().filter(|key| !key.path.contains('#')) {
        let value = match (key.path, key.kind) {
            (path, _) if path.ends_with(".provision") => "\"check\"".to_owned(),
            (path, _) if path.ends_with(".address_source") => "\"private\"".to_owned(),
            (path, _) if path.ends_with(".hosts") => {
                "[{name=\"h\",address=\"h\",port=1,user=\"u\",host_keys=[]}]".to_owned()
            }
            ("version.on_no_bump", _) => "\"patch\"".to_owned(),
            ("version.git_tag", _) => "\"off\"".to_owned(),
            ("ledger.id", _) => format!("\"{}\"", "0".repeat(32)),
            (path, _) if path.ends_with(".via") => "\"ansible\"".to_owned(),
            (path, _) if path.ends_with(".wave_size") => "\"25%\"".to_owned(),
            (path, _) if path.ends_with(".ssm_document") => "\"abc\"".to_owned(),
            (path, _) if path.ends_with(".unknown_hosts") => "\"refuse\"".to_owned(),
            (path, _) if path.contains("secrets") => "\"env:X\"".to_owned(),
            (_, keys::Kind::Number) => "100".to_owned(),
            (_, keys::Kind::Switch) => "true".to_owned(),
            (_, keys::Kind::List) => "[]".to_owned(),
            (_, keys::Kind::Text | keys::Kind::Any) => "\"x\"".to_owned(),
        };
        full.push_str(&format!("{} = {value}\n", key.path.replace('*', "x")));
    }
    let config: Config = toml::from_str(&full).unwrap();
    let written = toml::Table::try_from(&config).unwrap();
    let mut paths = Vec::new();
    leaves(&written, "", &mut paths);
    for path in &paths {
        let segments: Vec<&str> = path.split('.').collect();
        assert!(matches!(keys::find(&segments), Found::Key(_)), "{path} is not in the list");
    }
    assert!(paths.len() > 35, "{paths:?}");
}

fn leaves(table: &toml::Table, at: &str, paths: &mut Vec<String>) {
    for (key, value) in table {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match value {
            toml::Value::Table(below) => leaves(below, &path, paths),
            _ => paths.push(path),
        }
    }
}

#[test]
fn hosts_come_from_the_file_or_from_terraform() {
    let with = |section: &str| {
        parse_with(&SMALL.replace("hosts = [{ name = \"web-1\", address = \"10.0.0.1\" }]", section), &[])
    };
    let config = with("provision = \"apply\"\nterraform = { directory = \"infra/live/single\", workspace = \"blue\", var_files = [\"a.tfvars\"], address_source = \"private\" }").unwrap();
    let environment = config.environments.values().next().unwrap();
    assert_eq!(environment.provision, crate::config::Provision::Apply);
    assert_eq!(environment.terraform.as_ref().unwrap().var_files.len(), 1);
    let least = with("terraform = { directory = \"infra\" }").unwrap();
    assert_eq!(least.environments.values().next().unwrap().provision, crate::config::Provision::Skip);
    let place = "relman.toml:";
    for (section, wrong) in [
        ("", "12: environments.production.hosts: names no host"),
        (
            "provision = \"check\"\nhosts = [{ name = \"a\", address = \"b\" }]",
            "12: environments.production.provision: needs",
        ),
        (
            "hosts = [{ name = \"a\", address = \"b\" }]\nterraform = { directory = \"infra\" }",
            "13: environments.production.hosts: names hosts, and so does terraform",
        ),
        (
            "via = \"local\"\nterraform = { directory = \"infra\" }",
            "14: environments.production.terraform: names hosts, and via",
        ),
        (
            "terraform = { directory = \"-x\" }",
            "13: environments.production.terraform.directory: is not a path",
        ),
        (
            "terraform = { directory = \"a\", workspace = \"a b\" }",
            "13: environments.production.terraform.workspace: is no name",
        ),
        (
            "terraform = { directory = \"a\", var_files = [\"$x\"] }",
            "13: environments.production.terraform.var_files[0]: is not",
        ),
        (
            "terraform = { directory = \"a\", address_source = \"public\" }",
            "13: environments.production.terraform.address_source",
        ),
        (
            "terraform = { directroy = \"a\" }",
            "13: environments.production.terraform.directroy: is not a key; did you mean",
        ),
    ] {
        let found = with(section).unwrap_err();
        let (_, text) = wrong.split_once(": ").unwrap();
        assert!(found[0].starts_with(place) && found[0].contains(text), "{section}: {found:?}");
    }
}
