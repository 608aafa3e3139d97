//! Errors of the infrastructure and of its outputs. No host was touched when one arises.

use super::{CommandError, ErrorKind};
use crate::aws::Fault;
use crate::infra::inventory::InventoryError;
use crate::infra::members::GroupError;
use crate::infra::{InfraError, Lock};

impl From<InfraError> for CommandError {
    fn from(error: InfraError) -> Self {
        let message = error.to_string();
        let log = last_lines(error.log().unwrap_or_default(), &message);
        let failed = || {
            log.iter()
                .cloned()
                .fold(CommandError::new(ErrorKind::Failed, message.clone()), CommandError::detail)
        };
        match error {
            InfraError::Missing { .. } | InfraError::TooOld { .. } => {
                failed().hint("install Terraform 1.11 or newer, and put it on PATH; relman doctor")
            }
            InfraError::NoConfiguration { .. } => CommandError::new(ErrorKind::Usage, message)
                .hint("environments.NAME.terraform.directory in relman.toml says where it is"),
            InfraError::NotInitialised { directory, .. } => {
                failed().hint(format!("terraform -chdir={directory} init"))
            }
            InfraError::Locked { directory, workspace, lock } => {
                locked(failed(), &directory, workspace.as_deref(), &lock)
            }
            InfraError::Stale { .. } => failed().hint("again: it is planned anew"),
            InfraError::Stopped { .. } => CommandError::new(ErrorKind::Interrupted, message)
                .detail("Terraform ended itself: what it had done is in the state.")
                .hint("relman infra plan: what is left to do"),
            // What could not even be planned is planned no better a second time.
            InfraError::Failed { what, .. } if !what.starts_with("terraform apply") => failed()
                .hint("mend what Terraform says (its configuration, variables by var_files of environments.NAME.terraform, credentials), then run the same again"),
            InfraError::Failed { .. } => failed().hint("relman infra plan: what is left to do"),
            InfraError::Unreadable { source, .. } => failed().caused_by(source).hint(
                "run that command by hand: with -json it must print JSON and nothing else; relman doctor",
            ),
            InfraError::TooMuch { .. } => failed().hint(
                "what it says has to fit: move what relman needs not know into a configuration of its own",
            ),
            InfraError::Io { source, .. } => failed()
                .caused_by(source)
                .hint("look at the rights of that place and at the room on its disk; relman doctor"),
        }
    }
}

/// The end of what was said, where the message is not all of it.
fn last_lines(log: &str, message: &str) -> Vec<String> {
    const SHOWN: usize = 20;
    let lines: Vec<&str> = log.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    let is_told = |line: &&str| message.contains(line.trim().trim_start_matches("Error: "));
    if lines.iter().all(is_told) {
        return Vec::new();
    }
    lines.iter().skip(lines.len().saturating_sub(SHOWN)).map(|line| (*line).to_owned()).collect()
}

fn locked(mut error: CommandError, directory: &str, workspace: Option<&str>, lock: &Lock) -> CommandError {
    for (name, value) in [
        ("Who", &lock.who),
        ("Doing", &lock.operation),
        ("Since", &lock.created),
        ("State", &lock.path),
        ("Lock", &lock.id),
    ] {
        if !value.is_empty() {
            error = error.detail(format!("{name}: {value}"));
        }
    }
    let variable = workspace.map(|name| format!("TF_WORKSPACE={name} ")).unwrap_or_default();
    error.hint("wait until they are done; --lock-wait 15m does").hint(format!(
        "{variable}terraform -chdir={directory} force-unlock {}: only when it is certain that they died",
        lock.id
    ))
}

impl From<InventoryError> for CommandError {
    fn from(error: InventoryError) -> Self {
        let message = error.to_string();
        let usage = || CommandError::new(ErrorKind::Usage, message.clone());
        match error {
            InventoryError::NeverApplied => CommandError::new(ErrorKind::Failed, message)
                .hint("relman infra apply: make the machines"),
            InventoryError::NoOutput | InventoryError::NoHosts => usage()
                .hint("let the Terraform configuration have an output relman_hosts with a name and an address for each host")
                .hint("relman infra apply, if the configuration has it and the state does not yet"),
            InventoryError::NoMembers { group } => CommandError::new(ErrorKind::Failed, message)
                .hint(describe(&group))
                .hint("let the group have an instance (aws autoscaling set-desired-capacity), then again"),
            InventoryError::NoTemplate { .. } => usage()
                .hint("relman infra apply: it puts that host into the outputs")
                .hint("let relman_config have a host_template (infra/README.md): then nothing has to be applied for a host that comes"),
            InventoryError::Elsewhere { .. } => {
                usage().hint("environments.NAME.terraform in relman.toml: directory and workspace")
            }
            InventoryError::Invalid(problems) => problems
                .iter()
                .skip(1)
                .fold(usage(), |error, problem| error.detail(problem.to_string()))
                .hint("correct the output in the Terraform configuration, then relman infra apply"),
        }
    }
}

impl From<GroupError> for CommandError {
    fn from(error: GroupError) -> Self {
        let message = error.to_string();
        match error {
            GroupError::Missing { group, .. } => CommandError::new(ErrorKind::Failed, message)
                .hint(describe(&group))
                .hint("set AWS_REGION to the region of the group, if that is another")
                .hint("relman infra plan: whether the group was removed beside the configuration"),
            GroupError::Elsewhere { group, made_in, .. } => CommandError::new(ErrorKind::Usage, message)
                .hint(format!("set AWS_REGION={made_in}, or region of the profile"))
                .hint(describe(&group)),
            GroupError::Unavailable { group, source, .. } => {
                let (kind, hints) = match source.downcast_ref::<Fault>() {
                    Some(fault) if fault.is_configuration() => (ErrorKind::Usage, fault.hints()),
                    Some(fault) => (ErrorKind::Failed, fault.hints()),
                    None => (ErrorKind::Failed, vec!["relman doctor --aws".to_owned()]),
                };
                let error = CommandError::new(kind, message).caused_by(source);
                hints.into_iter().fold(error, CommandError::hint).hint(describe(&group))
            }
        }
    }
}

