//! The arguments. Everything is parsed into domain types here, at the edge; nothing beyond is text from a user
//! that was not looked at.

mod change;
mod freeze;
mod read;
pub mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use change::*;
pub use freeze::*;
pub use read::*;

use crate::domain::id::EnvironmentName;

/// Release and rollback manager for containerised services on plain hosts.
///
/// A commit becomes a release (version, commit and image digest, bound in a ledger), a release is deployed to an
/// environment and rolled back to any recorded one. Every attempt is in the ledger.
#[derive(Debug, Parser)]
#[command(name = "relman", version, after_long_help = after_help(), max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Environment; needed where the configuration has several and names no default
    #[arg(long, short = 'e', global = true, value_name = "NAME")]
    pub env: Option<EnvironmentName>,
    /// What stdout gets
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "table|json"
    )]
    pub output: Output,
    /// Answer yes to every question
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// No colour; NO_COLOR does the same
    #[arg(long, global = true)]
    pub no_color: bool,
    /// No progress on stderr
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Every entry in the progress, and which files are used
    #[arg(long, global = true)]
    pub verbose: bool,
    /// Configuration file; without it, relman.toml here or in the nearest directory above
    #[arg(long, global = true, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// How progress is shown on stderr: live (a line per host), lines, or json (NDJSON)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|live|lines|json"
    )]
    pub progress: ProgressMode,
}

/// `--output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Live on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// A live line per host.
    Live,
    /// A line per entry.
    Lines,
    /// Entries as NDJSON.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a repository with a Dockerfile deployable; overwrites nothing
    #[command(after_help = "Example:\n  relman init --ledger sqlite:/var/lib/relman/web.db")]
    Init(Init),
    /// Check everything that a deploy will need, all failures at once
    #[command(
        after_help = "Examples:\n  relman doctor\n  relman doctor --aws   on a real account, before the first deploy there"
    )]
    Doctor(Doctor),
    /// Version, build, push, bind, tag and record the commit at HEAD; idempotent
    #[command(after_help = "Examples:
  relman release --dry-run
  relman release --version 2.0.0
  relman release --image registry.example/web@sha256:…   adopt a finished build")]
    Release(Release),
    /// List releases, newest version first
    Releases(Releases),
    /// Make an environment serve a release; without TARGET, the release of HEAD
    #[command(after_help = "Examples:
  relman deploy
  relman deploy v1.4.2 --env staging
  relman deploy --dry-run
  relman deploy v1.4.1 --allow-older --reason 'customer demo'")]
    Deploy(Deploy),
    /// Go back to a release that was proven here; without --to, the newest that does not serve
    #[command(after_help = "Examples:
  relman rollback
  relman rollback --list
  relman rollback --to v1.4.1 --reason 'errors at checkout'")]
    Rollback(Rollback),
    /// Go on with an interrupted deployment
    Resume(Resume),
    /// Stop the deployment in flight and go back to what served before
    Abort(Abort),
    /// Let a deployment that waits go on: as an identity that AWS vouches for
    #[command(after_help = "Example:\n  relman approve production#142 --reason 'looked at the plan'")]
    Approve(Approve),
    /// End a deployment that waits for an approval; no host was touched
    Reject(Reject),
    /// On a host: make it serve what the ledger wants; its boot unit runs this
    #[command(name = "catch-up")]
    CatchUp(CatchUp),
    /// Stop deploys to an environment until `unhold`
    Hold(WithReason),
    /// Allow deploys again
    Unhold(WithReason),
    /// Times of the calendar in which nothing is deployed; a rollback is exempt
    #[command(subcommand)]
    Freeze(FreezeVerb),
    /// Record a verdict on a release in an environment
    #[command(after_help = "Examples:
  relman mark faulty '#142' --reason 'loses orders'
  relman mark proven v1.4.2 --reason 'a week without trouble'")]
    Mark(Mark),
    /// List deployments, newest first
    #[command(after_help = "Examples:
  relman history --limit 5
  relman history --outcome rolled_back --since 30d
  relman history -o json | jq -r '.deployments[].version'")]
    History(History),
    /// Show one deployment: plan, run configuration, entries, and why it failed
    #[command(after_help = "Example:\n  relman show production#142")]
    Show(Show),
    /// Show what each host runs beside what the ledger wants
    Status(Status),
    /// Compare two releases, or a release with what serves: commits, image, run configuration
    #[command(after_help = "Examples:
  relman diff                    what HEAD would change
  relman diff v1.4.1 v1.4.2")]
    Diff(Diff),
    /// Check the ledger's chain, and the links from a release to its commit, tags and image
    Verify(Verify),
    /// Show who holds the deploy lock; with --reason, hold it until --ttl is over or Ctrl-C
    #[command(after_help = "Examples:
  relman lock
  relman lock --reason 'database maintenance' --ttl 2h

