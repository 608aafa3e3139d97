//! Resolves references to secrets, just before the value is needed. Values live in [`Secret`] alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::run::SecretRef;
use crate::host::wire::Secret;

/// Why a secret could not be resolved. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("secret {name}: the environment variable {variable} is not set")]
    NotSet {
        /// The secret.
        name: String,
        /// The variable.
        variable: String,
    },
    /// The file cannot be read.
    #[error("secret {name}: {path} cannot be read")]
    File {
        /// The secret.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Longer than a secret may be.
    #[error("secret {name} has more than {limit} bytes")]
    TooLong {
        /// The secret.
        name: String,
        /// The limit.
        limit: usize,
    },
}

const LIMIT: usize = 64 * 1024;

/// Where references lead: the environment as the command line found it, and files relative to a root.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The variables of this process.
    pub variables: BTreeMap<String, Secret>,
    /// What relative file references are relative to.
    pub root: PathBuf,
}

impl Secrets {
    /// The values of these references by name. One trailing newline of a file is not part of the value.
    ///
    /// # Errors
    /// For the first reference that leads nowhere; it names the secret and the place, never a value.
    pub fn resolve(
        &self,
        references: &BTreeMap<String, SecretRef>,
    ) -> Result<BTreeMap<String, Secret>, SecretError> {
        references
            .iter()
            .map(|(name, reference)| Ok((name.clone(), self.resolve_one(name, reference)?)))
            .collect()
    }

    fn resolve_one(&self, name: &str, reference: &SecretRef) -> Result<Secret, SecretError> {
        let secret =
            match reference {
                SecretRef::Env(variable) => self.variables.get(variable).cloned().ok_or_else(|| {
                    SecretError::NotSet { name: name.to_owned(), variable: variable.clone() }
                })?,
                SecretRef::File(path) => {
                    let path = self.root.join(path);
                    let text = std::fs::read_to_string(&path).map_err(|source| SecretError::File {
                        name: name.to_owned(),
                        path: path.clone(),
                        source,
                    })?;
                    Secret::new(text.strip_suffix('\n').unwrap_or(&text).to_owned())
                }
            };
        if secret.expose().len() > LIMIT {
            return Err(SecretError::TooLong { name: name.to_owned(), limit: LIMIT });
        }
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_errors_and_debug_hold_no_value() {
        let secrets = Secrets {
            variables: [("TOKEN".to_owned(), Secret::new("hunter2".to_owned()))].into(),
            root: "/nowhere".into(),
        };
        let references =
            |text: &str| [("token".to_owned(), SecretRef::try_from(text.to_owned()).unwrap())].into();
        let found = secrets.resolve(&references("env:TOKEN")).unwrap();
        assert_eq!(found["token"].expose(), "hunter2");
        assert!(!format!("{found:?} {secrets:?}").contains("hunter2"));
        assert!(secrets.resolve(&references("env:OTHER")).unwrap_err().to_string().contains("OTHER"));
        assert!(
            secrets.resolve(&references("file:token")).unwrap_err().to_string().contains("/nowhere/token")
        );
    }
}
