//! The label in an image that says which commit it was built from.

use serde_json::Value;

use crate::domain::id::Digest;
use crate::registry::{Registry, RegistryError};

/// The label (OCI image specification, "Pre-Defined Annotation Keys").
pub(crate) const REVISION: &str = "org.opencontainers.image.revision";

/// Why an image does not tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelError {
    /// The registry cannot be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The image is not whole, or not one that can be read.
    #[error("{0}")]
    Broken(&'static str),
}

/// The commit that the image of a manifest says it was built from; none when it has no such label. Of an image for
/// several platforms the first one speaks.
pub(crate) async fn revision(
    registry: &dyn Registry,
    repository: &str,
    manifest: &[u8],
) -> Result<Option<String>, LabelError> {
    let mut manifest = json(manifest)?;
    if let Some(list) = manifest["manifests"].as_array() {
        // Attestations stand in the same list, for the platform `unknown`.
        let real = list.iter().find(|entry| entry["platform"]["architecture"] != "unknown");
        let digest = real.and_then(|entry| digest_of(&entry["digest"]));
        let digest = digest.ok_or(LabelError::Broken("the manifest names no platform"))?;
        let found = registry.manifest(repository, digest.as_str()).await?;
        manifest = json(&found.ok_or(LabelError::Broken("the platform's image is gone"))?.bytes)?;
    }
    let config = digest_of(&manifest["config"]["digest"]);
    let config = config.ok_or(LabelError::Broken("the manifest names no configuration"))?;
    let blob = registry.blob(repository, &config).await?;
    let config = json(&blob.ok_or(LabelError::Broken("the image's configuration is gone"))?)?;
    let label = config["config"]["Labels"][REVISION].as_str();
    Ok(label.filter(|text| !text.is_empty()).map(str::to_owned))
}

fn json(bytes: &[u8]) -> Result<Value, LabelError> {
    serde_json::from_slice(bytes).map_err(|_| LabelError::Broken("a manifest is not JSON"))
}

fn digest_of(value: &Value) -> Option<Digest> {
    value.as_str().and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::testing::Shelf;

    #[tokio::test]
    async fn an_attestation_that_stands_first_does_not_speak_for_the_image() {
        let shelf = Shelf::default();
        let put = |value: Value| shelf.put(value.to_string().as_bytes());
        let nothing = put(json!({"config": {}}));
        let attestation = put(json!({"config": {"digest": nothing}}));
        let config = put(json!({"config": {"Labels": {REVISION: "abc"}}}));
        let image = put(json!({"config": {"digest": config}}));
        let index = json!({"manifests": [
            {"digest": attestation, "platform": {"architecture": "unknown", "os": "unknown"}},
            {"digest": image, "platform": {"architecture": "amd64", "os": "linux"}},
        ]});
        let found = revision(&shelf, "registry.example/web", index.to_string().as_bytes()).await.unwrap();
        assert_eq!(found.as_deref(), Some("abc"));
    }

    #[tokio::test]
    async fn an_image_that_is_not_whole_is_told_from_one_without_the_label() {
        let shelf = Shelf::default();
        let gone = json!({"config": {"digest": Digest::of(b"gone")}}).to_string();
        let found = revision(&shelf, "registry.example/web", gone.as_bytes()).await;
        assert!(matches!(found, Err(LabelError::Broken(_))), "{found:?}");
        let config = shelf.put(b"{}");
        let bare = json!({"config": {"digest": config}}).to_string();
        assert_eq!(revision(&shelf, "registry.example/web", bare.as_bytes()).await.unwrap(), None);
    }
}
