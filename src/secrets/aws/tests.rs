use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::aws::Limits;
use crate::aws::testing::variable;
use crate::secrets::contract::{Shelves, holds};

fn reference(text: &str) -> SecretRef {
    SecretRef::try_from(text.to_owned()).unwrap()
}

/// Something that answers everything in one way, as AWS or something before it might. Counts the requests.
fn answering(status: u16, code: &'static str, body: &'static str) -> (String, Arc<AtomicU32>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let counted = counted.clone();
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut part) {
                    request.extend_from_slice(&part[..n]);
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let Some(head) = text.find("\r\n\r\n") else { continue };
                    let length = text
                        .split("content-length: ")
                        .nth(1)
                        .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
                    if request.len() >= head + 4 + length.unwrap_or(0) {
                        break;
                    }
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.1\r\nx-amzn-errortype: {code}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    (address, count)
}

/// No account of whoever runs this: requests go to loopback, and are signed with nothing.
async fn refusal(reference_text: &str, status: u16, code: &'static str, body: &'static str) -> StoreFault {
    let (address, _) = answering(status, code, body);
    let limits =
        Limits { attempt: std::time::Duration::from_secs(2), operation: std::time::Duration::from_secs(6) };
    let store = AwsStore::new(Arc::new(Chain::fresh(address).signed().within(limits)));
    store.get(&reference(reference_text)).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_says_what_is_wrong_and_what_to_do() {
    let key = "ssm:/relman/web/production/key";
    let db = "secretsmanager:relman/web/production/db";
    for (reference, status, code, body, refusal_, hint) in [
        (key, 400, "ParameterNotFound", "{}", Refusal::Missing, "put-parameter"),
        (key, 400, "ParameterVersionNotFound", "{}", Refusal::NoSuchVersion, "get-parameter-history"),
        (
            key,
            400,
            "AccessDeniedException",
            r#"{"message":"User: arn:aws:sts::1:assumed-role/deploy/x is not authorized to perform: ssm:GetParameter on resource: y"}"#,
            Refusal::Denied,
            "ssm:GetParameter on /relman/web/production/key",
        ),
        (
            key,
            400,
            "AccessDeniedException",
            r#"{"message":"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."}"#,
            Refusal::Key,
            "kms:Decrypt on its key, by way of ssm.us-east-1",
        ),
        (key, 400, "InvalidKeyId", "{}", Refusal::Key, "kms:Decrypt"),
        (key, 400, "ThrottlingException", "{}", Refusal::Throttled, "again in a minute"),
        (key, 400, "ExpiredTokenException", "{}", Refusal::Unavailable, "aws sso login"),
        (key, 500, "InternalServerError", "{}", Refusal::Unavailable, "relman doctor"),
        (key, 200, "", "<html>hunter2</html>", Refusal::Unavailable, "proxy"),
        (key, 200, "", r#"{"Parameter":{"Version":1}}"#, Refusal::Unavailable, "relman doctor"),
        (key, 200, "", r#"{"Parameter":{"Value":"hunter2","#, Refusal::Unavailable, "proxy"),
        (
            db,
            400,
            "ResourceNotFoundException",
            r#"{"Message":"Secrets Manager can't find the specified secret."}"#,
            Refusal::Missing,
            "create-secret",
        ),
        (
            db,
            400,
            "ResourceNotFoundException",
            r#"{"Message":"Secrets Manager can't find the specified secret value for staging label: X"}"#,
            Refusal::NoSuchVersion,
            "list-secret-version-ids",
        ),
        (
            db,
            400,
            "InvalidRequestException",
            r#"{"Message":"You can't perform this operation on the secret because it was marked for deletion."}"#,
            Refusal::Deleted,
            "restore-secret",
        ),
        (
            db,
            400,
            "AccessDeniedException",
            r#"{"Message":"Access to KMS is not allowed"}"#,
            Refusal::Key,
            "by way of secretsmanager.us-east-1",
        ),
        (db, 400, "DecryptionFailure", "{}", Refusal::Key, "kms:Decrypt"),
        (db, 200, "", r#"{"VersionId":"x","SecretBinary":"/////w=="}"#, Refusal::NotText, "base64"),
    ] {
        let fault = refusal(reference, status, code, body).await;
        assert_eq!(fault.refusal, refusal_, "{code} {body}: {fault:?}");
        assert!(fault.hints.iter().any(|line| line.contains(hint)), "{code}: {:?}", fault.hints);
        assert_eq!(fault.region, "us-east-1");
        let text = format!("{fault} {fault:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_throttled_is_tried_again_first() {
    let (address, count) = answering(400, "ThrottlingException", "{}");
    let store = AwsStore::new(Arc::new(Chain::fresh(address).signed()));
    assert_eq!(store.get(&reference("ssm:/a")).await.unwrap_err().refusal, Refusal::Throttled);
    // And who we are was asked for once more.
    assert!(count.load(Ordering::SeqCst) >= 3, "{count:?}");
}

struct Moto(Arc<Chain>);

#[async_trait::async_trait]
impl Shelves for Moto {
    async fn put(&self, reference_text: &str, value: &str) {
        let config = self.0.config(QUICK).await.unwrap();
        match reference(reference_text) {
            SecretRef::Parameter(stored) => {
                let client = aws_sdk_ssm::Client::new(&config);
                let put = client.put_parameter().name(stored.name).value(value).overwrite(true);
                put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).send().await.unwrap();
            }
            SecretRef::Managed(stored) => {
                let client = aws_sdk_secretsmanager::Client::new(&config);
                let put = client.put_secret_value().secret_id(&stored.name).secret_string(value);
                if put.send().await.is_err() {
                    let made = client.create_secret().name(stored.name).secret_string(value);
                    made.send().await.unwrap();
                }
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
#[ignore = "tests/aws/run brings moto"]
async fn both_stores_keep_the_contract() {
    let chain = Arc::new(Chain::to(variable("RELMAN_TEST_SECRETS")));
    let store = AwsStore::new(chain.clone());
    let fresh = crate::ledger::contract::fixture::fresh();
    for prefix in [format!("ssm:/relman/{fresh}"), format!("secretsmanager:relman/{fresh}")] {
        holds(&store, &Moto(chain.clone()), &prefix).await;
    }
}

#[tokio::test]
#[ignore = "tests/aws/run brings moto"]
async fn labels_and_stages_lead_to_the_version_that_they_are_at() {
    let chain = Arc::new(Chain::to(variable("RELMAN_TEST_SECRETS")));
    let (store, moto) = (AwsStore::new(chain.clone()), Moto(chain.clone()));
    let config = chain.config(QUICK).await.unwrap();
    let fresh = crate::ledger::contract::fixture::fresh();
    let (parameter, secret) = (format!("/relman/{fresh}/key"), format!("relman/{fresh}/db"));
    for value in ["first", "second"] {
        moto.put(&format!("ssm:{parameter}"), value).await;
        moto.put(&format!("secretsmanager:{secret}"), value).await;
    }
    let client = aws_sdk_ssm::Client::new(&config);
    let label = client.label_parameter_version().name(&parameter).parameter_version(1).labels("stable");
    label.send().await.unwrap();
    let found = store.get(&reference(&format!("ssm:{parameter}:stable"))).await.unwrap();
    assert_eq!((found.value.expose(), found.version.as_str()), ("first", "1"));
    let found = store.get(&reference(&format!("secretsmanager:{secret}:AWSPREVIOUS"))).await.unwrap();
    assert_eq!(found.value.expose(), "first");
    let current = store.get(&reference(&format!("secretsmanager:{secret}"))).await.unwrap();
    assert_ne!(found.version, current.version);
    // Which of the two is not there moto does not tell of a stage, as AWS does.
    let fault = store.get(&reference(&format!("secretsmanager:{secret}:NONE"))).await.unwrap_err();
    assert!(matches!(fault.refusal, Refusal::NoSuchVersion | Refusal::Missing), "{fault}");

    let client = aws_sdk_secretsmanager::Client::new(&config);
    client.delete_secret().secret_id(&secret).send().await.unwrap();
    let fault = store.get(&reference(&format!("secretsmanager:{secret}"))).await.unwrap_err();
    assert_eq!(fault.refusal, Refusal::Deleted, "{fault}");
}
