//! Which of the needed actions are allowed. AWS looks at the permission first and at the condition then: a write whose
//! condition can never hold fails by the condition where it is allowed, and leaves nothing behind.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::Survey;
use crate::aws::QUICK;
use crate::aws::fault::{Fault, FaultKind};

/// No item fits it.
const NEVER: &str = "attribute_exists(pk) AND attribute_not_exists(pk)";

/// What became of the question whether an action is allowed.
#[derive(Debug)]
pub struct Permission {
    /// The action as IAM calls it.
    pub action: &'static str,
    /// Nothing where it is.
    pub result: Result<(), Fault>,
}

impl Survey {
    /// Whether each action that the ledger needs on a table is allowed, and whether a transaction that fails by its
    /// condition tells the item that was in its way.
    ///
    /// # Errors
    /// When nobody can be asked at all.
    pub async fn ledger_permissions(&self, table: &str) -> Result<(Vec<Permission>, Option<bool>), Fault> {
        let client = self.dynamodb().await?;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let key = |partition: &str, sort: &str| {
            HashMap::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))])
        };
        // The ledger's own description: there in every ledger, and every role may look at it. What is asked to be written
        // lies beside the names of streams, where every role may write, and is never written.
        let (there, beside) = (key("META", "SCHEMA"), key("STREAMS", "DOCTOR"));
        let item = client.get_item().table_name(table).set_key(Some(there.clone())).consistent_read(true);
        let query = client
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text("META"))
            .consistent_read(true)
            .limit(1);
        let put =
            client.put_item().table_name(table).set_item(Some(beside.clone())).condition_expression(NEVER);
        let update = client
            .update_item()
            .table_name(table)
            .set_key(Some(beside.clone()))
            .update_expression("SET doctor = :doctor")
            .expression_attribute_values(":doctor", text("x"))
            .condition_expression(NEVER);
        let (item, query, put, update) =
            futures_util::join!(item.send(), query.send(), put.send(), update.send());
        let is_there = item.as_ref().is_ok_and(|found| found.item.is_some());
        let transaction = client
            .transact_write_items()
            .transact_items(built(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(beside.clone()))
                    .condition_expression(NEVER)
                    .build()
                    .map(|put| TransactWriteItem::builder().put(put).build()),
            )?)
            .transact_items(built(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(there))
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                    .condition_expression(NEVER)
                    .build()
                    .map(|check| TransactWriteItem::builder().condition_check(check).build()),
            )?)
            .send()
            .await;
        let told = match &transaction {
            Err(error) => error.as_service_error().and_then(|error| match error {
                aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                    cancelled,
                ) if is_there => Some(cancelled.cancellation_reasons().last().is_some_and(|one| one.item().is_some())),
                _ => None,
            }),
            Ok(_) => None,
        };
        let permissions = vec![
            Permission { action: "dynamodb:GetItem", result: read("dynamodb:GetItem", item) },
            Permission { action: "dynamodb:Query", result: read("dynamodb:Query", query) },
            Permission { action: "dynamodb:PutItem", result: refused("dynamodb:PutItem", put) },
            Permission { action: "dynamodb:UpdateItem", result: refused("dynamodb:UpdateItem", update) },
            Permission {
                action: "dynamodb:ConditionCheckItem",
                result: refused("dynamodb:ConditionCheckItem", transaction),
            },
        ];
        Ok((permissions, told))
    }

    /// The same for the bucket of the artifacts; that objects can be put and read is found out by doing it.
    ///
    /// # Errors
    /// When nobody can be asked at all.
    pub async fn bucket_permissions(&self, bucket: &str, prefix: &str) -> Result<Vec<Permission>, Fault> {
        let client = aws_sdk_s3::Client::new(&self.chain.config(QUICK).await?);
        let action = "s3:ListBucketVersions";
        let listed = client.list_object_versions().bucket(bucket).prefix(prefix).max_keys(1).send().await;
        Ok(vec![Permission { action, result: read(action, listed) }])
    }
}

fn built<T>(part: Result<T, aws_sdk_dynamodb::error::BuildError>) -> Result<T, Fault> {
    part.map_err(|error| Fault::new(FaultKind::Refused, "dynamodb:TransactWriteItems", error.into()))
}

fn read<T, E>(action: &'static str, said: Result<T, SdkError<E, HttpResponse>>) -> Result<(), Fault>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    said.map(|_| ()).map_err(|error| Fault::of(action, error))
}

/// Where the condition was what refused it, it was allowed.
fn refused<T, E>(action: &'static str, said: Result<T, SdkError<E, HttpResponse>>) -> Result<(), Fault>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match said {
        Ok(_) => {
            Err(Fault::new(FaultKind::Refused, action, "a condition that cannot hold was passed by".into()))
        }
        Err(error)
            if matches!(
                error.code(),
                Some("ConditionalCheckFailedException" | "TransactionCanceledException")
            ) =>
        {
            Ok(())
        }
        other => read(action, other),
    }
}
