//! Every key of `relman.toml` with its kind, default and meaning: what unknown keys and `RELMAN_…` variables are
//! judged by, and what `docs/config.md` is made from. A test compares it with the types.
// Long because: it is one table, a line or four for each key.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number, not negative.
    Number,
    /// `true` or `false`.
    Switch,
    /// A list: it cannot be overridden by a variable.
    List,
    /// Any value of TOML, for somebody else to judge.
    Any,
}

impl Kind {
    /// Whether a `RELMAN_…` variable can override it.
    pub fn is_scalar(self) -> bool {
        matches!(self, Self::Text | Self::Number | Self::Switch)
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Switch => "true or false",
            Self::List => "list",
            Self::Any => "any value",
        }
    }
}

/// One key. In `path`, `*` stands for a name that the user chooses and `#` for the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its path, with dots.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it, in words; empty where it must be given.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

use Kind::{Any, List, Number, Switch, Text};

/// All keys, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key("service.name", Text, "", "Name of the service: 1 to 40 of a-z, 0-9 and -."),
    key(
        "service.default_environment",
        Text,
        "the only environment",
        "The environment that is meant without --env.",
    ),
    key("image.repository", Text, "", "REGISTRY[:PORT]/NAME, without tag: registry.example/team/web."),
    key("image.context", Text, ".", "Build context: a directory of the repository."),
    key("image.dockerfile", Text, "Dockerfile", "The Dockerfile, relative to the context."),
    key(
        "image.build_args.*",
        Text,
        "none",
        "Build arguments. Never a secret: they stay in the image's history.",
    ),
    key("image.insecure", Switch, "false", "Talk plain HTTP to the registry. Loopback addresses always do."),
    key(
        "version.on_no_bump",
        Text,
        "patch",
        "Where no commit asks for a bump: patch (every build gets a version) or commit-only (such a build is no release).",
    ),
    key("version.git_tag", Text, "push", "The git tag vX.Y.Z: push (to the remote origin), local, or off."),
    key(
        "ledger.id",
        Text,
        "none",
        "Id of the ledger, 32 hex digits; relman init writes it. It names the embedded ledger's folder in the state directory, and any other ledger must have it.",
    ),
    key(
        "ledger.url",
        Text,
        "the embedded ledger",
        "sqlite:PATH, relative to this file; or dynamodb:TABLE, with region, credentials and endpoint from the AWS chain (docs/aws.md).",
    ),
    key(
        "ledger.allow_ephemeral",
        Switch,
        "false",
        "Accept a place where the ledger would be lost, such as the workspace of a CI job.",
    ),
    key(
        "artifacts.url",
        Text,
        "beside the ledger",
        "file:PATH or s3://BUCKET[/PREFIX]: where run configurations, plans, manifests and logs are. In a bucket the heads of the ledger are anchored as well. Must be given with a ledger in DynamoDB.",
    ),
    key(
        "identity.github.repository",
        Text,
        "",
        "OWNER/NAME: people may be known by the tokens that GitHub signs for jobs of this repository, and approve by a workflow (docs/environments.md).",
    ),
    key(
        "identity.github.repository_id",
        Text,
        "none",
        "The repository's id (gh api repos/OWNER/NAME --jq .id): another repository that gets this name later does not count.",
    ),
    key(
        "identity.github.branch",
        Text,
        "main",
        "The branch whose workflows let somebody approve, or start what asks for four eyes.",
    ),
    key(
        "identity.github.workflow",
        Text,
        ".github/workflows/approve.yml",
        "The workflow by which people approve; the jobs of no other count.",
    ),
    key(
        "identity.github.issuer",
        Text,
        "https://token.actions.githubusercontent.com",
        "Who signs the tokens: that of a GitHub Enterprise Server is https://HOST/_services/token.",
    ),
    key("run.port", Number, "", "The port on which the container listens."),
    key("run.env.*", Text, "none", "Plain environment variables of the container."),
    key(
        "run.secrets.*",
        Text,
        "none",
        "References to secrets: env:NAME, file:PATH, ssm:/PATH[:VERSION or label] or secretsmanager:NAME[:VERSION id or stage], both with #FIELD for a field of a JSON object; resolved where relman runs. In the container: the file /run/secrets/NAME, and NAME_FILE says so.",
    ),
    key(
        "run.volumes",
        List,
        "none",
        "Bind mounts, /host/path:/container/path[:ro], within the host's own policy.",
    ),
    key("run.memory_mib", Number, "512", "Memory limit in MiB."),
    key("run.pids", Number, "512", "Limit of processes and threads."),
    key(
        "run.stop_timeout_seconds",
        Number,
        "30",
        "Seconds between SIGTERM and SIGKILL when a container is stopped.",
    ),
    key("run.health.path", Text, "/healthz", "Path that must answer 2xx or 3xx."),
    key("run.health.interval_ms", Number, "500", "Milliseconds between two probes."),
    key("run.health.timeout_ms", Number, "2000", "Milliseconds that one probe may take."),
    key(
        "run.health.start_period_seconds",
        Number,
        "60",
        "Seconds within which the container must have become healthy.",
    ),
    key("run.health.good_probes", Number, "3", "Good answers in a row that make it healthy."),
    key(
        "ansible.directory",
        Text,
        "ansible",
        "The directory with roles and playbooks that relman init wrote.",
    ),
    key("ansible.command", Text, "ansible-playbook", "The command."),
    key("ansible.vars.*", Any, "none", "Variables for the roles."),
    key("lease.seconds", Number, "60", "Seconds that the deploy lock lasts without a sign of life."),
    key(
        "environments.*.via",
        Text,
        "ansible",
        "How hosts are reached: ansible, ssh (relman asks them itself, and Ansible only configures them), ssm (by the Systems Manager of AWS; see docs/design/ways-to-a-host.md), local (relman runs on the host itself), or playbook (your own one replaces the container).",
    ),
    key("environments.*.hosts", List, "none", "The hosts; none with local, and none with terraform."),
    key("environments.*.hosts.#.name", Text, "", "Name of the host: 1 to 40 of a-z, 0-9 and -."),
    key(
        "environments.*.hosts.#.address",
        Text,
        "",
        "IP address or DNS name; with ssm the id of the instance.",
    ),
    key("environments.*.hosts.#.port", Number, "22", "SSH port."),
    key("environments.*.hosts.#.user", Text, "access.user", "User to log in as."),
    key(
        "environments.*.hosts.#.host_keys",
        List,
        "access.known_hosts",
        "Pinned host keys: lines such as ssh-ed25519 AAAA….",
    ),
    key(
        "environments.*.terraform.directory",
        Text,
        "",
        "Directory of the Terraform root module whose outputs relman_hosts and relman_config are used, instead of hosts.",
    ),
    key("environments.*.terraform.workspace", Text, "default", "The workspace."),
    key("environments.*.terraform.var_files", List, "none", "Files with values of variables."),
    key(
        "environments.*.terraform.address_source",
        Text,
        "any",
        "Which addresses its hosts may have: any, or private (a public one is an error).",
    ),
    key(
        "environments.*.provision",
        Text,
        "skip",
        "What a deploy does about the infrastructure first: skip (read the outputs), check (plan, and tell what differs), or apply (plan and apply). A rollback never does anything about it.",
    ),
    key(
        "environments.*.access.user",
        Text,
        "ssh's own choice",
        "User to log in as, where a host names none.",
    ),
    key("environments.*.access.key", Text, "ssh's own choice", "Private key file."),
    key(
        "environments.*.access.known_hosts",
        Text,
        "ssh's own",
        "Known hosts file, for hosts without pinned keys.",
    ),
    key(
        "environments.*.access.unknown_hosts",
        Text,
        "refuse",
        "A host whose key is neither pinned nor known: refuse, or pin-on-first-use (the key is written to known_hosts beside the ledger, and a changed one is refused).",
    ),
    key(
        "environments.*.access.bastion.address",
        Text,
        "none",
        "The host through which the others are reached: IP address or DNS name. No agent is forwarded to it. With terraform it may be left out: the outputs name it.",
    ),
    key("environments.*.access.bastion.port", Number, "22", "Its SSH port."),
    key("environments.*.access.bastion.user", Text, "access.user", "User to log in as there."),
    key("environments.*.access.bastion.host_keys", List, "access.known_hosts", "Its pinned host keys."),
    key(
        "environments.*.access.ssm_document",
        Text,
        "the outputs', else relman-perform",
        "With via = \"ssm\": the document that hands a request to relman-host.",
    ),
    key("environments.*.playbook", Text, "none", "With via = \"playbook\": your playbook."),
    key(
        "environments.*.bake_seconds",
        Number,
        "0",
        "Seconds to watch the release under traffic before the deployment is final.",
    ),
    key(
        "environments.*.wave_size",
        Text,
        "all hosts",
        "Hosts that a deploy shifts at once: a number (\"2\") or a share (\"25%\"). The next wave begins when the one before serves, and has been watched for bake_seconds. A rollback goes to all hosts at once.",
    ),
    key(
        "environments.*.failure_budget",
        Number,
        "0",
        "Hosts that may stay behind in a deploy, because they cannot be reached or their part of it fails. They are put back, listed, and caught up by the next deploy. One more, and every host goes back.",
    ),
    key(
        "environments.*.drain_seconds",
        Number,
        "30",
        "Seconds that requests to the old slot may still take after the switch.",
    ),
    key("environments.*.env.*", Text, "none", "Keys of [run.env] that differ in this environment."),
    key("environments.*.secrets.*", Text, "none", "Keys of [run.secrets] that differ in this environment."),
    key(
        "environments.*.after",
        Text,
        "none",
        "The environment in which a release must be proven before it is deployed here. A rollback needs no proof.",
    ),
    key(
        "environments.*.approval.needed",
        Number,
        "",
        "People who have to approve a deploy before it touches a host: it is planned, gives the lock back, and ends with exit 9. A rollback waits for nobody.",
    ),
    key(
        "environments.*.approval.four_eyes",
        Switch,
        "false",
        "Whoever started the deploy does not count. Their identity must be proven as well.",
    ),
    key(
        "environments.*.approval.approvers",
        List,
        "everybody who can prove who they are",
        "Identities that count: \"sts:ARN\", as AWS tells it. A name from git or a variable never does.",
    ),
    key(
        "environments.*.freeze.#.from",
        Text,
        "",
        "Beginning of a time without deploys: of each week (\"Fri 16:00\"), or once (\"2026-12-20 00:00\"). A rollback is exempt.",
    ),
    key(
        "environments.*.freeze.#.until",
        Text,
        "",
        "Its end, in the same form. The end does not belong to it.",
    ),
    key(
        "environments.*.freeze.#.zone",
        Text,
        "UTC",
        "Whose clock is meant: a name of the IANA time zone database, such as \"Europe/Berlin\".",
    ),
    key("environments.*.freeze.#.reason", Text, "", "Why; whoever is refused reads it."),
];

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A key.
    Key(&'static Key),
    /// A section that holds keys.
    Section,
    /// Nothing.
    Unknown,
}

