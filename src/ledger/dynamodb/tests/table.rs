//! A table of its own for each test.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, TableStatus};
use serde_json::Value;

use super::super::{DynamoLedger, OpenMode, TABLE, Target};
use crate::aws::testing::{aside, variable};
use crate::aws::{Chain, LARGE};
use crate::clock::SystemClock;
use crate::domain::id::Token;
use crate::ledger::Ledger;
use crate::ledger::contract::fixture::fresh as token;

pub(super) fn chain_to(endpoint: String) -> Arc<Chain> {
    Arc::new(Chain::to(endpoint))
}

fn chain() -> Arc<Chain> {
    chain_to(variable("RELMAN_TEST_DYNAMODB"))
}

pub(super) async fn client() -> Client {
    // Making a table takes an emulator longer than a call may take.
    Client::new(&chain().config(LARGE).await.unwrap())
}

/// Makes a table as the layout says, under another name.
pub(crate) fn fresh() -> String {
    let name = format!("relman-{}", token());
    let table = name.clone();
    aside(async move { create(&table).await });
    name
}

/// A table that is deleted when this is dropped: moto copies all that it has at each transaction.
pub(super) struct Deleted(pub(super) String);

impl Drop for Deleted {
    fn drop(&mut self) {
        let name = self.0.clone();
        aside(async move { client().await.delete_table().table_name(name).send().await.unwrap() });
    }
}

async fn create(name: &str) {
    let layout: Value = serde_json::from_str(TABLE).unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let client = client().await;
    let mut request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    assert_eq!(text(&layout, "BillingMode"), "PAY_PER_REQUEST");
    for attribute in layout["AttributeDefinitions"].as_array().unwrap() {
        let attribute = AttributeDefinition::builder()
            .attribute_name(text(attribute, "AttributeName"))
            .attribute_type(text(attribute, "AttributeType").as_str().into());
        request = request.attribute_definitions(attribute.build().unwrap());
    }
    for key in layout["KeySchema"].as_array().unwrap() {
        let key = KeySchemaElement::builder()
            .attribute_name(text(key, "AttributeName"))
            .key_type(text(key, "KeyType").as_str().into());
        request = request.key_schema(key.build().unwrap());
    }
    let mut status = request.send().await.unwrap().table_description.unwrap().table_status;
    while status == Some(TableStatus::Creating) {
        status = client.describe_table().table_name(name).send().await.unwrap().table.unwrap().table_status;
    }
    assert_eq!(status, Some(TableStatus::Active));
}

pub(super) fn ledger(target: Target) -> Arc<dyn Ledger> {
    Arc::new(DynamoLedger::new(target, chain(), Arc::new(SystemClock)))
}

/// The ledger of a table.
pub(crate) fn on(table: &str) -> Arc<dyn Ledger> {
    let id = Some(Token::from_bits([9; 16]));
    ledger(Target { table: table.to_owned(), id, mode: OpenMode::Write })
}

/// An empty ledger.
pub(super) fn make() -> (Arc<dyn Ledger>, ()) {
    (on(&fresh()), ())
}
