//! What `[run.secrets]` refers to and cannot be had.

use super::Case;
use super::accounts::{CLOUD, DOCTOR, cloud, one};
use super::server::{Plan, Reply};

pub(super) fn cases() -> Vec<Case> {
    let refused = |code: &str, message: &str| {
        Reply::Json(400, format!(r#"{{"__type":"{code}","message":"{message}"}}"#))
    };
    let denied = "User: arn:aws:sts::123456789012:assumed-role/deploy/me is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:123456789012:parameter/relman/web/production/key because no identity-based policy allows the ssm:GetParameter action";
    let kms = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.";
    let gone = "Secrets Manager can't find the specified secret value for VersionId: 00000000-0000-4000-8000-000000000000";
    let case = |name, says: &[&'static str], plan: Plan| {
        let config = format!(
            "{CLOUD}[environments.production.secrets]\nKEY = \"ssm:/relman/web/production/key\"\nDB = \"secretsmanager:relman/web/production/db\"\n"
        );
        let good = vec![
            (
                "GetParameter",
                Reply::Json(
                    200,
                    r#"{"Parameter":{"Value":"hunter2-of-the-service","Version":7}}"#.to_owned(),
                ),
            ),
            (
                "GetSecretValue",
                Reply::Json(200, r#"{"SecretString":"hunter2-of-the-service","VersionId":"v1"}"#.to_owned()),
            ),
        ];
        cloud(name, DOCTOR, 1, says, plan.into_iter().chain(good).collect()).config(config)
    };
    let key = "secret KEY: ssm:/relman/web/production/key in us-east-1";
    let db = "secret DB: secretsmanager:relman/web/production/db in us-east-1";
    vec![
        case("secrets that can be had", &["2 can be resolved; versions of now: DB v1, KEY 7"], Vec::new()),
        case(
            "a parameter that is not there",
            &[key, "it does not exist", "aws ssm put-parameter --region us-east-1"],
            one("GetParameter", refused("ParameterNotFound", "")),
        ),
        case(
            "a version of a parameter that is gone",
            &[key, "does not have this version", "get-parameter-history --region us-east-1"],
            one("GetParameter", refused("ParameterVersionNotFound", "")),
        ),
        case(
            "no permission to read a parameter",
            &[
                key,
                "asked for as arn:aws:sts::",
                "access is denied",
                "give ssm:GetParameter on /relman/web/production/key",
            ],
            one("GetParameter", refused("AccessDeniedException", denied)),
        ),
        case(
            "a key of KMS that may not be used",
            &[key, "KMS key", "kms:Decrypt on its key, by way of ssm.us-east-1.amazonaws.com"],
            one("GetParameter", refused("AccessDeniedException", kms)),
        ),
        case(
            "a secret whose version is gone",
            &[db, "does not have this version", "list-secret-version-ids --region us-east-1"],
            one("GetSecretValue", refused("ResourceNotFoundException", gone)),
        ),
        case(
            "a secret that is about to be deleted",
            &[db, "marked for deletion", "aws secretsmanager restore-secret --region us-east-1"],
            one("GetSecretValue", refused("InvalidRequestException", "it was marked for deletion")),
        ),
        case(
            "an answer with a secret that was cut",
            &[db, "it could not be asked for"],
            one(
                "GetSecretValue",
                Reply::Json(200, r#"{"SecretString":"hunter2-of-the-service","#.to_owned()),
            ),
        ),
    ]
}
