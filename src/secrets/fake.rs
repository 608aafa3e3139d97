//! A store in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Found, Refusal, Store, StoreFault};
use crate::domain::run::SecretRef;
use crate::host::wire::Secret;

#[derive(Debug, Default)]
struct Shelf {
    /// Versions in order, by reference without a version; those that are gone are none.
    kept: BTreeMap<String, Vec<Option<Secret>>>,
    refuse: Option<Refusal>,
    asked: u32,
}

/// A store whose versions are numbers from 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeStore(Arc<Mutex<Shelf>>);

fn bare(reference: &SecretRef) -> String {
    let text = reference.to_string();
    let version = reference.stored().and_then(|stored| stored.version.as_ref());
    match version {
        Some(version) => text[..text.len() - version.len() - 1].to_owned(),
        None => text,
    }
}

impl FakeStore {
    /// Puts the next version of what a reference names.
    pub(crate) fn put(&self, reference: &str, value: &str) {
        let mut shelf = self.0.lock().unwrap();
        shelf.kept.entry(reference.to_owned()).or_default().push(Some(Secret::new(value.to_owned())));
    }

    /// Takes one version away.
    pub(crate) fn take(&self, reference: &str, version: usize) {
        self.0.lock().unwrap().kept.get_mut(reference).unwrap()[version - 1] = None;
    }

    /// From now on it refuses everything.
    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        self.0.lock().unwrap().refuse = refusal;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u32 {
        self.0.lock().unwrap().asked
    }
}

#[async_trait::async_trait]
impl Store for FakeStore {
    async fn get(&self, reference: &SecretRef) -> Result<Found, StoreFault> {
        let mut shelf = self.0.lock().unwrap();
        shelf.asked += 1;
        let fault = |refusal| StoreFault {
            refusal,
            region: "fake-1".to_owned(),
            caller: Some("arn:fake".to_owned()),
            detail: None,
            hints: vec!["ask the fake".to_owned()],
        };
        if let Some(refusal) = shelf.refuse {
            return Err(fault(refusal));
        }
        let versions = shelf.kept.get(&bare(reference)).ok_or_else(|| fault(Refusal::Missing))?;
        let wanted = match reference.stored().and_then(|stored| stored.version.as_ref()) {
            Some(version) => version.parse().map_err(|_| fault(Refusal::NoSuchVersion))?,
            None => versions.len(),
        };
        let kept: Option<&Option<Secret>> = wanted.checked_sub(1).and_then(|at: usize| versions.get(at));
        match kept {
            Some(Some(value)) => Ok(Found { value: value.clone(), version: wanted.to_string() }),
            _ => Err(fault(Refusal::NoSuchVersion)),
        }
    }
}

#[async_trait::async_trait]
impl super::contract::Shelves for FakeStore {
    async fn put(&self, reference: &str, value: &str) {
        Self::put(self, reference, value);
    }
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let store = FakeStore::default();
    for scheme in ["ssm:/contract", "secretsmanager:contract"] {
        super::contract::holds(&store, &store, scheme).await;
    }
}
