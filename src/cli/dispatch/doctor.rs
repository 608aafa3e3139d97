//! `relman doctor`: what this machine knows, and what could be set up.

use super::Run;
use crate::cli::place::LedgerPlace;
use crate::cli::wire::{Access, Wire};
use crate::cli::{args, exit, output};
use crate::commands::doctor::{Facts, Parts};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{self, Site, Supply};
use crate::config::Via;

pub(super) async fn doctor(run: &Run, args: args::Doctor) -> Result<u8, CommandError> {
    let parts = match run.wire() {
        Ok(wire) => parts(&wire, args.aws).await,
        // Without a configuration there is nothing to look at but itself.
        Err(error) => {
            let facts = Facts { config: Some(Err(error.to_string())), ..Facts::default() };
            let missing = || CommandError::new(ErrorKind::Usage, "there is no usable configuration");
            Parts {
                context: Err(missing()),
                site: Err(missing()),
                supply: Err(missing()),
                infra: None,
                account: None,
                facts,
            }
        }
    };
    let report = commands::doctor::run(parts).await;
    run.print(&report, output::doctor::show)?;
    Ok(if report.healthy { exit::DONE } else { exit::code(ErrorKind::Failed) })
}

async fn parts(wire: &Wire, all: bool) -> Parts {
    let context = wire.context(Access::Read);
    let infra = wire.environment(None).ok().and_then(|name| wire.infra_of(&name).ok().flatten());
    // To read outputs would initialise it, and here nothing is changed.
    let usable = match &infra {
        Some(infra) => infra.port.validate().await.map_err(CommandError::from),
        None => Ok(()),
    };
    // What cannot be read is a failed check of Terraform's.
    let listed = context.as_ref().ok().filter(|_| usable.is_ok());
    let account = wire.account(listed, all).await;
    let site: Result<Site, CommandError> = match (&context, wire.environment(None), usable) {
        (Ok(context), Ok(name), Ok(())) => wire.site(context, name).await,
        (Err(error), ..) => Err(CommandError::new(error.kind, error.message.clone())),
        (_, Err(error), _) | (_, _, Err(error)) => Err(error),
    };
    let supply: Result<Supply, CommandError> = wire.supply();
    let roles = wire.loaded.root.join(&wire.loaded.config.ansible.directory);
    let binary = wire.host_binary();
    let uses =
        |is: fn(Via) -> bool| wire.loaded.config.environments.values().any(|environment| is(environment.via));
    let uses_roles = uses(|via| !matches!(via, Via::Playbook | Via::Ssm));
    let uses_ansible = uses(|via| via != Via::Ssm);
    let there = |path: std::path::PathBuf, is: bool| {
        if is { Ok(path.display().to_string()) } else { Err(format!("{} is not there", path.display())) }
    };
    let facts = Facts {
        config: Some(Ok(wire.loaded.file.display().to_string())),
        ledger_writable: wire.place().ok().and_then(|place| match place.ledger {
            LedgerPlace::File(path) => Some(writable(&path)),
            LedgerPlace::Table(_) => None,
        }),
        ansible: match uses_ansible {
            false => None,
            true => Some(wire.ansible().version().await.map_err(|error| error.to_string())),
        },
        roles: uses_roles.then(|| {
            let is = roles.join("site.yml").is_file();
            there(roles, is)
        }),
        agent: uses_roles.then(|| {
            let is = binary.is_file();
            there(binary, is)
        }),
    };
    Parts { context, site, infra, supply, account, facts }
}

/// Whether a file, or the nearest directory above it that exists, can be written.
fn writable(file: &std::path::Path) -> Result<(), String> {
    let nearest = file.ancestors().find(|path| path.exists()).unwrap_or(file);
    rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK)
        .map_err(|error| format!("{}: {error}", nearest.display()))
}
