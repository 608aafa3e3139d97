//! What can be guessed of a repository: enough that two lines are left to edit.

use std::path::Path;

use crate::commands::error::{CommandError, ErrorKind};
use crate::domain::id::ServiceName;
use crate::git::Repository;

/// What was guessed.
pub(super) struct Facts {
    /// From the directory's name.
    pub(super) name: ServiceName,
    /// From the remote `origin`.
    pub(super) image: String,
    /// The directory with the Dockerfile.
    pub(super) context: String,
    /// From EXPOSE.
    pub(super) port: u16,
    /// From HEALTHCHECK.
    pub(super) health: String,
    /// The branch that is checked out.
    pub(super) branch: String,
    /// Where the roles go.
    pub(super) ansible: String,
    /// What could not be guessed.
    pub(super) notes: Vec<String>,
}

pub(super) fn facts(root: &Path, repository: Option<&Repository>) -> Result<Facts, CommandError> {
    let mut notes = Vec::new();
    let context = context(root)?;
    let dockerfile = std::fs::read_to_string(root.join(&context).join("Dockerfile")).unwrap_or_default();
    let port = port(&dockerfile).unwrap_or_else(|| {
        notes.push("the Dockerfile has no EXPOSE: run.port is a guess".to_owned());
        8000
    });
    let health = health(&dockerfile).unwrap_or_else(|| {
        notes.push("run.health.path is a guess: the service must answer there when it is ready".to_owned());
        "/healthz".to_owned()
    });
    let directory = root.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let name = name(&directory.unwrap_or_default())?;
    let origin = repository.and_then(|git| git.remote("origin").ok().flatten());
    let image = origin.as_deref().and_then(image).unwrap_or_else(|| {
        notes.push("image.repository is a placeholder: name your registry".to_owned());
        format!("registry.example.com/{name}")
    });
    let branch = repository.and_then(|git| git.head().ok()?.branch).filter(|branch| is_plain(branch));
    Ok(Facts {
        name,
        image,
        context,
        port,
        health,
        branch: branch.unwrap_or_else(|| "main".to_owned()),
        ansible: ansible(root, &mut notes),
        notes,
    })
}

/// Here, or the one directory below that has a Dockerfile.
fn context(root: &Path) -> Result<String, CommandError> {
    if root.join("Dockerfile").is_file() {
        return Ok(".".to_owned());
    }
    let below = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<String> = below
        .filter(|entry| entry.path().join("Dockerfile").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_plain(name))
        .collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let message = format!("there is no Dockerfile in {} or right below it", root.display());
            Err(CommandError::new(ErrorKind::Usage, message)
                .hint("write a Dockerfile, then run relman init again"))
        }
        many => {
            let message = format!("there are several Dockerfiles: in {}", many.join(", "));
            Err(CommandError::new(ErrorKind::Usage, message)
                .hint("run relman init in the directory of the service"))
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
}

/// The last EXPOSE, as its first port.
pub(super) fn port(dockerfile: &str) -> Option<u16> {
    let mut ports = dockerfile.lines().filter_map(|line| {
        let (word, rest) = line.trim().split_once(char::is_whitespace)?;
        let digits: String = rest.trim().chars().take_while(char::is_ascii_digit).collect();
        if word.eq_ignore_ascii_case("EXPOSE") { digits.parse().ok().filter(|port| *port > 0) } else { None }
    });
    ports.next_back()
}

/// The path of the URL that HEALTHCHECK asks.
pub(super) fn health(dockerfile: &str) -> Option<String> {
    let check = dockerfile.split_once("HEALTHCHECK")?.1;
    let address = check.split_once("http://")?.1;
    let path = &address[address.find('/')?..];
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c)).unwrap_or(path.len());
    Some(path[..end].to_owned())
}

/// A service name from a directory's name.
pub(super) fn name(directory: &str) -> Result<ServiceName, CommandError> {
    let plain: String = directory
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let plain = plain.trim_matches('-');
    let name = if plain.is_empty() { "service" } else { plain };
    name.parse().map_err(|error| {
        CommandError::new(ErrorKind::Failed, "no service name can be made of the directory's name")
            .caused_by(error)
    })
}

/// The image's place in the registry that belongs to a code host.
pub(super) fn image(origin: &str) -> Option<String> {
    let address = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    let address = address.rsplit_once('@').map_or(address, |(_, rest)| rest);
    let (host, path) = address.split_once(['/', ':'])?;
    let registry = match host {
        "github.com" => "ghcr.io",
        "gitlab.com" => "registry.gitlab.com",
        _ => return None,
    };
    let path = path.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase();
    (is_plain(&path) && path.contains('/')).then(|| format!("{registry}/{path}"))
}

/// `ansible`, unless a team keeps something else there: its files and ours would mix.
fn ansible(root: &Path, notes: &mut Vec<String>) -> String {
    let config = std::fs::read_to_string(root.join("relman.toml")).unwrap_or_default();
    let table: toml::Table = config.parse().unwrap_or_default();
    let named = table.get("ansible").and_then(|ansible| ansible.get("directory")).and_then(|d| d.as_str());
    if let Some(named) =
        named.filter(|named| is_plain(named) && !named.starts_with('/') && !named.contains(".."))
    {
        return named.to_owned();
    }
    if root.join("ansible").exists() && !root.join("ansible/perform.yml").exists() {
        notes.push("ansible/ is yours: relman's roles are in relman-ansible/".to_owned());
        return "relman-ansible".to_owned();
    }
    "ansible".to_owned()
}
