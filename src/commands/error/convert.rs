//! From the errors below to the one error that leaves a command: which kind each is, and what to do next.

use std::error::Error as StdError;

use super::{CommandError, ErrorKind};
use crate::artifact::ArtifactError;
use crate::aws::Fault;
use crate::config::load::ConfigError;
use crate::domain::deployment::NoApproval;
use crate::domain::project::Illegal;
use crate::ledger::{LeaseView, LedgerError};
use crate::registry::RegistryError;
use crate::secrets::SecretError;

impl From<LedgerError> for CommandError {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        let new = |kind| CommandError::new(kind, message.clone());
        match error {
            LedgerError::Held { stream, lease } => held(&stream.to_string(), &lease),
            LedgerError::Fenced { .. } => new(ErrorKind::Held)
                .detail("Somebody took the deploy lock over; this relman stopped and touches nothing more.")
                .hint("relman status: who works on it now, and what the hosts run"),
            LedgerError::Unavailable { source, .. } => {
                unavailable(message, source, "relman doctor: whether the ledger can be reached and written")
            }
            LedgerError::Unusable { .. } => {
                new(ErrorKind::Usage).hint("[ledger] in relman.toml says which ledger is used")
            }
            LedgerError::Entry { source, .. } => new(ErrorKind::Unverified)
                .caused_by(source)
                .hint("relman verify: what still holds, and from where on it does not"),
            LedgerError::Illegal(illegal) => illegal.into(),
        }
    }
}

/// Something that could not be reached. AWS says why, and so what to do.
fn unavailable(message: String, source: Box<dyn StdError + Send + Sync>, hint: &str) -> CommandError {
    let Some(fault) = source.downcast_ref::<Fault>() else {
        return CommandError::new(ErrorKind::Failed, message).caused_by(source).hint(hint);
    };
    let kind = if fault.is_configuration() { ErrorKind::Usage } else { ErrorKind::Failed };
    let hints = fault.hints();
    hints.into_iter().fold(CommandError::new(kind, message).caused_by(source), CommandError::hint)
}

fn held(stream: &str, lease: &LeaseView) -> CommandError {
    let holder = &lease.holder;
    let mut error = CommandError::new(
        ErrorKind::Held,
        format!("the deploy lock of {stream} is held by {} on {}", holder.actor.name, holder.machine),
    )
    .detail(format!("Doing: {}", holder.purpose))
    .detail(format!("Since: {} (process {} on {})", holder.since, holder.pid, holder.machine));
    if let Some(url) = &holder.actor.run_url {
        error = error.detail(format!("Run:   {url}"));
    }
    error
        .hint("wait until they are done, with --lock-wait 15m where the command takes it; the lock of a process that died is free by itself")
        .hint("relman unlock --reason '…' takes it away")
}

impl From<Illegal> for CommandError {
    fn from(illegal: Illegal) -> Self {
        let message = illegal.to_string();
        match illegal {
            Illegal::NoFreeze(_) => CommandError::new(ErrorKind::NotFound, message)
                .hint("relman freeze list: those that there are; those of relman.toml are removed there"),
            Illegal::TooManyFreezes => CommandError::new(ErrorKind::Refused, message)
                .hint("relman freeze list, then relman freeze rm ID --reason '…': one that is not needed")
                .hint("environments.NAME.freeze in relman.toml has room for those of each year"),
            Illegal::NoHold => CommandError::new(ErrorKind::Failed, "the environment is not on hold"),
            Illegal::Active(number) => CommandError::new(ErrorKind::InProgress, message)
                .hint(format!("relman resume '#{number}', or relman abort")),
            Illegal::Moved { to, .. } => CommandError::new(ErrorKind::Usage, message)
                .hint(format!("set [ledger] url = \"{to}\" in relman.toml")),
            Illegal::Importing(_) => CommandError::new(ErrorKind::Usage, message)
                .hint("relman ledger migrate, by the configuration of the ledger that it comes from: it goes on from there")
                .hint("until it has ended, that ledger is the one in force"),
            Illegal::UnknownVersion(_) | Illegal::UnknownDeployment(_) => {
                CommandError::new(ErrorKind::NotFound, message).hint("relman releases, relman history")
            }
            Illegal::NoApproval { why: NoApproval::NotProven, .. } => {
                CommandError::new(ErrorKind::Refused, message)
            }
            Illegal::NoApproval { deployment, .. } => CommandError::new(ErrorKind::Refused, message)
                .hint(format!("relman show '#{deployment}': who is asked, and who started it")),
            Illegal::OtherPlan { deployment, .. } => CommandError::new(ErrorKind::Refused, message)
                .hint(format!("relman show '#{deployment}': what it would do now")),
            _ => CommandError::new(ErrorKind::Failed, message),
        }
    }
}

impl From<ArtifactError> for CommandError {
    fn from(error: ArtifactError) -> Self {
        let message = error.to_string();
        match error {
            ArtifactError::Unavailable { source, .. } => unavailable(message, source, "relman doctor"),
            ArtifactError::Missing { .. } => CommandError::new(ErrorKind::NotFound, message)
                .hint("relman rollback --config now does without the run configuration of then"),
            ArtifactError::Corrupt { .. } => {
                CommandError::new(ErrorKind::Unverified, message).hint("relman verify")
            }
        }
    }
}

