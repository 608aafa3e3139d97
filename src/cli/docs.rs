//! `docs/config.md` and `docs/cli.md`, made from the code. A test fails when they are stale; `UPDATE_DOCS=1` writes
//! them.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use super::{args, exit};
use crate::config::keys::{self, Kind};
use crate::config::load::{FILE, OTHER_VARIABLES};
use crate::config::overrides;

const MADE: &str = "<!-- Made from the code: UPDATE_DOCS=1 cargo test docs -->\n\n";

fn config() -> String {
    let mut text = format!(
        "# {FILE}\n\n{MADE}It lies at the root of the repository; relman looks for it from the working directory \
         upwards. Unknown keys are errors. Relative paths are relative to the file. Secrets are never written into \
         it: a key of `[run.secrets]` says where a value comes from.\n"
    );
    let mut sections: Vec<String> = Vec::new();
    for (section, _) in keys::KEYS.iter().map(|key| split(key.path)) {
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    for section in sections {
        let _ = write!(text, "\n## {section}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n");
        for key in keys::KEYS.iter().filter(|key| split(key.path).0 == section) {
            let default = if key.default.is_empty() { "must be given" } else { key.default };
            let meaning = key.doc.replace('|', "\\|");
            let _ =
                writeln!(text, "| `{}` | {} | {default} | {meaning} |", split(key.path).1, key.kind.name());
        }
    }
    let scalar = keys::KEYS.iter().filter(|key| key.kind.is_scalar() && !key.path.contains('#')).count();
    let _ = write!(
        text,
        "\n## Variables\n\nEach of the {scalar} keys that take text, a number, or true or false can be overridden: \
         `{}` is `environments.production.via`. A `RELMAN_` variable that overrides nothing is an error. Lists \
         cannot be overridden.\n\n| variable | meaning |\n|---|---|\n",
        overrides::variable("environments.production.via")
    );
    for (name, meaning) in OTHER_VARIABLES {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    text
}

/// Section and key of a path, as TOML writes them.
fn split(path: &str) -> (String, String) {
    let shown = path.replacen("environments.*", "environments.NAME", 1);
    let (head, last) = shown.rsplit_once('.').unwrap_or(("", &shown));
    let last = if last == "*" { "NAME" } else { last };
    match head.strip_suffix(".#") {
        Some(list) => (format!("Items of {list}"), last.to_owned()),
        None => (format!("[{head}]"), last.to_owned()),
    }
}

fn cli() -> String {
    let mut text = format!("# Command line\n\n{MADE}## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in exit::TABLE {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    let mut command = args::Cli::command().term_width(100);
    command.build();
    let _ = write!(text, "\n## relman\n\n```text\n{}```\n", plain(command.render_help().to_string()));
    for verb in command.get_subcommands_mut() {
        let name = verb.get_name().to_owned();
        // The global options are explained once.
        let shown = verb.clone().mut_args(|arg| {
            let global = arg.is_global_set();
            arg.hide(global)
        });
        let help = plain(shown.term_width(100).render_long_help().to_string());
        let _ = write!(text, "\n## relman {name}\n\n```text\n{help}```\n");
    }
    text
}

fn plain(help: String) -> String {
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn is_current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/{name} is stale: UPDATE_DOCS=1 cargo test docs");
}

#[test]
fn docs_of_the_configuration_are_current() {
    assert!(keys::KEYS.iter().all(|key| key.kind != Kind::Any || key.path.ends_with('*')));
    is_current("config.md", &config());
}

#[test]
fn docs_of_the_command_line_are_current() {
    is_current("cli.md", &cli());
}
