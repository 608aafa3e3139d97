//! The emulators, for tests of any port. `tests/aws/run` starts them and says where they are.

use std::sync::Arc;

use aws_sdk_s3::types::{
    DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
};

use super::{Bucket, Chain, LARGE};

/// What the script that runs these tests says.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: tests/aws/run sets it"))
}

/// A number that it says.
pub(crate) fn number(name: &str) -> u64 {
    variable(name).parse().unwrap()
}

/// Runs something to its end, from within runtimes as well.
pub(crate) fn aside<F: Future<Output = T> + Send + 'static, T: Send + 'static>(work: F) -> T {
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    });
    done.join().unwrap()
}

/// A place in S3.
pub(crate) fn bucket(place: &str) -> Bucket {
    Bucket::new(place, Arc::new(Chain::to(variable("RELMAN_TEST_S3"))))
}

/// Makes a bucket with versions and Object Lock.
pub(crate) fn fresh_bucket() -> String {
    let name = format!("relman-{}", crate::ledger::contract::fixture::fresh());
    let made = name.clone();
    aside(async move {
        let chain = Chain::to(variable("RELMAN_TEST_S3"));
        let client = aws_sdk_s3::Client::new(&chain.config(LARGE).await.unwrap());
        let request = client.create_bucket().bucket(&made).object_lock_enabled_for_bucket(true);
        request.send().await.unwrap();
        // As infra/bootstrap makes it: what brings no retention of its own gets one.
        let retention = DefaultRetention::builder().mode(ObjectLockRetentionMode::Governance).days(1).build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(ObjectLockRule::builder().default_retention(retention).build())
            .build();
        let request = client.put_object_lock_configuration().bucket(&made);
        request.object_lock_configuration(lock).send().await.unwrap();
    });
    name
}
