//! Earlier materializations that are what is wanted now: A, B, A needs no third run.
//!
//! Decides whether, never moves anything; the run does that.

use crate::{
    model::{fingerprint::Fingerprint, key::PartitionKey, project::NodeId},
    plan::{
        record::{Materialization, StoredOutput},
        store::StoreError,
        survey::check_stored,
        world::{OutputState, World},
    },
};

/// An earlier materialization of the fingerprint that is asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Recalled {
    /// Its content is where it belongs; `output` of the record is how it looks now.
    InPlace(Materialization),
    /// Its content is kept aside.
    Kept(Materialization),
}

/// The newest materialization of `node` with this fingerprint whose content is still there.
///
/// # Errors
/// Only if the state cannot be read.
pub fn recall(
    world: &World<'_>,
    node: NodeId,
    partition: &PartitionKey,
    fingerprint: &Fingerprint,
) -> Result<Option<Recalled>, StoreError> {
    let history = world.store.history(world.project.key(node), partition)?;
    let known: Vec<Materialization> = history.into_iter().filter(|it| it.fingerprint == *fingerprint).collect();
    for it in known.iter().filter(|it| matches!(it.output, StoredOutput::Files(_))) {
        let (states, refreshed) = check_stored(world, std::iter::once((node, it)));
        if states.get(&node) == Some(&OutputState::Same) {
            return Ok(Some(Recalled::InPlace(refreshed.into_iter().next().unwrap_or_else(|| it.clone()))));
        }
    }
    Ok(known.into_iter().find(|it| world.probe.keeps(node, &it.data_version)).map(Recalled::Kept))
}