/// The command that shows what AWS has of a group.
pub(in crate::commands) fn describe(group: &str) -> String {
    format!("aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group}: what it has")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::FaultKind;

    #[test]
    fn a_held_lock_names_its_holder_and_the_exact_command() {
        let lock = Lock {
            id: "618e8c67".into(),
            who: "ada@laptop".into(),
            operation: "OperationTypeApply".into(),
            created: "2026-11-26 08:02:09 +0000 UTC".into(),
            path: "web/terraform.tfstate".into(),
        };
        let error = |workspace: Option<&str>| -> CommandError {
            InfraError::Locked {
                directory: "infra/live/single".into(),
                workspace: workspace.map(str::to_owned),
                lock: Box::new(lock.clone()),
            }
            .into()
        };
        let found = error(None);
        assert_eq!(found.kind, ErrorKind::Failed);
        assert_eq!(
            found.message,
            "the state of infra/live/single is locked by ada@laptop since 2026-11-26 08:02:09 +0000 UTC"
        );
        assert!(found.details.contains(&"Doing: OperationTypeApply".to_owned()));
        assert!(found.hints[1].starts_with("terraform -chdir=infra/live/single force-unlock 618e8c67: "));
        assert!(error(Some("blue")).hints[1].starts_with("TF_WORKSPACE=blue terraform -chdir="));
    }

    #[test]
    fn what_was_said_beyond_the_message_is_on_the_screen() {
        let error = |log: &str| -> CommandError {
            InfraError::Failed { what: "terraform init".into(), said: "first why".into(), log: log.into() }
                .into()
        };
        assert!(error("Error: first\n\nwhy\n").details.is_empty());
        assert_eq!(error("Error: first\n\nError: second\n").details, ["Error: first", "Error: second"]);
        let long: String = (0..50).map(|n| format!("line {n}\n")).collect();
        assert_eq!(error(&long).details.len(), 20);
    }

    #[test]
    fn a_group_that_cannot_be_asked_names_group_region_permission_and_next_command() {
        let denied = |kind: FaultKind| -> CommandError {
            let fault = Fault::new(kind, "autoscaling:DescribeAutoScalingGroups", "no".into());
            let (group, region) = ("web-production".into(), "eu-central-1".into());
            GroupError::Unavailable { group, region, source: fault.into() }.into()
        };
        let error = denied(FaultKind::Denied);
        assert_eq!(error.kind, ErrorKind::Failed);
        let all = format!("{} {}", crate::commands::error::chain(&error), error.hints.join("; "));
        for part in [
            "web-production in eu-central-1",
            "autoscaling:DescribeAutoScalingGroups is not allowed",
            "infra/bootstrap",
            "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names web-production",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert_eq!(denied(FaultKind::NoCredentials).kind, ErrorKind::Usage);
        assert!(denied(FaultKind::NoAnswer).hints[0].contains("relman doctor"));
    }

    #[test]
    fn what_the_configuration_says_wrong_is_usage_and_what_happened_is_a_failure() {
        use crate::infra::inventory::Problem;
        let place = || "infra".to_owned();
        let problem = |n: u32| Problem { place: format!("relman_hosts[{n}].name"), reason: "x".into() };
        let cases: Vec<(CommandError, ErrorKind, &str)> = vec![
            (InfraError::Missing { command: "terraform".into() }.into(), ErrorKind::Failed, "1.11"),
            (
                InfraError::NoConfiguration { directory: place() }.into(),
                ErrorKind::Usage,
                "terraform.directory",
            ),
            (
                InfraError::NotInitialised { directory: place(), said: "x".into(), log: "x".into() }.into(),
                ErrorKind::Failed,
                "terraform -chdir=infra init",
            ),
            (InfraError::Stale { directory: place() }.into(), ErrorKind::Failed, "planned anew"),
            (InfraError::Stopped { what: place() }.into(), ErrorKind::Interrupted, "relman infra plan"),
            (
                InfraError::Failed { what: "terraform apply in x".into(), said: "x".into(), log: "x".into() }
                    .into(),
                ErrorKind::Failed,
                "relman infra plan",
            ),
            (
                InfraError::Failed { what: "terraform plan in x".into(), said: "x".into(), log: "x".into() }
                    .into(),
                ErrorKind::Failed,
                "then run the same again",
            ),
            (InventoryError::NeverApplied.into(), ErrorKind::Failed, "relman infra apply"),
            (InventoryError::NoOutput.into(), ErrorKind::Usage, "relman_hosts"),
            (InventoryError::NoHosts.into(), ErrorKind::Usage, "relman_hosts"),
            (
                InventoryError::Invalid(vec![problem(0), problem(1)]).into(),
                ErrorKind::Usage,
                "correct the output",
            ),
        ];
        for (error, kind, hint) in cases {
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.hints.iter().any(|found| found.contains(hint)), "{error}: {:?}", error.hints);
        }
        let all: CommandError = InventoryError::Invalid(vec![problem(0), problem(1)]).into();
        assert_eq!(
            (all.message.as_str(), all.details.as_slice()),
            ("relman_hosts[0].name: x", &["relman_hosts[1].name: x".to_owned()][..])
        );
    }
}
