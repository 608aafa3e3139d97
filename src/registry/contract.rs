//! What every registry does. Run on the fake, and on a real one where the lab brings it.

use super::{Registry, RegistryError};
use crate::domain::id::Digest;

/// Checks a registry that holds an image under `seed` in `repository`. It leaves tags `contract-a` and `-b`.
pub(crate) async fn check(registry: &dyn Registry, repository: &str, seed: &str) {
    let absent = Digest::of(b"nobody has this");
    assert_eq!(registry.resolve(repository, "contract-absent").await.unwrap(), None);
    assert_eq!(registry.resolve(repository, absent.as_str()).await.unwrap(), None);
    assert_eq!(registry.manifest(repository, "contract-absent").await.unwrap(), None);
    assert_eq!(registry.blob(repository, &absent).await.unwrap(), None);

    let manifest = registry.manifest(repository, seed).await.unwrap().expect("the seed is there");
    assert_eq!(manifest.digest, Digest::of(&manifest.bytes), "the bytes are the identity");
    assert!(manifest.media_type.starts_with("application/vnd."), "{}", manifest.media_type);
    assert_eq!(registry.resolve(repository, seed).await.unwrap().as_ref(), Some(&manifest.digest));
    let again = registry.manifest(repository, manifest.digest.as_str()).await.unwrap();
    assert_eq!(again.as_ref(), Some(&manifest), "by tag and by digest are the same bytes");

    let value: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let config: Digest = value["config"]["digest"].as_str().unwrap().parse().unwrap();
    let blob = registry.blob(repository, &config).await.unwrap().expect("the configuration is there");
    assert_eq!(Digest::of(&blob), config);

    for tag in ["contract-a", "contract-b", "contract-a"] {
        registry.put_manifest(repository, tag, &manifest).await.unwrap();
        assert_eq!(registry.resolve(repository, tag).await.unwrap().as_ref(), Some(&manifest.digest));
    }
    let mut broken = manifest.clone();
    broken.bytes.push(b'\n');
    let error = registry.put_manifest(repository, "contract-c", &broken).await.unwrap_err();
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
    assert_eq!(registry.resolve(repository, "contract-c").await.unwrap(), None);
    for (repository, reference) in
        [("a.example/B", "x"), (repository, "../x"), (repository, "a:b"), ("", "x")]
    {
        let error = registry.resolve(repository, reference).await.unwrap_err();
        assert!(matches!(error, RegistryError::Repository(_)), "{error}");
    }
}
