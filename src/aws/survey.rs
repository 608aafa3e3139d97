//! Looks at an account as it is: who we are there, and how table, buckets and document are set up. It writes nothing;
//! where a permission to write is asked for, it is by a write whose condition can never hold.

mod buckets;
mod permissions;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::{BillingMode, TableStatus};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

pub use self::buckets::BucketFacts;
pub(super) use self::buckets::locking;
pub use self::permissions::Permission;
use super::fault::Fault;
use super::{Chain, QUICK};

/// Who AWS takes us for. No key is part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The role or user: `arn:aws:sts::123456789012:assumed-role/deploy/session`.
    pub arn: String,
}

/// How a table is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// `ACTIVE`, `CREATING`.
    pub status: String,
    /// Its keys: name and `HASH` or `RANGE`.
    pub keys: Vec<(String, String)>,
    /// The types of its keys' attributes: name and `S`, `N` or `B`.
    pub types: Vec<(String, String)>,
    /// Its indexes, local ones as well.
    pub indexes: Vec<String>,
    /// Read and write units a second where they were bought; none: on demand.
    pub provisioned: Option<(i64, i64)>,
    /// Whether it cannot be deleted by one call.
    pub protected: bool,
    /// The kind of key it is encrypted with; none: DynamoDB's own.
    pub encryption: Option<String>,
    /// Other regions that it is replicated to.
    pub replicas: Vec<String>,
}

/// The look.
#[derive(Debug)]
pub struct Survey {
    chain: Arc<Chain>,
    seen: ServerDate,
}

impl Survey {
    /// By this chain.
    pub fn new(chain: Arc<Chain>) -> Self {
        Self { chain, seen: ServerDate::default() }
    }

    /// The region that the chain names.
    ///
    /// # Errors
    /// When it names none.
    pub async fn region(&self) -> Result<String, Fault> {
        let config = self.chain.config(QUICK).await?;
        Ok(config.region().map(ToString::to_string).unwrap_or_default())
    }

    /// Who we are.
    ///
    /// # Errors
    /// When AWS does not tell.
    pub async fn caller(&self) -> Result<Caller, Fault> {
        let client = aws_sdk_sts::Client::new(&self.chain.config(QUICK).await?);
        let asked = client.get_caller_identity().customize().interceptor(self.seen.clone());
        let said = asked.send().await.map_err(|error| Fault::of("sts:GetCallerIdentity", error))?;
        let (account, arn) = (said.account.unwrap_or_default(), said.arn.unwrap_or_default());
        Ok(Caller { account, arn })
    }

