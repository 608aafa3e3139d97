//! What Terraform is given of relman's environment: what it and its providers need, and none of the service's
//! secrets.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::host::wire::redact::Redactor;

type Environment = BTreeMap<OsString, OsString>;

const INHERITED: [&str; 24] = [
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

const VARIABLE: &str = "TF_VAR_";

/// The environment of every run. Of `TF_…`, what would change relman's own arguments or talk into its answers is left
/// out; the workspace is the configuration's alone.
pub(super) fn of(inherited: &Environment, workspace: Option<&str>) -> Environment {
    let mut environment: Environment = inherited
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(is_passed))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let settings = [("CHECKPOINT_DISABLE", "1"), ("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0")];
    environment.extend(settings.map(|(name, value)| (name.into(), value.into())));
    environment.insert("TF_WORKSPACE".into(), workspace.unwrap_or("default").into());
    environment
}

fn is_passed(name: &str) -> bool {
    match name {
        "TF_CLI_ARGS_init" => true,
        _ if ["TF_CLI_ARGS", "TF_LOG"].iter().any(|prefix| name.starts_with(prefix)) => false,
        _ => name.starts_with("AWS_") || name.starts_with("TF_") || INHERITED.contains(&name),
    }
}

/// Whether there are variables of the configuration in it.
pub(super) fn has_variables(environment: &Environment) -> bool {
    environment.keys().any(|name| name.to_str().is_some_and(|name| name.starts_with(VARIABLE)))
}

/// Takes out of texts whatever of the environment may be a secret.
pub(super) fn redactor(environment: &Environment) -> Redactor {
    let text = environment.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    text.filter(|(name, _)| {
        ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "TF_HTTP_PASSWORD"].contains(name)
            || name.starts_with("TF_TOKEN_")
            || name.starts_with(VARIABLE)
    })
    .fold(Redactor::default(), |redactor, (name, value)| redactor.and(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn invariant_10_the_services_secrets_are_not_given_to_terraform() {
        let inherited = environment(&[
            ("PATH", "/bin"),
            ("HOME", "/home/ada"),
            ("AWS_PROFILE", "web"),
            ("AWS_SECRET_ACCESS_KEY", "hunter22"),
            ("TF_VAR_region", "eu-west-1"),
            ("TF_PLUGIN_CACHE_DIR", "/cache"),
            ("TF_CLI_ARGS_init", "-backend-config=x"),
            ("TF_CLI_ARGS", "-lock=false"),
            ("TF_CLI_ARGS_apply", "-auto-approve"),
            ("TF_LOG", "trace"),
            ("TF_WORKSPACE", "other"),
            ("DATABASE_URL", "postgres://"),
            ("GITHUB_TOKEN", "x"),
            ("RELMAN_ACTOR", "ada"),
        ]);
        let names = |given: &Environment| -> Vec<String> {
            given.keys().map(|name| name.to_str().unwrap().to_owned()).collect()
        };
        let given = of(&inherited, None);
        assert_eq!(
            names(&given),
            [
                "AWS_PROFILE",
                "AWS_SECRET_ACCESS_KEY",
                "CHECKPOINT_DISABLE",
                "HOME",
                "PATH",
                "TF_CLI_ARGS_init",
                "TF_INPUT",
                "TF_IN_AUTOMATION",
                "TF_PLUGIN_CACHE_DIR",
                "TF_VAR_region",
                "TF_WORKSPACE",
            ]
        );
        assert_eq!(given[&OsString::from("TF_WORKSPACE")], "default");
        assert_eq!(of(&inherited, Some("blue"))[&OsString::from("TF_WORKSPACE")], "blue");
        assert!(has_variables(&given) && !has_variables(&environment(&[("TF_INPUT", "0")])));
        assert_eq!(
            redactor(&given).text("hunter22 in eu-west-1"),
            "[secret AWS_SECRET_ACCESS_KEY] in [secret TF_VAR_region]"
        );
    }
}
