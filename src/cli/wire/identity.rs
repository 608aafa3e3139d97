//! Who runs this, where somebody else vouches for it. A name from git, from a variable or of the operating system is
//! a claim that anybody can make.

use super::{Purpose, Wire};
use crate::aws::FaultKind;
use crate::aws::survey::Survey;
use crate::commands::error::{CommandError, ErrorKind};
use crate::config::GitHubSettings;
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::ApprovalRule;
use crate::domain::id::EnvironmentName;
use crate::host::wire::Secret;
use crate::oidc::{self, Job, OidcError, Trusted};

impl Wire {
    /// Who runs this, by whomever this environment's approvals go by: GitHub where they name people by it, or name nobody
    /// and `[identity.github]` is there; AWS otherwise. Never by what happens to be at hand, or one person could be two.
    /// None where nobody vouches for anybody here.
    ///
    /// # Errors
    /// When whoever should vouch does not say, or what it says does not count for this.
    pub async fn proven(
        &self,
        name: &EnvironmentName,
        purpose: Purpose,
    ) -> Result<Option<Actor>, CommandError> {
        match self.by_github(self.settings(name)?.approval.as_ref()) {
            Some(github) => self.of_github(github, purpose).await,
            None => self.of_aws().await,
        }
    }

    /// What to do where nobody vouches for anybody.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn to_be_proven(
        &self,
        name: &EnvironmentName,
        purpose: Purpose,
    ) -> Result<&'static str, CommandError> {
        Ok(match (self.by_github(self.settings(name)?.approval.as_ref()), purpose) {
            (Some(_), Purpose::Decide) => {
                "gh workflow run approve.yml: here people are known by GitHub, which names them in its own jobs alone"
            }
            (Some(_), Purpose::Start) => {
                "in a job of GitHub Actions with permissions `id-token: write`: here people are known by GitHub"
            }
            (None, _) => {
                "with AWS credentials of your own: aws sso login, or AWS_PROFILE; aws-actions/configure-aws-credentials in GitHub Actions"
            }
        })
    }

    fn by_github(&self, rule: Option<&ApprovalRule>) -> Option<&GitHubSettings> {
        let github = self.config().github()?;
        let asked = rule.map(|rule| rule.approvers.as_slice()).unwrap_or_default();
        asked.iter().all(|person| person.starts_with("oidc:")).then_some(github)
    }

    async fn of_github(
        &self,
        github: &GitHubSettings,
        purpose: Purpose,
    ) -> Result<Option<Actor>, CommandError> {
        let variable = |name: &str| self.around.variable(name);
        let (Some(url), Some(bearer)) =
            (variable("ACTIONS_ID_TOKEN_REQUEST_URL"), variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
        else {
            return Ok(None);
        };
        let job = Job { url: url.to_owned(), bearer: Secret::new(bearer.to_owned()) };
        let trusted = Trusted {
            issuer: github.issuer.clone(),
            repository: github.repository.clone(),
            repository_id: github.repository_id.clone(),
            branch: github.branch.clone(),
            workflow: github.workflow.clone(),
        };
        match oidc::person(&trusted, &job, purpose, self.clock.now()).await {
            Ok(person) => {
                let name = format!("{}/{}", person.login, person.id);
                Ok(Some(Actor { name, source: ActorSource::Oidc, ..self.around.actor() }))
            }
            Err(error) => Err(told(error, purpose)),
        }
    }

    /// The identity that AWS vouches for; none where there are no credentials.
    async fn of_aws(&self) -> Result<Option<Actor>, CommandError> {
        let survey = Survey::new(self.aws.clone());
        match survey.caller().await {
            Ok(caller) => {
                Ok(Some(Actor { name: caller.arn, source: ActorSource::Sts, ..self.around.actor() }))
            }
            Err(fault) if matches!(fault.kind, FaultKind::NoCredentials | FaultKind::NoRegion) => Ok(None),
            Err(fault) => {
                let hints = fault.hints();
                let error =
                    CommandError::new(ErrorKind::Failed, "AWS does not say who this is").caused_by(fault);
                Err(hints.into_iter().fold(error, CommandError::hint))
            }
        }
    }
}

fn told(error: OidcError, purpose: Purpose) -> CommandError {
    let message = error.to_string();
    match error {
        OidcError::Unavailable { .. } => CommandError::new(ErrorKind::Failed, message)
            .hint("run the job again; identity.github.issuer in relman.toml says who is asked"),
        OidcError::Invalid(_) => CommandError::new(ErrorKind::Refused, message)
            .hint("see whether identity.github in relman.toml is right, and whether this machine's clock is"),
        OidcError::Refused(_) => CommandError::new(ErrorKind::Refused, message).hint(match purpose {
            Purpose::Decide => {
                "gh workflow run approve.yml, on the branch that identity.github in relman.toml names: by hand, and once"
            }
            Purpose::Start => {
                "gh workflow run deploy.yml, or a push, by a person, on the branch that identity.github in relman.toml names"
            }
        }),
    }
}
