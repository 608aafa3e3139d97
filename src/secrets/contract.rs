//! What every store keeps to.

use super::{Refusal, Store};
use crate::domain::run::SecretRef;

/// What puts values into a store.
#[async_trait::async_trait]
pub(crate) trait Shelves: Sync {
    /// The next version of what a reference without a version names.
    async fn put(&self, reference: &str, value: &str);
}

fn reference(text: &str) -> SecretRef {
    SecretRef::try_from(text.to_owned()).unwrap()
}

/// Holds a store to the contract below a prefix such as `ssm:/prefix`.
pub(crate) async fn holds(store: &dyn Store, shelves: &dyn Shelves, prefix: &str) {
    let name = format!("{prefix}/key");
    let asked = reference(&name);
    assert_eq!(store.get(&asked).await.unwrap_err().refusal, Refusal::Missing, "{name}");

    shelves.put(&name, "first\n").await;
    let first = store.get(&asked).await.unwrap();
    // A value is what was put, to the last letter.
    assert_eq!(first.value.expose(), "first\n");

    shelves.put(&name, "second").await;
    let second = store.get(&asked).await.unwrap();
    assert_eq!(second.value.expose(), "second");
    assert_ne!(first.version, second.version);

    // What was found once is found again by its version, whatever came after it.
    for found in [&first, &second] {
        let again = store.get(&asked.at(&found.version)).await.unwrap();
        assert_eq!(again.value.expose(), found.value.expose());
        assert_eq!(again.version, found.version);
    }

    let gone = match asked {
        SecretRef::Parameter(_) => "99",
        _ => "00000000-0000-4000-8000-000000000000",
    };
    let fault = store.get(&asked.at(gone)).await.unwrap_err();
    assert_eq!(fault.refusal, Refusal::NoSuchVersion, "{fault}");
    assert!(fault.is_configuration() && !fault.hints.is_empty() && !fault.region.is_empty());
    let text = format!("{fault} {fault:?} {first:?}");
    assert!(!text.contains("first") && !text.contains("second"), "{text}");
}