The lock lives as long as this process. To stop deploys for longer, use `relman hold`.")]
    Lock(Lock),
    /// Take the deploy lock away from whoever holds it, and free it
    Unlock(WithReason),
    /// Look at the infrastructure below an environment, or bring it to what its configuration says
    #[command(after_help = "Examples:
  relman infra plan
  relman infra plan --no-lock        with rights to read the state only
  relman infra apply --lock-wait 15m
  relman infra apply --yes           also when something is removed or replaced
  relman infra drift --exit-code     for a schedule: 8 when there is a difference")]
    Infra(Infra),
    /// Secrets that are kept in a store with versions
    #[command(subcommand)]
    Secrets(SecretsVerb),
    /// Move the ledger to another place
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  relman completions bash > /etc/bash_completion.d/relman")]
    Completions(Completions),
}

fn after_help() -> String {
    let mut text = "\
Examples:
  relman init                        once per repository
  relman deploy                      release HEAD if needed, and deploy it
  relman rollback                    back to the newest proven release
  relman history -o json | jq        stdout holds the result alone

TARGET is a version (v1.4.2), a commit (7 to 40 hex digits), a digest (sha256:…),
a deployment (production#142, or #142 with --env), or @-N (N proven releases back).

Exit codes:
"
    .to_owned();
    for (code, meaning) in super::exit::TABLE {
        text.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("relman").chain(line.split(' ')))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn targets_and_names_are_domain_types() {
        let cli = parse("deploy v1.4.2 --env staging --hosts web-1,web-2 --lock-wait 15m").unwrap();
        let Verb::Deploy(deploy) = cli.verb else { panic!() };
        assert_eq!(deploy.target.unwrap().to_string(), "v1.4.2");
        assert_eq!(deploy.hosts.len(), 2);
        assert_eq!(deploy.lock_wait.as_secs(), 900);
        for bad in
            ["deploy latest", "deploy v1 --env A", "history --env a/b", "deploy --hosts ../x", "show x"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    /// A global option and one of a verb must not share a name: clap finds that out only when it is used.
    #[test]
    fn every_verb_parses_with_every_global_option() {
        let global =
            "--env production -o json --yes --no-color --verbose --config-file x.toml --progress lines";
        for verb in [
            "release",
            "releases",
            "deploy",
            "rollback --config now --secrets then --to v1.0.0",
            "resume",
            "abort",
            "catch-up",
            "hold --reason x",
            "unhold --reason x",
            "mark faulty #3 --reason x",
            "history",
            "show #3",
            "status",
            "diff",
            "verify",
            "doctor",
            "lock",
            "unlock --reason x",
            "infra plan",
            "infra apply",
            "infra drift",
            "secrets sync",
            "ledger migrate --to sqlite:x.db",
            "completions bash",
            "init",
        ] {
            let parsed = std::panic::catch_unwind(|| parse(&format!("{verb} {global}")).map(|_| ()));
            assert!(matches!(parsed, Ok(Ok(()))), "{verb}: {parsed:?}");
        }
    }

    #[test]
    fn named_overrides_need_a_reason() {
        for flag in ["--allow-older", "--override-hold", "--fixes #3"] {
            assert!(parse(&format!("deploy v1.0.0 {flag}")).is_err(), "{flag}");
            assert!(parse(&format!("deploy v1.0.0 {flag} --reason x")).is_ok(), "{flag}");
        }
        assert!(parse("rollback --no-hold").is_err());
        assert!(parse("hold").is_err());
        assert!(parse("unlock").is_err());
        assert!(parse("mark faulty #3").is_err());
    }
}
