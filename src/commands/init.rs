//! `relman init`: makes a repository with a Dockerfile deployable. Writes what is missing and overwrites nothing, so
//! that it can be run again at any time.

mod guess;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::{ErrorKind as IoKind, Write as _};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use serde::Serialize;

use super::error::{CommandError, ErrorKind};
use crate::clock::Clock;
use crate::config::check;
use crate::git::Repository;

/// Roles, playbooks and plugins, as they are in this repository.
static ANSIBLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ansible");
const CONFIG: &str = include_str!("init/relman.toml");
const WORKFLOW: &str = include_str!("init/deploy.yml");

/// What to do.
#[derive(Debug, Clone)]
pub struct Args {
    /// The root of the repository.
    pub root: PathBuf,
    /// The ledger's URL; none: the embedded ledger.
    pub ledger: Option<String>,
    /// The URL of the artifacts; none: beside a ledger that is a file.
    pub artifacts: Option<String>,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// Files that were written, relative to the root.
    pub created: Vec<String>,
    /// Files that were there and stay as they are.
    pub kept: Vec<String>,
    /// What to look at.
    pub notes: Vec<String>,
    /// What to do next, in order.
    pub next: Vec<String>,
}

/// Writes what is missing.
///
/// # Errors
/// When there is no Dockerfile, or a file cannot be written.
pub fn run(clock: &dyn Clock, args: &Args) -> Result<Report, CommandError> {
    let root = args.root.as_path();
    if !root.is_dir() {
        return Err(CommandError::new(ErrorKind::Usage, format!("{} is no directory", root.display())));
    }
    check_places(args)?;
    let repository = Repository::discover(root).ok().flatten();
    let facts = guess::facts(root, repository.as_ref())?;
    let mut report =
        Report { schema: 1, created: Vec::new(), kept: Vec::new(), notes: Vec::new(), next: Vec::new() };
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let ledger = match &args.ledger {
        Some(url) => format!("url = {}", text(url)),
        None => "# url = \"sqlite:/var/lib/relman/ledger.db\"".to_owned(),
    };
    let artifacts = match &args.artifacts {
        Some(url) => format!("\n[artifacts]\nurl = {}\n", text(url)),
        None => String::new(),
    };
    // A table may be the ledger of other services already, and has its id then.
    let id = match &args.ledger {
        Some(url) if url.starts_with("dynamodb:") => "# id = \"…\" # refuses any other ledger".to_owned(),
        _ => format!("id = {}", text(clock.token().as_str())),
    };
    let ansible = match facts.ansible.as_str() {
        "ansible" => String::new(),
        other => format!("\n[ansible]\ndirectory = {}\n", text(other)),
    };
    let config = CONFIG
        .replace("@name@", &text(facts.name.as_str()))
        .replace("@repository@", &text(&facts.image))
        .replace("@context@", &text(&facts.context))
        .replace("@id@", &id)
        .replace("@ledger@", &ledger)
        .replace("@artifacts@", &artifacts)
        .replace("@port@", &facts.port.to_string())
        .replace("@health@", &text(&facts.health))
        .replace("@ansible@", &ansible);
    report.write(root, Path::new("relman.toml"), config.as_bytes())?;
    report.write_all(root, Path::new(&facts.ansible), &ANSIBLE)?;
    let workflow = WORKFLOW.replace("@branch@", &facts.branch);
    report.write(root, Path::new(".github/workflows/deploy.yml"), workflow.as_bytes())?;
    report.notes = facts.notes;
    if repository.is_none() {
        report.notes.push("this is no git repository yet: git init".to_owned());
    }
    if !root.join(&facts.context).join(".dockerignore").exists() {
        report
            .notes
            .push("there is no .dockerignore: everything that is committed goes into the build".to_owned());
    }
    let registry = facts.image.split('/').next().unwrap_or_default();
    report.next = vec![
        "edit relman.toml: image.repository, the hosts of [environments.production]".to_owned(),
        format!("docker login {registry}"),
        "relman doctor".to_owned(),
        "git add . && git commit -m \"build: deploy with relman\"".to_owned(),
        "relman deploy --dry-run".to_owned(),
        "relman deploy".to_owned(),
    ];
    Ok(report)
}

fn check_places(args: &Args) -> Result<(), CommandError> {
    let wrong = |flag: &str, url: &str, why: &str| {
        Err(CommandError::new(ErrorKind::Usage, format!("{flag} {url:?} {why}")))
    };
    if let Some(url) = &args.ledger {
        if let Some(why) = check::ledger_url(url) {
            return wrong("--ledger", url, &why);
        }
        if url.starts_with("dynamodb:") && args.artifacts.is_none() {
            let text = "a ledger in DynamoDB has no folder beside it for plans, manifests and logs";
            return Err(CommandError::new(ErrorKind::Usage, text).hint(
                "add --artifacts s3://BUCKET[/PREFIX]; infra/bootstrap makes table and bucket (docs/aws.md)",
            ));
        }
    }
    if let Some(url) = &args.artifacts
        && let Some(why) = check::artifacts_url(url)
    {
        return wrong("--artifacts", url, &why);
    }
    Ok(())
}

impl Report {
    /// Writes a file that is not there. Whoever wrote one meanwhile wins.
    fn write(&mut self, root: &Path, path: &Path, content: &[u8]) -> Result<(), CommandError> {
        let name = path.display().to_string();
        let target = root.join(path);
        let write = || -> std::io::Result<bool> {
            if let Some(directory) = target.parent() {
                std::fs::create_dir_all(directory)?;
            }
            match OpenOptions::new().write(true).create_new(true).open(&target) {
                Ok(mut file) => file.write_all(content).and_then(|()| file.sync_all()).map(|()| true),
                Err(error) if error.kind() == IoKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        };
        match write() {
            Ok(true) => self.created.push(name),
            Ok(false) => self.kept.push(name),
            Err(error) => {
                let message = format!("{} cannot be written", target.display());
                return Err(CommandError::new(ErrorKind::Failed, message).caused_by(error));
            }
        }
        Ok(())
    }

    fn write_all(&mut self, root: &Path, under: &Path, directory: &Dir<'_>) -> Result<(), CommandError> {
        for file in directory.files() {
            // What Python leaves beside its sources is no part of the roles.
            if file.path().extension().is_none_or(|extension| extension != "pyc") {
                self.write(root, &under.join(file.path()), file.contents())?;
            }
        }
        for inner in directory.dirs() {
            self.write_all(root, under, inner)?;
        }
        Ok(())
    }
}
