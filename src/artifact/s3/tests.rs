//! The contract over an emulator, which `tests/aws/run` starts and names in `RELMAN_TEST_S3`.

use std::sync::Arc;

use super::*;
use crate::artifact::contract::artifact_contract;
use crate::aws::FaultKind;
use crate::aws::testing::{bucket, fresh_bucket};

fn make() -> (Arc<dyn Artifacts>, ()) {
    (Arc::new(S3Artifacts::new(bucket(&format!("{}/team/web", fresh_bucket())))), ())
}

artifact_contract!(
    #[ignore = "needs tests/aws/run"]
    make()
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn what_was_changed_is_not_given_out_and_can_be_put_again() {
    let store = S3Artifacts::new(bucket(&fresh_bucket()));
    let digest = store.put(b"plan").await.unwrap();
    for content in [&b"Plan"[..], b"pla", b""] {
        store.bucket.replace(&key(&digest), content).await.unwrap();
        let error = store.get(&digest).await.unwrap_err();
        assert!(
            matches!(&error, ArtifactError::Corrupt { found, .. } if *found == Digest::of(content)),
            "{error:?}"
        );
        store.put(b"plan").await.unwrap();
        assert_eq!(store.get(&digest).await.unwrap(), b"plan");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_bucket_that_is_not_there_is_named() {
    let store = S3Artifacts::new(bucket("not-there/web"));
    let error = store.put(b"plan").await.unwrap_err();
    let ArtifactError::Unavailable { location, source } = &error else { panic!("{error:?}") };
    assert_eq!(location, "s3://not-there/web");
    assert_eq!(source.downcast_ref::<Fault>().unwrap().kind, FaultKind::Missing);
}
