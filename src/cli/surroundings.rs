//! What the process finds around it: the only place that reads the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::domain::actor::{Actor, ActorSource};

/// Variables, directory, machine, user.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Variables whose name and value are text.
    pub variables: BTreeMap<String, String>,
    /// All variables.
    pub raw: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub directory: PathBuf,
    /// The machine's name.
    pub machine: String,
    /// The user's name as the operating system knows it.
    pub user: String,
    /// relman's own executable.
    pub executable: Option<PathBuf>,
}

impl Surroundings {
    /// As they are now.
    ///
    /// # Errors
    /// When there is no working directory any more.
    pub fn capture() -> std::io::Result<Self> {
        let raw: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let text = |value: &OsString| value.clone().into_string().ok();
        let variables: BTreeMap<String, String> =
            raw.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        let user = user(&variables);
        Ok(Self {
            directory: std::env::current_dir()?,
            machine: clean(&rustix::system::uname().nodename().to_string_lossy()),
            user,
            executable: std::env::current_exe().ok(),
            variables,
            raw,
        })
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Who runs relman, and how we know.
    pub fn actor(&self) -> Actor {
        let run_url = self.run_url().filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        let ci = self.variable("GITHUB_ACTOR").or_else(|| self.variable("GITLAB_USER_LOGIN"));
        let (name, source) = match (self.variable("RELMAN_ACTOR"), ci) {
            (Some(given), _) => (given, ActorSource::Given),
            (None, Some(ci)) => (ci, ActorSource::Ci),
            (None, None) => (self.user.as_str(), ActorSource::Os),
        };
        Actor { name: clean(name), source, run_url: run_url.map(|url| clean(&url)) }
    }

    fn run_url(&self) -> Option<String> {
        if let Some(url) = self.variable("CI_JOB_URL") {
            return Some(url.to_owned());
        }
        let server = self.variable("GITHUB_SERVER_URL")?;
        let repository = self.variable("GITHUB_REPOSITORY")?;
        Some(format!("{server}/{repository}/actions/runs/{}", self.variable("GITHUB_RUN_ID")?))
    }

    /// Whether the job's machine is made for this job alone, so that nothing on its disk outlives it. By the
    /// variables of the CI systems themselves.
    pub fn is_disposable(&self) -> bool {
        self.variable("RUNNER_ENVIRONMENT") == Some("github-hosted")
            || self.variable("CI_DISPOSABLE_ENVIRONMENT") == Some("true")
    }

    /// The workspace of a CI job, which is emptied between jobs.
    pub fn workspace(&self) -> Option<PathBuf> {
        let workspace = self.variable("GITHUB_WORKSPACE").or_else(|| self.variable("CI_PROJECT_DIR"));
        workspace.map(PathBuf::from)
    }
}

/// One line without control characters, short enough for an entry.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The name of the user id; what `USER` says may be another's under sudo or cron.
fn user(variables: &BTreeMap<String, String>) -> String {
    let uid = rustix::process::getuid().as_raw();
    let named = std::fs::read_to_string("/etc/passwd").ok().and_then(|passwd| name_of(&passwd, uid));
    let name = named.or_else(|| variables.get("USER").cloned()).unwrap_or_else(|| format!("uid {uid}"));
    clean(&name)
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Surroundings {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Surroundings { variables, user: "ada".into(), ..Surroundings::default() }
    }

    #[test]
    fn the_actor_is_given_or_of_ci_or_of_the_system() {
        assert_eq!(with(&[]).actor().name, "ada");
        let github = [
            ("GITHUB_ACTOR", "bob"),
            ("GITHUB_SERVER_URL", "https://github.example"),
            ("GITHUB_REPOSITORY", "a/b"),
            ("GITHUB_RUN_ID", "7"),
        ];
        let actor = with(&github).actor();
        assert_eq!((actor.name.as_str(), actor.source), ("bob", ActorSource::Ci));
        assert_eq!(actor.run_url.as_deref(), Some("https://github.example/a/b/actions/runs/7"));
        let actor = with(&[("GITHUB_ACTOR", "bob"), ("RELMAN_ACTOR", "eve\x1b[2J\n")]).actor();
        assert_eq!((actor.name.as_str(), actor.source), ("eve[2J", ActorSource::Given));
    }

    #[test]
    fn a_user_id_has_its_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(name_of(passwd, 7), None);
    }
}
