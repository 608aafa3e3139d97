//! Each rule catches a planted violation, and leaves its neighbour alone.

use super::checks::{changelog, forbidden, imports, invariants, length, links, words};
use super::planted;
use super::source::File;

#[test]
fn imports_against_the_layers_are_caught() {
    for (path, text) in [
        ("src/domain/x.rs", "use crate::ledger::Ledger;"),
        ("src/domain/x.rs", "use super::super::clock::Clock;"),
        ("src/saga/state.rs", "use crate::ledger::Ledger;"),
        ("src/saga/run.rs", "use crate::commands::Context;"),
        ("src/saga/run.rs", "use crate::ledger::{Ledger, sqlite::Sqlite};"),
        ("src/ledger/sqlite.rs", "use super::memory::Memory;"),
        ("src/ledger/sqlite/schema.rs", "use crate::saga::state;"),
        ("src/host/ansible.rs", "fn f() { crate::host::local::ask() }"),
        ("src/commands/deploy.rs", "use crate::cli::output::Style;"),
        ("src/commands/deploy.rs", "use crate::registry::oci::Oci;"),
        ("src/cli/args.rs", "use crate::ledger::sqlite::Sqlite;"),
        ("src/onhost/proxy.rs", "use crate::host::Fleet;"),
        ("src/main.rs", "use relman::saga::run;"),
        ("src/unheard/of.rs", ""),
    ] {
        assert_eq!(planted(imports, &[(path, text)]).len(), 1, "{path}: {text}");
    }
}

#[test]
fn imports_along_the_layers_and_in_tests_are_left_alone() {
    for (path, text) in [
        ("src/domain/x.rs", "use super::id::Digest;\nuse crate::domain::time::Timestamp;"),
        ("src/saga/run.rs", "use crate::ledger::{Ledger, LedgerError};\nuse super::state::next;"),
        ("src/ledger/sqlite.rs", "use super::{Ledger, Page};\nuse crate::clock::Clock;"),
        ("src/cli/wire.rs", "use crate::ledger::sqlite::Sqlite;"),
        (
            "src/saga/run.rs",
            "use super::state;\n#[cfg(test)]\nmod tests {\n    use crate::ledger::memory::Memory;\n}",
        ),
        ("src/domain/x.rs", "//! See [`crate::saga`].\nconst A: &str = \"crate::cli\";"),
    ] {
        assert_eq!(planted(imports, &[(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_module_that_is_declared_for_tests_may_import_what_it_likes() {
    let declares = ("src/ledger/mod.rs", "#[cfg(test)]\npub mod contract;\nmod other;\n");
    for path in ["src/ledger/contract.rs", "src/ledger/contract/lease.rs"] {
        assert!(planted(imports, &[declares, (path, "use crate::commands::Context;")]).is_empty(), "{path}");
    }
    assert_eq!(
        planted(imports, &[declares, ("src/ledger/other.rs", "use crate::commands::Context;")]).len(),
        1
    );
}

#[test]
fn words_out_of_place_are_caught_with_file_and_line() {
    for (path, text) in [
        ("src/domain/x.rs", "\npub async fn f() {}"),
        ("src/saga/plan.rs", "\nuse std::fs;"),
        ("src/saga/state.rs", "\nuse tokio::sync::Mutex;"),
        ("src/domain/x.rs", "\nfn f(at: std::time::Instant) {}"),
        ("src/host/ansible.rs", "\nlet a = Instant::now();"),
        ("src/onhost/state.rs", "\nlet a = chrono::Utc::now();"),
        ("src/commands/deploy.rs", "\nprintln!();"),
        ("src/commands/deploy.rs", "\nlet a = std::env::var_os(\"HOME\");"),
        ("src/saga/run.rs", "\nprocess::exit(1)"),
        ("src/onhost/docker.rs", "\nCommand::new(\"docker\")"),
        ("src/registry/oci.rs", "\nuse tokio::process::Command;"),
        ("src/registry/oci.rs", "\n#[allow(dead_code)]"),
    ] {
        let found = planted(words, &[(path, text)]);
        assert!(
            !found.is_empty() && found.iter().all(|v| v.starts_with(&format!("{path}:2: "))),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_test_module_in_a_file_of_its_own_hides_nothing() {
    let text = "//! A.\n#[cfg(test)]\nmod tests;\n\npub fn f() { println!() }\n";
    assert_eq!(planted(words, &[("src/host/mod.rs", text)]).len(), 1);
}

#[test]
fn the_same_words_in_their_place_are_left_alone() {
    for (path, text) in [
        ("src/clock.rs", "let a = chrono::Utc::now();"),
        ("src/cli/output/mod.rs", "println!();"),
        ("src/main.rs", "std::env::args();"),
        ("src/host/ansible.rs", "use tokio::process::Command;"),
        ("src/registry/credentials.rs", "Command::new(helper)"),
        ("src/commands/status.rs", "// println! is not for us\nlet a = \"std::env\"; my_println!();"),
        ("src/domain/x.rs", "\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    use std::fs;\n}"),
    ] {
        assert_eq!(planted(words, &[(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn long_files_need_a_reason() {
    let long = "x\n".repeat(401);
    assert_eq!(planted(length, &[("src/a.rs", &long)]).len(), 1);
    assert!(planted(length, &[("src/a.rs", &"x\n".repeat(400))]).is_empty());
    assert!(
        planted(length, &[("src/a.rs", &format!("//! A.\n// Long because: a table.\n{long}"))]).is_empty()
    );
}

#[test]
fn forbidden_words_are_caught_in_any_file() {
    let place = format!("see {}{} for more", "/wo", "rk/x");
    assert_eq!(
        planted(forbidden, &[("docs/a.md", &format!("\n{place}"))]),
        ["docs/a.md:2: says \"/wo\"".replace("/wo", concat!("/wo", "rk/"))]
    );
    let fine = format!("{}{}", "app/art.wo", "rk/x /network/ artwo");
    assert!(planted(forbidden, &[("docs/a.md", &fine)]).is_empty());
}

#[test]
fn every_invariant_needs_a_test_that_names_it() {
    let tests: String = (1..=9).map(|n| format!("fn invariant_{n}_holds() {{}}\n")).collect();
    let found = planted(invariants, &[("src/a.rs", &tests)]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("invariant_10_"), "{found:?}");
    let commented = "// fn invariant_10_in_a_comment()\n";
    assert_eq!(planted(invariants, &[("src/a.rs", &format!("{tests}{commented}"))]).len(), 1);
}

#[test]
fn a_changelog_without_a_place_for_what_comes_is_caught() {
    assert_eq!(planted(changelog, &[("CHANGELOG.md", "# Changelog\n")]).len(), 1);
    assert!(planted(changelog, &[("CHANGELOG.md", "## [Unreleased]\n")]).is_empty());
}

#[test]
fn links_that_lead_nowhere_are_caught() {
    let text = "\n[a](there.md) [b](gone.md#x) [c](https://example.com/x) [d](../src/lib.rs) [e](#here)";
    let exists = |path: &str| matches!(path, "docs/there.md" | "src/lib.rs");
    let found = links(&[File::new("docs/a.md", text)], &exists);
    assert_eq!(found, ["docs/a.md:2: link to gone.md, which is not there"]);
}
