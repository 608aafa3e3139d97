//! The rules, as data.

/// Which modules a part of the tree may import. The longest matching prefix counts; a name allows what lies in it,
/// except implementations of a port, which must be named themselves.
pub(super) const IMPORTS: &[(&str, &[&str])] = &[
    ("src/lib.rs", &[]),
    ("src/main.rs", &["cli"]),
    ("src/bin/relman_host.rs", &["domain", "host::wire", "onhost", "clock"]),
    ("src/domain/", &["domain"]),
    ("src/saga/", &["domain", "saga", "ledger", "artifact", "host", LEAF[0], LEAF[1], LEAF[2], LEAF[3]]),
    ("src/saga/plan", &["domain", "saga::plan", "saga::state"]),
    ("src/saga/state", &["domain", "saga::plan", "saga::state"]),
    ("src/ledger/", &["domain", "ledger", LEAF[0]]),
    ("src/ledger/sqlite", &["domain", "ledger", "ledger::sqlite", LEAF[0]]),
    ("src/ledger/dynamodb", &["domain", "ledger", "ledger::dynamodb", LEAF[0], LEAF[4]]),
    ("src/ledger/memory", &["domain", "ledger", "ledger::memory", LEAF[0]]),
    ("src/ledger/retry", &["domain", "ledger", "ledger::retry", LEAF[0]]),
    ("src/anchor/", &["domain", "anchor"]),
    ("src/anchor/memory", &["domain", "anchor", "anchor::memory"]),
    ("src/anchor/s3", &["domain", "anchor", "anchor::s3", LEAF[4]]),
    ("src/artifact/", &["domain", "artifact"]),
    ("src/artifact/file", &["domain", "artifact", "artifact::file"]),
    ("src/artifact/s3", &["domain", "artifact", "artifact::s3", LEAF[4]]),
    ("src/artifact/memory", &["domain", "artifact", "artifact::memory"]),
    ("src/oidc", &["domain", "host::wire", "oidc", "tls"]),
    ("src/registry/", &["domain", "registry"]),
    (
        "src/registry/oci",
        &["domain", "registry", "registry::oci", "registry::credentials", LEAF[0], LEAF[2], "tls"],
    ),
    // Challenges and tokens are a part of the OCI implementation.
    ("src/registry/token", &["domain", "registry", "registry::oci", "registry::credentials", "host::wire"]),
    ("src/registry/fake", &["domain", "registry", "registry::fake"]),
    ("src/registry/credentials", &["domain", "registry", "registry::credentials", "host::wire"]),
    ("src/image/", &["domain", "image", "host::wire", "image::docker", "engine", LEAF[1], LEAF[2], LEAF[3]]),
    ("src/git/", &["domain", "git", "host::wire"]),
    ("src/host/", &["domain", "host", "child"]),
    ("src/host/ansible", &["domain", "host", "child", "host::ansible", LEAF[0], LEAF[1], LEAF[2], LEAF[3]]),
    ("src/host/local", &["domain", "host", "child", "host::local", LEAF[0], LEAF[1], LEAF[2], LEAF[3]]),
    ("src/host/playbook", &["domain", "host", "child", "host::playbook", LEAF[0], LEAF[1], LEAF[2], LEAF[3]]),
    ("src/host/ssh", &["domain", "host", "host::ssh", LEAF[0], LEAF[1], LEAF[2], LEAF[3]]),
    ("src/host/ssm", &["domain", "host", "host::ssm", "aws", LEAF[0], LEAF[1], LEAF[2], LEAF[3]]),
    ("src/onhost/", &["domain", "host::wire", "onhost", "engine", LEAF[0]]),
    ("src/infra/", &["domain", "infra", "host::wire", LEAF[2]]),
    ("src/infra/terraform", &["domain", "infra", "infra::terraform", "host::wire", "child", LEAF[2]]),
    ("src/infra/fake", &["domain", "infra", "infra::fake", LEAF[2]]),
    ("src/infra/autoscaling", &["domain", "infra", "infra::autoscaling", LEAF[4]]),
    ("src/child", &["child"]),
    ("src/clock", &["domain"]),
    ("src/tls", &[]),
    ("src/engine", &[]),
    ("src/aws", &["aws", "tls"]),
    ("src/progress", &["domain"]),
    ("src/interrupt", &[]),
    ("src/secrets", &["domain", "host::wire", "secrets"]),
    ("src/secrets/aws", &["domain", "host::wire", "secrets", "secrets::aws", LEAF[4]]),
    ("src/config", &["domain", "host::wire", "config"]),
    (
        "src/commands/",
        &[
            "domain", "saga", "commands", "ledger", "artifact", "anchor", "registry", "image", "git", "host",
            "infra", "config", LEAF[0], LEAF[1], LEAF[2], LEAF[3], LEAF[4],
        ],
    ),
    (
        "src/cli/",
        &[
            "domain", "saga", "commands", "cli", "ledger", "artifact", "anchor", "registry", "image", "git",
            "host", "infra", "config", LEAF[0], LEAF[1], LEAF[2], LEAF[3],
        ],
    ),
    (
        "src/cli/wire",
        &[
            "domain",
            "saga",
            "commands",
            "cli",
            "ledger",
            "ledger::sqlite",
            "ledger::dynamodb",
            // A ledger that is not there yet reads as an empty one.
            "ledger::memory",
            "ledger::retry",
            "artifact",
            "artifact::file",
            "artifact::s3",
            "anchor",
            "anchor::s3",
            "registry",
            "registry::oci",
            "registry::credentials",
            "image",
            "image::docker",
            "git",
            "host",
            "host::ansible",
            "host::local",
            "host::playbook",
            "infra",
            "infra::terraform",
            "infra::autoscaling",
            "host::ssh",
            "host::ssm",
            "secrets::aws",
            "oidc",
            "config",
            LEAF[0],
            LEAF[1],
            LEAF[2],
            LEAF[3],
            LEAF[4],
        ],
    ),
];