fn fits(pattern: &str, segment: &str) -> bool {
    pattern == segment || (pattern == "*" && segment != "#")
}

/// Where a path leads. Below a key of kind `Any` everything is that key.
pub fn find(path: &[&str]) -> Found {
    let mut found = Found::Unknown;
    for key in KEYS {
        let pattern: Vec<&str> = key.path.split('.').collect();
        if !pattern.iter().zip(path).all(|(pattern, segment)| fits(pattern, segment)) {
            continue;
        }
        if pattern.len() == path.len() || (pattern.len() < path.len() && key.kind == Kind::Any) {
            return Found::Key(key);
        }
        if pattern.len() > path.len() {
            found = Found::Section;
        }
    }
    found
}

/// The known key that is nearest to an unknown one: a sibling that is spelt alike, else one of the same name
/// elsewhere.
pub fn nearest(path: &[&str]) -> Option<String> {
    let (last, parents) = path.split_last()?;
    let mut siblings: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| {
            let mut pattern = key.path.split('.');
            parents
                .iter()
                .all(|parent| pattern.next().is_some_and(|p| fits(p, parent)))
                .then(|| pattern.next())?
        })
        .filter(|name| !matches!(*name, "*" | "#"))
        .collect();
    siblings.dedup();
    let alike = siblings
        .into_iter()
        .map(|name| (strsim::osa_distance(name, last), name))
        .filter(|(distance, name)| *distance <= name.len().max(last.len()) / 3 + 1)
        .min();
    match alike {
        Some((_, name)) => {
            Some(parents.iter().chain([&name]).copied().collect::<Vec<_>>().join(".").replace(".#", "[]"))
        }
        None => KEYS
            .iter()
            .find(|key| key.path.rsplit('.').next() == Some(last))
            .map(|key| key.path.replace('*', "NAME").replace(".#", "[]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_keys_sections_or_nothing() {
        let find = |path: &str| super::find(&path.split('.').collect::<Vec<_>>());
        assert!(matches!(find("run.port"), Found::Key(key) if key.kind == Number));
        assert!(matches!(find("environments.production.hosts.#.name"), Found::Key(_)));
        assert!(matches!(find("ansible.vars.docker_users.#.name"), Found::Key(key) if key.kind == Any));
        assert_eq!(find("environments.production"), Found::Section);
        assert_eq!(find("run.prot"), Found::Unknown);
        assert_eq!(find("run.port.x"), Found::Unknown);
    }

    #[test]
    fn the_nearest_key_is_a_sibling_or_a_namesake() {
        let nearest = |path: &str| super::nearest(&path.split('.').collect::<Vec<_>>());
        assert_eq!(nearest("run.prot").as_deref(), Some("run.port"));
        assert_eq!(nearest("environments.production.vai").as_deref(), Some("environments.production.via"));
        assert_eq!(nearest("enviroments").as_deref(), Some("environments"));
        assert_eq!(nearest("memory_mib").as_deref(), Some("run.memory_mib"));
        assert_eq!(nearest("run.zzzzzzzz"), None);
    }
}