    /// The time of the server when it last answered, in seconds since 1970; none before an answer.
    pub fn server_time(&self) -> Option<i64> {
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, Fault> {
        Ok(aws_sdk_dynamodb::Client::new(&self.chain.config(QUICK).await?))
    }

    /// How a table is set up.
    ///
    /// # Errors
    /// When it is not there, or may not be looked at.
    pub async fn table(&self, name: &str) -> Result<TableFacts, Fault> {
        let asked = self.dynamodb().await?.describe_table().table_name(name).customize();
        let said = asked.interceptor(self.seen.clone()).send().await;
        let said = said.map_err(|error| Fault::of("dynamodb:DescribeTable", error))?;
        let Some(table) = said.table else { return Ok(TableFacts::default()) };
        let keys = table.key_schema().iter();
        let types = table.attribute_definitions().iter();
        let global = table.global_secondary_indexes().iter().filter_map(|index| index.index_name());
        let local = table.local_secondary_indexes().iter().filter_map(|index| index.index_name());
        let on_demand = table.billing_mode_summary().and_then(|billing| billing.billing_mode())
            == Some(&BillingMode::PayPerRequest);
        let bought = table.provisioned_throughput().filter(|_| !on_demand);
        let replicas = table.replicas().iter().filter_map(|replica| replica.region_name());
        Ok(TableFacts {
            status: table.table_status().map(TableStatus::as_str).unwrap_or_default().to_owned(),
            keys: keys
                .map(|key| (key.attribute_name().to_owned(), key.key_type().as_str().to_owned()))
                .collect(),
            types: types
                .map(|one| (one.attribute_name().to_owned(), one.attribute_type().as_str().to_owned()))
                .collect(),
            indexes: global.chain(local).map(str::to_owned).collect(),
            provisioned: bought.map(|units| {
                (
                    units.read_capacity_units().unwrap_or_default(),
                    units.write_capacity_units().unwrap_or_default(),
                )
            }),
            protected: table.deletion_protection_enabled().unwrap_or_default(),
            encryption: table.sse_description().and_then(|sse| Some(sse.sse_type()?.as_str().to_owned())),
            replicas: replicas.map(str::to_owned).collect(),
        })
    }

    /// Whether a table can be put back to any second of the last weeks.
    ///
    /// # Errors
    /// When it may not be looked at.
    pub async fn is_backed_up(&self, table: &str) -> Result<bool, Fault> {
        let said = self.dynamodb().await?.describe_continuous_backups().table_name(table).send().await;
        let said = said.map_err(|error| Fault::of("dynamodb:DescribeContinuousBackups", error))?;
        let recovery =
            said.continuous_backups_description.and_then(|all| all.point_in_time_recovery_description);
        Ok(recovery.is_some_and(|one| {
            one.point_in_time_recovery_status().is_some_and(|status| status.as_str() == "ENABLED")
        }))
    }

    /// The attribute by which items of a table expire; none: none expires.
    ///
    /// # Errors
    /// When it may not be looked at.
    pub async fn expiry(&self, table: &str) -> Result<Option<String>, Fault> {
        let said = self.dynamodb().await?.describe_time_to_live().table_name(table).send().await;
        let said = said.map_err(|error| Fault::of("dynamodb:DescribeTimeToLive", error))?;
        let expiry = said.time_to_live_description.filter(|expiry| {
            expiry
                .time_to_live_status()
                .is_some_and(|status| matches!(status.as_str(), "ENABLED" | "ENABLING"))
        });
        Ok(expiry.and_then(|expiry| expiry.attribute_name))
    }

    /// The state of a document of Systems Manager: `Active`.
    ///
    /// # Errors
    /// When it is not there, or may not be looked at.
    pub async fn document(&self, name: &str) -> Result<String, Fault> {
        let client = aws_sdk_ssm::Client::new(&self.chain.config(QUICK).await?);
        let said = client.describe_document().name(name).send().await;
        let said = said.map_err(|error| Fault::of("ssm:DescribeDocument", error))?;
        let status = said.document.and_then(|document| Some(document.status()?.as_str().to_owned()));
        Ok(status.unwrap_or_default())
    }

    /// Whether the agent of an instance is there: `Online`, `ConnectionLost`; none: Systems Manager does not know it.
    ///
    /// # Errors
    /// When it may not be looked at.
    pub async fn agent(&self, instance: &str) -> Result<Option<String>, Fault> {
        let client = aws_sdk_ssm::Client::new(&self.chain.config(QUICK).await?);
        let action = "ssm:DescribeInstanceInformation";
        let filter = aws_sdk_ssm::types::InstanceInformationStringFilter::builder()
            .key("InstanceIds")
            .values(instance)
            .build()
            .map_err(|error| Fault::new(super::FaultKind::Refused, action, error.into()))?;
        let said = client.describe_instance_information().filters(filter).send().await;
        let said = said.map_err(|error| Fault::of(action, error))?;
        let first = said.instance_information_list.unwrap_or_default().into_iter().next();
        Ok(first.and_then(|one| Some(one.ping_status()?.as_str().to_owned())))
    }
}

/// Takes the time of the server from an answer.
#[derive(Debug, Clone, Default)]
struct ServerDate(Arc<Mutex<Option<i64>>>);

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(server) = date.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok()) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.secs());
        }
        Ok(())
    }
}