/// Small modules that anything with IO may use.
const LEAF: [&str; 5] = ["clock", "progress", "interrupt", "secrets", "aws"];

/// Implementations of ports: only the composition root names them, and each itself.
pub(super) const IMPLEMENTATIONS: &[&str] = &[
    "ledger::sqlite",
    "ledger::dynamodb",
    "ledger::memory",
    "ledger::retry",
    "artifact::file",
    "artifact::s3",
    "artifact::memory",
    "anchor::s3",
    "anchor::memory",
    "registry::oci",
    "registry::fake",
    "registry::credentials",
    "secrets::aws",
    "image::docker",
    "image::fake",
    "host::ansible",
    "host::fake",
    "host::local",
    "host::playbook",
    "infra::terraform",
    "infra::autoscaling",
    "infra::fake",
    "host::ssh",
    "host::ssm",
];

/// Words that code may hold only in some places.
pub(super) struct Words {
    /// What the rule is called in a violation.
    pub(super) what: &'static str,
    /// The words, as they stand in code.
    pub(super) words: &'static [&'static str],
    /// Where the rule looks; empty: the whole crate.
    pub(super) within: &'static [&'static str],
    /// Where they are allowed.
    pub(super) except: &'static [&'static str],
}

pub(super) const WORDS: &[Words] = &[
    Words {
        what: "is pure: no async, IO, clock or environment",
        words: &[
            "async ",
            ".await",
            "tokio",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
            "SystemTime",
            "Instant",
            "Utc::now",
            "getrandom",
        ],
        within: &["src/domain/", "src/saga/plan", "src/saga/state"],
        except: &[],
    },
    Words {
        what: "only clock.rs asks for time and randomness",
        words: &["SystemTime::now", "Instant::now", "Utc::now", "Local::now", "getrandom", "clock_gettime"],
        within: &[],
        except: &["src/clock.rs"],
    },
    Words {
        what: "only cli/ and the two binaries print, read the environment or exit",
        words: &[
            "println!",
            "print!",
            "eprintln!",
            "eprint!",
            "dbg!",
            "std::env",
            "env::var",
            "env::args",
            "process::exit",
            "io::stdin",
            "io::stdout",
            "io::stderr",
        ],
        within: &[],
        except: &["src/cli/", "src/main.rs", "src/bin/"],
    },
    Words {
        what: "only child, host/, infra/, image/ and the credentials of registries start processes",
        words: &["process::Command", "Command::new"],
        within: &[],
        except: &[
            "src/child",
            "src/host/",
            "src/infra/",
            "src/image/",
            "src/registry/credentials",
            "src/onhost/credentials",
        ],
    },
    Words {
        what: "lints are expected with a reason, never allowed",
        words: &["#[allow(", "#![allow("],
        within: &[],
        except: &[],
    },
];

/// Longest file without a reason.
pub(super) const LONGEST: usize = 400;
/// What a longer file says in its head.
pub(super) const REASON: &str = "// Long because: ";

/// The invariants of the contract that tests must name.
pub(super) const INVARIANTS: std::ops::RangeInclusive<u32> = 1..=10;

/// What no file may say: places of somebody's machine, and references that mean nothing outside of it. Written in
/// two halves so that this file does not say them either.
pub(super) const FORBIDDEN: &[(&str, &str)] =
    &[("/wo", "rk/"), ("shared/", "design"), ("shared/", "style.md"), ("/tmp/", "brief")];

/// Documents whose links must lead to a file.
pub(super) const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/",
    "ledger-schema/",
    "app/",
    "ansible/",
];
