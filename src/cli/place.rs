//! Where ledger and artifacts lie. A place where the ledger would be lost is refused.

use std::path::{Path, PathBuf};

use super::surroundings::Surroundings;
use crate::commands::error::{CommandError, ErrorKind};
use crate::config::load::Loaded;
use crate::domain::id::{EnvironmentName, ServiceName};

/// Where the ledger lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In a file.
    File(PathBuf),
    /// In a table of DynamoDB.
    Table(String),
}

/// Where artifacts lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactPlace {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of S3: `BUCKET` or `BUCKET/PREFIX`.
    Bucket(String),
}

/// Where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The ledger.
    pub ledger: LedgerPlace,
    /// The artifacts.
    pub artifacts: ArtifactPlace,
}

/// Where they lie by configuration and surroundings.
///
/// # Errors
/// When the configuration names none, or one where the ledger would be lost.
pub fn place(loaded: &Loaded, around: &Surroundings) -> Result<Place, CommandError> {
    let ledger = match loaded.config.ledger.url.as_deref().and_then(|url| url.strip_prefix("dynamodb:")) {
        Some(table) => LedgerPlace::Table(table.to_owned()),
        None => LedgerPlace::File(file(loaded, around)?),
    };
    let artifacts = match (loaded.config.artifacts.url.as_deref(), &ledger) {
        (Some(url), _) => match url.strip_prefix("s3://") {
            Some(place) => ArtifactPlace::Bucket(place.to_owned()),
            None => ArtifactPlace::Folder(loaded.root.join(url.strip_prefix("file:").unwrap_or("artifacts"))),
        },
        (None, LedgerPlace::File(file)) => {
            ArtifactPlace::Folder(file.parent().unwrap_or(Path::new("/")).join("artifacts"))
        }
        (None, LedgerPlace::Table(_)) => {
            return Err(CommandError::new(ErrorKind::Usage, "artifacts.url is missing")
                .hint("a ledger in DynamoDB needs artifacts.url = \"s3://BUCKET/PREFIX\""));
        }
    };
    Ok(Place { ledger, artifacts })
}

/// Where the keys of hosts that are met for the first time are written.
///
/// # Errors
/// When nothing says where the user's state is.
pub fn known_hosts(place: &Place, around: &Surroundings) -> Result<PathBuf, CommandError> {
    match &place.ledger {
        LedgerPlace::File(file) => Ok(file.with_file_name("known_hosts")),
        LedgerPlace::Table(_) => Ok(state(around)?.join("relman/known_hosts")),
    }
}

/// Where it is remembered how the hosts of an environment are reached when nobody else can tell.
///
/// # Errors
/// When nothing says where the user's state is.
pub fn offline_memory(
    around: &Surroundings,
    service: &ServiceName,
    environment: &EnvironmentName,
) -> Result<PathBuf, CommandError> {
    Ok(state(around)?.join("relman/hosts").join(service.as_str()).join(format!("{environment}.json")))
}

/// The file of a ledger on this machine.
fn file(loaded: &Loaded, around: &Surroundings) -> Result<PathBuf, CommandError> {
    let settings = &loaded.config.ledger;
    let ledger = match (settings.url.as_deref().and_then(|url| url.strip_prefix("sqlite:")), &settings.id) {
        (Some(path), _) => loaded.root.join(path),
        (None, Some(id)) => state(around)?.join("relman").join(id.as_str()).join("ledger.db"),
        (None, None) => {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("{} says neither ledger.id nor ledger.url", loaded.file.display()),
            )
            .hint("relman init shows what to add; or set ledger.url = \"sqlite:PATH\""));
        }
    };
    if !settings.allow_ephemeral
        && let Some(why) = ephemeral(&ledger, around)
    {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("the ledger {} would be lost: {why}", ledger.display()),
        )
        .hint(
            "run relman on a runner of your own, with ledger.url = \"sqlite:PATH\" outside of its workspace",
        )
        .hint("or keep it in DynamoDB, with ledger.url = \"dynamodb:TABLE\" (docs/aws.md)")
        .hint("or accept the loss with ledger.allow_ephemeral = true"));
    }
    Ok(ledger)
}

