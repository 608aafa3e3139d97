//! Commands in what relman says: whoever runs one as it stands there must not act on another environment.

use crate::domain::id::EnvironmentName;

/// Verbs that act on or look at one environment, the one that is the default where none is named.
const OF_ONE: [&str; 24] = [
    "abort",
    "approve",
    "catch-up",
    "deploy",
    "doctor",
    "freeze add",
    "freeze list",
    "freeze rm",
    "history",
    "hold",
    "infra apply",
    "infra drift",
    "infra plan",
    "ledger import",
    "lock",
    "mark",
    "reject",
    "resume",
    "rollback",
    "secrets sync",
    "show",
    "status",
    "unhold",
    "unlock",
];

/// The text with `--env NAME` in each command of relman's that means an environment and names none.
pub(super) fn for_environment(text: &str, name: &EnvironmentName) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("relman ") {
        let starts =
            rest[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '/');
        let (before, command) = rest.split_at(at + "relman ".len());
        out.push_str(before);
        rest = command;
        let Some(verb) = OF_ONE.iter().find(|verb| is_verb(command, verb)).filter(|_| starts) else {
            continue;
        };
        out.push_str(verb);
        if !names_one(&command[..end(command)]) {
            out.push_str(" --env ");
            out.push_str(name.as_str());
        }
        rest = &command[verb.len()..];
    }
    out.push_str(rest);
    out
}

fn is_verb(command: &str, verb: &str) -> bool {
    let next = |rest: &str| rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '-');
    command.strip_prefix(verb).is_some_and(next)
}

/// Where a command ends within a sentence.
fn end(command: &str) -> usize {
    let stops = [": ", ", ", "; ", "`", ")", "\n"];
    stops.iter().filter_map(|stop| command.find(stop)).min().unwrap_or(command.len())
}

/// By `--env NAME`, or by a deployment such as `production#142`.
fn names_one(command: &str) -> bool {
    let before_number = |(at, _)| command[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    command.contains("--env") || command.match_indices('#').any(before_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_which_environment_it_means() {
        let name = "staging".parse().unwrap();
        for (text, told) in [
            (
                "relman infra apply --yes: when that is what you want",
                "relman infra apply --env staging --yes: when that is what you want",
            ),
            (
                "relman unlock --reason '…' takes it away",
                "relman unlock --env staging --reason '…' takes it away",
            ),
            (
                "relman resume '#4', or relman abort",
                "relman resume --env staging '#4', or relman abort --env staging",
            ),
            ("relman show staging#4", "relman show staging#4"),
            (
                "relman deploy --env qa, then relman deploy --from qa",
                "relman deploy --env qa, then relman deploy --env staging --from qa",
            ),
            (
                "when it can be reached: relman ledger import --from-hosts; then again",
                "when it can be reached: relman ledger import --env staging --from-hosts; then again",
            ),
            ("`relman deploy` installs it", "`relman deploy --env staging` installs it"),
            ("relman releases, relman release --repair", "relman releases, relman release --repair"),
            (
                "it is not a relman ledger, and /opt/relman status is no command",
                "it is not a relman ledger, and /opt/relman status is no command",
            ),
            ("no command", "no command"),
            ("", ""),
        ] {
            assert_eq!(for_environment(text, &name), told);
        }
    }

    #[test]
    fn every_verb_with_an_environment_is_there() {
        use clap::CommandFactory as _;
        let of_none =
            ["completions", "diff", "help", "init", "release", "releases", "verify", "ledger migrate"];
        let mut all = Vec::new();
        for verb in crate::cli::args::Cli::command().get_subcommands() {
            let parts: Vec<_> = verb.get_subcommands().collect();
            match parts.is_empty() {
                true => all.push(verb.get_name().to_owned()),
                false => {
                    all.extend(parts.iter().map(|part| format!("{} {}", verb.get_name(), part.get_name())))
                }
            }
        }
        for verb in all {
            let (one, none) = (OF_ONE.contains(&verb.as_str()), of_none.contains(&verb.as_str()));
            assert!(one != none, "{verb} belongs into exactly one of the two lists");
        }
    }
}
