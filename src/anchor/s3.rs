//! Anchors in a bucket: `s3://BUCKET/PREFIX/anchors/STREAM/NUMBER`, each put once. A bucket with Object Lock keeps the
//! first version whatever is put over it; that one is read.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Anchor, AnchorError, Anchors, Found};
use crate::aws::{Bucket, Fault, Put, Versions};

/// Anchors that are read side by side.
const AT_ONCE: usize = 16;
const FOLDER: &str = "anchors/";

/// A place in a bucket.
#[derive(Debug)]
pub struct S3Anchors {
    bucket: Bucket,
}

impl S3Anchors {
    /// In this place.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    fn unavailable(&self, fault: Fault) -> AnchorError {
        AnchorError::Unavailable { location: self.location(), source: fault.into() }
    }

    async fn found(&self, versions: Versions) -> Result<Found, AnchorError> {
        let read = self.bucket.get(&versions.key, versions.oldest()).await;
        let bytes = read.map_err(|fault| self.unavailable(fault))?;
        let anchor = match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| e.to_string()).and_then(|anchor| {
                if key(&anchor) == versions.key {
                    Ok(anchor)
                } else {
                    Err("it belongs to another place".into())
                }
            }),
            None => Err("it was deleted".to_owned()),
        };
        Ok(Found { place: versions.key, anchor, over: versions.over })
    }
}

fn key(anchor: &Anchor) -> String {
    format!("{FOLDER}{}/{:012}", anchor.stream, anchor.seq)
}

#[async_trait::async_trait]
impl Anchors for S3Anchors {
    fn location(&self) -> String {
        self.bucket.location()
    }

    async fn put(&self, anchor: &Anchor) -> Result<(), AnchorError> {
        let unavailable = |fault| self.unavailable(fault);
        let body = serde_json::to_vec(anchor)
            .map_err(|e| AnchorError::Unavailable { location: self.location(), source: e.into() })?;
        let key = key(anchor);
        if self.bucket.put(&key, &body).await.map_err(unavailable)? == Put::New {
            return Ok(());
        }
        // The oldest, as `verify` reads it: what somebody put over it later proves nothing.
        let versions = self.bucket.versions(&key).await.map_err(unavailable)?;
        let oldest = versions.iter().find(|found| found.key == key).and_then(Versions::oldest);
        let there = self.bucket.get(&key, oldest).await.map_err(unavailable)?;
        match serde_json::from_slice::<Anchor>(&there.unwrap_or_default()) {
            Ok(there) if (&there.ledger, &there.hash) == (&anchor.ledger, &anchor.hash) => Ok(()),
            _ => {
                let (location, stream) = (self.location(), anchor.stream.clone());
                Err(AnchorError::Contradicts { location, stream, seq: anchor.seq })
            }
        }
    }

    async fn all(&self) -> Result<Vec<Found>, AnchorError> {
        let keys = self.bucket.versions(FOLDER).await.map_err(|fault| self.unavailable(fault))?;
        stream::iter(keys).map(|versions| self.found(versions)).buffered(AT_ONCE).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::testing::{bucket, fresh_bucket};
    use crate::domain::entry::ChainHash;
    use crate::domain::id::Token;
    use crate::domain::time::Timestamp;

    fn anchor(stream: &str, seq: u64, body: &str) -> Anchor {
        Anchor {
            schema: super::super::SCHEMA,
            ledger: Token::from_bits([1; 16]),
            stream: stream.parse().unwrap(),
            seq,
            hash: ChainHash::of_body(body),
            at: Timestamp::from_millis(0).unwrap(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs tests/aws/run"]
    async fn what_was_kept_first_is_what_is_found() {
        let anchors = S3Anchors::new(bucket(&format!("{}/web", fresh_bucket())));
        assert_eq!(anchors.all().await.unwrap(), []);
        let all =
            [anchor("web", 3, "c"), anchor("web/production", 9, "i"), anchor("web/production", 12, "l")];
        for anchor in &all {
            anchors.put(anchor).await.unwrap();
            let later = Anchor { at: Timestamp::from_millis(5000).unwrap(), ..anchor.clone() };
            anchors.put(&later).await.unwrap();
        }
        let error = anchors.put(&anchor("web", 3, "other")).await.unwrap_err();
        assert!(matches!(error, AnchorError::Contradicts { seq: 3, .. }), "{error:?}");
        let found = anchors.all().await.unwrap();
        assert_eq!(found.iter().map(|found| found.anchor.clone().unwrap()).collect::<Vec<_>>(), all);
        assert!(found.iter().all(|found| found.over == 0));

        // Somebody with rights puts another head over one.
        let forged = serde_json::to_vec(&anchor("web/production", 9, "forged")).unwrap();
        anchors.bucket.replace(&key(&all[1]), &forged).await.unwrap();
        let found = anchors.all().await.unwrap();
        assert_eq!(found[1].anchor, Ok(all[1].clone()), "the first version counts");
        anchors.put(&all[1]).await.expect("what lies over it is not what is compared");
        assert_eq!(found.iter().map(|found| found.over).collect::<Vec<_>>(), [0, 1, 0]);
    }
}
