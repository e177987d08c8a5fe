//! What hooks have made of what was published: they may change it, and what is recorded is what is there then.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    exec::io::{Content, IoError, Target},
    model::key::{AssetKey, PartitionKey},
};

/// By what was published: what hooks made of it, until somebody asks.
#[derive(Default)]
pub struct Hooked(Mutex<HashMap<(AssetKey, PartitionKey), Content>>);

impl Hooked {
    /// After a publication of `before`, which hooks turned into `now`.
    pub fn note(&self, target: &Target, before: &Content, now: &Content) {
        if before != now {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert((target.key.clone(), target.partition.clone()), now.clone());
        }
    }

    /// Each is told once.
    pub fn take(&self, target: &Target) -> Option<Content> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(target.key.clone(), target.partition.clone()))
    }
}

/// What is said where hooks have taken away what they were to be run for.
pub fn gone(name: &str) -> IoError {
    IoError::Refused {
        what: name.to_owned(),
        cause: "it is gone after its hooks".to_owned(),
        help: "nothing was published: all of it is one transaction. A hook may change its table, not take it away"
            .to_owned(),
    }
}
