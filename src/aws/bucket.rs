//! A place in a bucket: objects are put once, under a condition, with a checksum that S3 verifies, and nothing is ever
//! deleted. How they are encrypted is the bucket's own setting.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ObjectVersion};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::fault::{Fault, FaultKind};
use super::survey::locking;
use super::{Chain, LARGE};

/// How often a put goes on when another put of the same key is under way.
const ROUNDS: u32 = 5;

/// A bucket with a prefix. It is reached with the first call.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    /// Empty, or ends in `/`.
    prefix: String,
    chain: Arc<Chain>,
    client: OnceCell<Client>,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    New,
    /// Something was there before, and stays.
    There,
}

/// The versions of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Its key below the prefix.
    pub key: String,
    /// Ids of its versions, the newest first; in a bucket without versions there is one, `null`.
    pub ids: Vec<String>,
    /// How many versions and delete markers lie over the oldest one. Nothing of ours puts any.
    pub over: usize,
}

impl Versions {
    /// The oldest version that is left; none in a bucket without versions.
    pub fn oldest(&self) -> Option<&str> {
        self.ids.last().map(String::as_str).filter(|id| *id != "null")
    }
}

impl Bucket {
    /// `BUCKET` or `BUCKET/PREFIX`.
    pub fn new(place: &str, chain: Arc<Chain>) -> Self {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { name: name.to_owned(), prefix, chain, client: OnceCell::new() }
    }

    /// Where it is, for messages: `s3://BUCKET/PREFIX`.
    pub fn location(&self) -> String {
        format!("s3://{}/{}", self.name, self.prefix).trim_end_matches('/').to_owned()
    }

    async fn client(&self) -> Result<&Client, Fault> {
        self.client.get_or_try_init(|| async { Ok(Client::new(&self.chain.config(LARGE).await?)) }).await
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Puts an object where none is.
    ///
    /// # Errors
    /// When S3 refuses or does not answer.
    pub async fn put(&self, key: &str, bytes: &[u8]) -> Result<Put, Fault> {
        let mut round = 0;
        loop {
            let sent = self.send(key, bytes, true).await;
            let Err(error) = sent else { return Ok(Put::New) };
            match error.code().unwrap_or_default() {
                "PreconditionFailed" => return Ok(Put::There),
                "ConditionalRequestConflict" if round < ROUNDS => round += 1,
                _ => return Err(Fault::of("s3:PutObject", error)),
            }
        }
    }

    /// Puts an object over what is there.
    ///
    /// # Errors
    /// As [`Bucket::put`].
    pub async fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.send(key, bytes, false).await.map_err(|error| Fault::of("s3:PutObject", error))
    }

    async fn send(
        &self,
        key: &str,
        bytes: &[u8],
        new: bool,
    ) -> Result<(), aws_sdk_s3::error::SdkError<PutObjectError>> {
        let client = self.client().await.map_err(aws_sdk_s3::error::SdkError::construction_failure)?;
        client
            .put_object()
            .bucket(&self.name)
            .key(self.key(key))
            // Said besides the sum itself: where objects are retained, S3 insists on the name of the algorithm.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(aws_smithy_types::base64::encode(Sha256::digest(bytes)))
            .set_if_none_match(new.then(|| "*".to_owned()))
            .body(ByteStream::from(bytes.to_owned()))
            .send()
            .await?;
        Ok(())
    }

    /// The bytes of an object, of one version of it if that is named; none when it is not there.
    ///
    /// # Errors
    /// When S3 refuses or does not answer.
    pub async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Vec<u8>>, Fault> {
        let request = self.client().await?.get_object().bucket(&self.name).key(self.key(key));
        let request = request.checksum_mode(ChecksumMode::Enabled).set_version_id(version.map(str::to_owned));
        let found = match request.send().await {
            Ok(found) => found,
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => return Ok(None),
            Err(error) => return Err(Fault::of("s3:GetObject", error)),
        };
        let bytes =
            found.body.collect().await.map_err(|error| Fault::broken("s3:GetObject", error.into()))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// When S3 refuses or does not answer.
    pub async fn exists(&self, key: &str) -> Result<bool, Fault> {
        let request = self.client().await?.head_object().bucket(&self.name).key(self.key(key));
        match request.send().await {
            Ok(_) => Ok(true),
            // Its answers have no body, so a bucket that is not there looks the same.
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404) => Ok(false),
            Err(error) => Err(Fault::of("s3:GetObject", error)),
        }
    }

    /// Every object below a prefix with its versions, by key.
    ///
    /// # Errors
    /// When S3 refuses or does not answer.
    pub async fn versions(&self, prefix: &str) -> Result<Vec<Versions>, Fault> {
        let client = self.client().await?;
        let mut found: Vec<Versions> = Vec::new();
        let (mut key, mut version) = (None, None);
        loop {
            let page = client
                .list_object_versions()
                .bucket(&self.name)
                .prefix(self.key(prefix))
                .set_key_marker(key)
                .set_version_id_marker(version)
                .send()
                .await
                .map_err(|error| Fault::of("s3:ListBucketVersions", error))?;
            let markers =
                page.delete_markers().iter().filter_map(|marker| marker.key()).map(|key| (key, None));
            let versions = page.versions().iter().filter_map(|version| Some((version.key()?, Some(version))));
            for (name, version) in versions.chain(markers) {
                self.count(&mut found, name, version);
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Versions of a key come newest first.
    fn count(&self, found: &mut Vec<Versions>, name: &str, version: Option<&ObjectVersion>) {
        let Some(key) = name.strip_prefix(&self.prefix) else { return };
        let id = version.and_then(ObjectVersion::version_id).map(str::to_owned);
        match found.iter_mut().rev().find(|versions| versions.key == key) {
            Some(versions) => {
                versions.over += 1;
                versions.ids.extend(id);
            }
            None => found.push(Versions { key: key.to_owned(), ids: id.into_iter().collect(), over: 0 }),
        }
    }

    /// Whether it keeps versions.
    ///
    /// # Errors
    /// When S3 refuses or does not answer.
    pub async fn keeps_versions(&self) -> Result<bool, Fault> {
        let request = self.client().await?.get_bucket_versioning().bucket(&self.name);
        let found = request.send().await.map_err(|error| Fault::of("s3:GetBucketVersioning", error))?;
        Ok(found.status().is_some_and(|status| status.as_str() == "Enabled"))
    }

    /// How it locks what is put, in words; none when it does not by itself.
    ///
    /// # Errors
    /// When S3 refuses or does not answer.
    pub async fn lock(&self) -> Result<Option<String>, Fault> {
        let request = self.client().await?.get_object_lock_configuration().bucket(&self.name);
        let found = match request.send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => return Ok(None),
            Err(error) => return Err(Fault::of("s3:GetBucketObjectLockConfiguration", error)),
        };
        Ok(locking(found.object_lock_configuration))
    }
}

impl Fault {
    fn broken(action: &'static str, source: super::fault::Cause) -> Self {
        Self::new(FaultKind::NoAnswer, action, source)
    }
}
