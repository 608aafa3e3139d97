//! The look against moto: what it sees, and that it leaves nothing behind.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use super::*;
use crate::aws::testing::{fresh_bucket, variable};

async fn fresh_table(survey: &Survey) -> String {
    let name = format!("relman-{}", crate::ledger::contract::fixture::fresh());
    let mut request = survey.dynamodb().await.unwrap().create_table().table_name(&name);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().unwrap();
        let named = AttributeDefinition::builder().attribute_name(attribute);
        let text = named.attribute_type(ScalarAttributeType::S).build().unwrap();
        request = request.key_schema(key).attribute_definitions(text);
    }
    request.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_table_is_looked_at_and_nothing_is_written() {
    let survey = Survey::new(Arc::new(Chain::to(variable("RELMAN_TEST_DYNAMODB"))));
    let table = fresh_table(&survey).await;
    let facts = survey.table(&table).await.unwrap();
    assert_eq!((facts.status.as_str(), facts.provisioned, facts.keys.len()), ("ACTIVE", None, 2));
    assert!(survey.server_time().is_some_and(|seconds| seconds > 1_700_000_000));
    assert!(!survey.is_backed_up(&table).await.unwrap());
    assert_eq!(survey.expiry(&table).await.unwrap(), None);
    let (asked, told) = survey.ledger_permissions(&table).await.unwrap();
    assert!(asked.iter().all(|one| one.result.is_ok()), "{asked:?}");
    assert_eq!(told, None, "there is no ledger in it, so nothing was in the way");
    let client = survey.dynamodb().await.unwrap();
    for (pk, sk) in [("STREAMS", "DOCTOR"), ("META", "SCHEMA")] {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let asked = client.get_item().table_name(&table).key("pk", text(pk)).key("sk", text(sk));
        assert!(asked.send().await.unwrap().item.is_none(), "{sk}");
    }
    assert!(survey.table("not-there").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_bucket_is_looked_at() {
    let survey = Survey::new(Arc::new(Chain::to(variable("RELMAN_TEST_S3"))));
    let bucket = fresh_bucket();
    assert_eq!(survey.place(&bucket).await.unwrap(), "us-east-1");
    let facts = survey.bucket(&bucket).await.unwrap();
    // It has versions, and moto says so in an element of another name than S3's.
    assert_eq!(facts.versions.unwrap_err().kind, crate::aws::FaultKind::NotAws);
    assert_eq!((facts.lock.unwrap().as_deref(), facts.closed.unwrap()), (Some("GOVERNANCE, 1 days"), false));
    assert!(survey.bucket_permissions(&bucket, "web").await.unwrap()[0].result.is_ok());
    assert_eq!(survey.place("not-there").await.unwrap_err().kind, crate::aws::FaultKind::Missing);
}
