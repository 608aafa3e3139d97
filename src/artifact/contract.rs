//! The contract suite that every artifact store passes. A store runs it with `artifact_contract!(make());`, where
//! `make()` gives an empty `Arc<dyn Artifacts>` and whatever keeps it alive. An attribute before it is put on each test.

use std::sync::Arc;

use super::{ArtifactError, Artifacts};
use crate::domain::id::Digest;

macro_rules! artifact_contract {
    (@all $attributes:tt $make:expr) => {
        $crate::artifact::contract::each! { $attributes $make;
            what_was_put_comes_back,
            the_name_is_the_digest,
            putting_again_is_nothing,
            what_was_not_put_is_missing,
            many_put_the_same_at_once,
        }
    };
    (#[$attribute:meta] $make:expr) => {
        $crate::artifact::contract::artifact_contract! { @all [#[$attribute]] $make }
    };
    ($make:expr) => {
        $crate::artifact::contract::artifact_contract! { @all [] $make }
    };
}

macro_rules! each {
    ($attributes:tt $make:expr; $($case:ident),+ $(,)?) => {$(
        $crate::artifact::contract::case! { $attributes $make; $case }
    )+};
}

macro_rules! case {
    ([$(#[$attribute:meta])*] $make:expr; $case:ident) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let (store, _kept) = $make;
            $crate::artifact::contract::$case(store).await;
        }
    };
}

pub(crate) use {artifact_contract, case, each};

pub(crate) async fn what_was_put_comes_back(store: Arc<dyn Artifacts>) {
    for bytes in [vec![], b"{}".to_vec(), vec![0, 255, 10, 13], vec![b'x'; 3_000_000]] {
        let digest = store.put(&bytes).await.unwrap();
        assert_eq!(store.get(&digest).await.unwrap(), bytes);
        assert!(store.exists(&digest).await.unwrap());
    }
}

pub(crate) async fn the_name_is_the_digest(store: Arc<dyn Artifacts>) {
    assert_eq!(store.put(b"plan").await.unwrap(), Digest::of(b"plan"));
    assert_ne!(store.put(b"plan ").await.unwrap(), Digest::of(b"plan"));
    assert_eq!(store.get(&Digest::of(b"plan")).await.unwrap(), b"plan");
}

pub(crate) async fn putting_again_is_nothing(store: Arc<dyn Artifacts>) {
    let first = store.put(b"log").await.unwrap();
    assert_eq!(store.put(b"log").await.unwrap(), first);
    assert_eq!(store.get(&first).await.unwrap(), b"log");
}

pub(crate) async fn what_was_not_put_is_missing(store: Arc<dyn Artifacts>) {
    store.put(b"something else").await.unwrap();
    let digest = Digest::of(b"nothing");
    assert!(!store.exists(&digest).await.unwrap());
    let error = store.get(&digest).await.unwrap_err();
    assert!(matches!(&error, ArtifactError::Missing { digest: d, .. } if *d == digest), "{error:?}");
    assert_eq!(error.to_string(), format!("artifact {digest} is not in {}", store.location()));
}

pub(crate) async fn many_put_the_same_at_once(store: Arc<dyn Artifacts>) {
    let bytes = vec![7; 100_000];
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, bytes) = (Arc::clone(&store), bytes.clone());
            tokio::spawn(async move { store.put(&bytes).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), Digest::of(&bytes));
    }
    assert_eq!(store.get(&Digest::of(&bytes)).await.unwrap(), bytes);
}