impl From<RegistryError> for CommandError {
    fn from(error: RegistryError) -> Self {
        let hint = match &error {
            RegistryError::Denied { registry, .. } => format!("docker login {registry}"),
            _ => "relman doctor".to_owned(),
        };
        let message = error.to_string();
        match error {
            RegistryError::Repository(_) => {
                CommandError::new(ErrorKind::Usage, message).hint("set image.repository in relman.toml")
            }
            RegistryError::Unavailable { source, .. } => {
                CommandError::new(ErrorKind::Failed, message).caused_by(source).hint(hint)
            }
            _ => CommandError::new(ErrorKind::Failed, message).hint(hint),
        }
    }
}

impl From<SecretError> for CommandError {
    fn from(error: SecretError) -> Self {
        let message = error.to_string();
        if let SecretError::Store { fault, .. } = &error {
            let kind = if fault.is_configuration() { ErrorKind::Usage } else { ErrorKind::Failed };
            return fault.hints.iter().fold(CommandError::new(kind, message), |error, hint| error.hint(hint));
        }
        let result = CommandError::new(ErrorKind::Usage, message)
            .hint("[run.secrets] in relman.toml says where secrets come from");
        match error {
            SecretError::File { source, .. } => result.caused_by(source),
            SecretError::Store { .. } => result,
            SecretError::NotSet { .. } | SecretError::Field { .. } | SecretError::TooLong { .. } => result,
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        let result = CommandError::new(ErrorKind::Usage, error.to_string());
        match error {
            ConfigError::Missing(_) => result.hint("relman init makes one"),
            ConfigError::Unreadable { source, .. } => result.caused_by(source),
            ConfigError::Invalid(problems) => problems
                .iter()
                .skip(1)
                .fold(result, |result, problem| result.detail(problem.to_string()))
                .hint("correct it, then relman doctor checks everything else"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::actor::{Actor, ActorSource};
    use crate::domain::deployment::Holder;
    use crate::domain::id::Token;
    use crate::domain::time::Timestamp;

    #[test]
    fn who_holds_the_lock_since_when_and_where() {
        let lease = LeaseView {
            fence: 7,
            holder: Holder {
                nonce: Token::from_bits([1; 16]),
                actor: Actor {
                    name: "ada".into(),
                    source: ActorSource::Ci,
                    run_url: Some("https://ci.example/1".into()),
                },
                machine: "runner-3".into(),
                pid: 42,
                purpose: "deploy v1.4.2".into(),
                since: Timestamp::from_millis(0).unwrap(),
            },
            renewal: Token::from_bits([2; 16]),
            ttl: Duration::from_secs(60),
            released: false,
            holder_dead: false,
        };
        let error: CommandError =
            LedgerError::Held { stream: "web/production".parse().unwrap(), lease: Box::new(lease) }.into();
        assert_eq!(error.kind, ErrorKind::Held);
        assert_eq!(error.message, "the deploy lock of web/production is held by ada on runner-3");
        let details = error.details.join("\n");
        for part in ["deploy v1.4.2", "1970-01-01T00:00:00.000Z", "process 42", "https://ci.example/1"] {
            assert!(details.contains(part), "{details}");
        }
    }

    /// The kind decides on the exit code, whichever verb meets the error.
    #[test]
    fn each_error_has_one_kind() {
        use crate::domain::entry::EntryError;
        use crate::domain::id::Digest;
        use crate::ledger::Location;
        let place = || Location("sqlite:/l".into());
        let (stream, digest) = (|| "web".parse().unwrap(), || Digest::of(b"x"));
        let entry = EntryError::Unreadable { stream: stream(), seq: 3, detail: "x".into() };
        let (registry, repository) = ("r.example".to_owned(), "r.example/web".to_owned());
        let cases: Vec<(CommandError, ErrorKind, &str)> = vec![
            (
                LedgerError::Unavailable { location: place(), transient: true, source: "x".into() }.into(),
                ErrorKind::Failed,
                "relman doctor",
            ),
            (
                LedgerError::Unusable { location: place(), reason: "x".into() }.into(),
                ErrorKind::Usage,
                "[ledger]",
            ),
            (
                LedgerError::Entry { location: place(), source: entry }.into(),
                ErrorKind::Unverified,
                "relman verify",
            ),
            (
                LedgerError::Fenced { stream: stream(), held: 1, current: 2 }.into(),
                ErrorKind::Held,
                "relman status",
            ),
            (
                ArtifactError::Unavailable {
                    location: "file:/a".into(),
                    transient: false,
                    source: "x".into(),
                }
                .into(),
                ErrorKind::Failed,
                "relman doctor",
            ),
            (
                ArtifactError::Corrupt { digest: digest(), location: "file:/a".into(), found: digest() }
                    .into(),
                ErrorKind::Unverified,
                "relman verify",
            ),
            (RegistryError::Repository("x".into()).into(), ErrorKind::Usage, "image.repository"),
            (
                RegistryError::Denied { registry, repository }.into(),
                ErrorKind::Failed,
                "docker login r.example",
            ),
        ];
        for (error, kind, hint) in cases {
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.hints.iter().any(|found| found.contains(hint)), "{error}: {:?}", error.hints);
        }
    }
}
