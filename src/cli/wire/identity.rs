//! Who runs this, where somebody else vouches for it. A name from git, from a variable or of the operating system is
//! a claim that anybody can make.

use super::Wire;
use crate::aws::FaultKind;
use crate::aws::survey::Survey;
use crate::commands::error::{CommandError, ErrorKind};
use crate::domain::actor::{Actor, ActorSource};

impl Wire {
    /// The identity that AWS vouches for; none where there are no credentials.
    ///
    /// # Errors
    /// When AWS does not say, although there are some.
    pub async fn proven(&self) -> Result<Option<Actor>, CommandError> {
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