/// The user's state directory (XDG Base Directory Specification).
fn state(around: &Surroundings) -> Result<PathBuf, CommandError> {
    let given = around.variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(|| Some(Path::new(around.variable("HOME")?).join(".local/state"))).ok_or_else(|| {
        CommandError::new(ErrorKind::Usage, "neither XDG_STATE_HOME nor HOME says where the ledger is")
            .hint("set one of them, or ledger.url in relman.toml")
    })
}

fn ephemeral(ledger: &Path, around: &Surroundings) -> Option<String> {
    if around.is_disposable() {
        return Some("this CI machine goes away with the job".to_owned());
    }
    let workspace = around.workspace()?;
    let root = workspace.canonicalize().unwrap_or_else(|_| workspace.clone());
    // A ledger that is not there yet has no canonical path; its nearest ancestor has.
    let nearest = ledger.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    nearest
        .unwrap_or_else(|| ledger.to_owned())
        .starts_with(root)
        .then(|| format!("{} is the workspace of a CI job", workspace.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::load;

    fn loaded(root: &Path, ledger: &str) -> Loaded {
        let text = format!(
            "[service]\nname = \"web\"\n[image]\nrepository = \"r.example/web\"\n[run]\nport = 1\n[ledger]\n{ledger}\n"
        );
        std::fs::write(root.join(load::FILE), text).unwrap();
        load::load(None, root, &BTreeMap::new()).unwrap()
    }

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Surroundings { variables, ..Surroundings::default() }
    }

    #[test]
    fn the_embedded_ledger_lies_in_the_state_directory() {
        let root = tempfile::tempdir().unwrap();
        let id = "ab".repeat(16);
        let loaded = loaded(root.path(), &format!("id = \"{id}\""));
        let found = place(&loaded, &around(&[("HOME", "/home/ada")])).unwrap();
        let file = |path: String| LedgerPlace::File(path.into());
        assert_eq!(found.ledger, file(format!("/home/ada/.local/state/relman/{id}/ledger.db")));
        let folder = ArtifactPlace::Folder(format!("/home/ada/.local/state/relman/{id}/artifacts").into());
        assert_eq!(found.artifacts, folder);
        let found = place(&loaded, &around(&[("HOME", "/home/ada"), ("XDG_STATE_HOME", "/s")])).unwrap();
        assert_eq!(found.ledger, file(format!("/s/relman/{id}/ledger.db")));
        assert_eq!(place(&loaded, &around(&[])).unwrap_err().kind, ErrorKind::Usage);
    }

    #[test]
    fn a_ledger_in_dynamodb_is_never_lost_and_needs_a_bucket() {
        let root = tempfile::tempdir().unwrap();
        let text = "url = \"dynamodb:relman-ledger\"\n[artifacts]\nurl = \"s3://artifacts/team/web\"";
        let hosted = around(&[("RUNNER_ENVIRONMENT", "github-hosted")]);
        let found = place(&loaded(root.path(), text), &hosted).unwrap();
        assert_eq!(found.ledger, LedgerPlace::Table("relman-ledger".into()));
        assert_eq!(found.artifacts, ArtifactPlace::Bucket("artifacts/team/web".into()));
        std::fs::write(
            root.path().join(load::FILE),
            "[service]\nname = \"web\"\n[image]\nrepository = \"r.example/web\"\n[run]\nport = 1\n[ledger]\nurl = \"dynamodb:abc\"\n",
        )
        .unwrap();
        let error = load::load(None, root.path(), &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("artifacts.url"), "{error}");
    }

    #[test]
    fn without_id_and_url_the_fix_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = place(&loaded(root.path(), ""), &around(&[("HOME", "/h")])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.hints[0].contains("relman init"));
    }

    #[test]
    fn where_it_would_be_lost_it_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().to_str().unwrap();
        let inside = loaded(root.path(), "url = \"sqlite:state/ledger.db\"");
        assert!(place(&inside, &around(&[("CI", "true")])).is_ok(), "CI=true alone says nothing");
        for variable in ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"] {
            assert!(place(&inside, &around(&[(variable, at)])).is_err(), "{variable}");
            assert!(place(&inside, &around(&[(variable, "/elsewhere")])).is_ok(), "{variable}");
        }
        let hosted = around(&[("RUNNER_ENVIRONMENT", "github-hosted")]);
        assert!(place(&inside, &hosted).is_err());
        let allowed = loaded(root.path(), "url = \"sqlite:ledger.db\"\nallow_ephemeral = true");
        assert!(place(&allowed, &hosted).is_ok());
    }
}
