//! What lies beneath a view: whoever reads the view reads that, whatever the view was when it was recorded.

use std::collections::HashMap;

use super::{
    context::Workspace,
    partitions::{ReadParts, recorded},
};
use crate::{
    model::{
        fingerprint::{PartKind, PartValue},
        key::PartitionKey,
        project::{NodeBody, NodeId, OpId},
    },
    plan::{
        parted::part_name,
        record::Materialization,
        store::StoreError,
        survey::standing,
        world::{OutputState, World},
    },
};

/// One asset that a view shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    pub view: NodeId,
    pub below: NodeId,
}

/// What a view shows, and what the views among that show; nothing, of what is no view. What another target lends is as
/// it was found there.
pub fn beneath(workspace: &Workspace, node: NodeId) -> Vec<Shown> {
    let project = &*workspace.project;
    let mut found: Vec<Shown> = Vec::new();
    let mut views = vec![node];
    while let Some(view) = views.pop() {
        let is_lent = workspace.deferred.as_ref().is_some_and(|it| it.lender(view).is_some());
        let Some(op) = op_of_view(workspace, view).filter(|_| !is_lent) else { continue };
        for below in project.ops[op].deps.iter().copied() {
            let shown = Shown { view, below };
            if matches!(project.nodes[below].body, NodeBody::Asset(_)) && !found.contains(&shown) {
                if !found.iter().any(|it| it.below == below) {
                    views.push(below);
                }
                found.push(shown);
            }
        }
    }
    found
}

fn op_of_view(workspace: &Workspace, node: NodeId) -> Option<OpId> {
    workspace.project.nodes[node].asset().filter(|it| it.publishing.view).map(|it| it.op)
}

/// The records of the partitions that a view shows; `None` of what has none.
///
/// # Errors
/// State that cannot be read.
pub fn parts_of(workspace: &Workspace, shown: Shown) -> Result<Option<(Vec<Materialization>, u64)>, StoreError> {
    match op_of_view(workspace, shown.view) {
        Some(op) => recorded(workspace, op, shown.below, &PartitionKey::whole()),
        None => Ok(None),
    }
}

/// Everything beneath the views that a step reads, as it stands.
#[derive(Default)]
pub struct Ground {
    shown: HashMap<NodeId, Vec<Shown>>,
    /// Of what has partitions.
    pub parts: HashMap<NodeId, ReadParts>,
}

impl Ground {
    /// Adds what lies beneath `node`; what has no partitions to `records`.
    ///
    /// # Errors
    /// State that cannot be read.
    pub fn look(
        &mut self,
        (world, workspace): (&World<'_>, &Workspace),
        node: NodeId,
        records: &mut HashMap<NodeId, Materialization>,
    ) -> Result<(), StoreError> {
        let shown = beneath(workspace, node);
        for it in &shown {
            match parts_of(workspace, *it)? {
                Some(them) => {
                    let parts = ReadParts::look(world, workspace, it.below, them);
                    self.parts.insert(it.below, parts);
                }
                None => {
                    let record = world.store.latest(workspace.project.key(it.below), &PartitionKey::whole())?;
                    records.extend(record.map(|record| (it.below, record)));
                }
            }
        }
        self.shown.insert(node, shown);
        Ok(())
    }

    /// Why a view is not what was recorded of it: what lies beneath is by now another version, or none.
    pub fn shifted<'r>(
        &self,
        workspace: &Workspace,
        view: NodeId,
        of: impl Fn(NodeId) -> (Option<&'r Materialization>, Option<&'r OutputState>),
    ) -> Option<String> {
        self.shown.get(&view)?.iter().find_map(|Shown { view, below }| {
            let key = workspace.project.key(*below);
            let recorded = of(*view).0?.fingerprint.parts().iter().filter(|it| it.kind == PartKind::Input);
            let another = || Some(format!("shows {key}, which is another since"));
            let Some(parts) = self.parts.get(below) else {
                let (record, stored) = of(*below);
                let version = match standing(record, stored) {
                    Ok(version) => PartValue::Digest(version),
                    Err(why) => return Some(format!("shows {key}, which {why}")),
                };
                let same =
                    |it: &crate::model::fingerprint::Part| *it.name != *key.as_str().as_bytes() || it.value == version;
                return if recorded.clone().all(same) { None } else { another() };
            };
            let of_dep = part_name(key.as_str(), &PartitionKey::whole());
            let mut was: HashMap<&[u8], &PartValue> =
                recorded.filter(|it| it.name.starts_with(of_dep.as_bytes())).map(|it| (&*it.name, &it.value)).collect();
            for (record, stored) in &parts.there {
                let name = part_name(key.as_str(), &record.partition);
                match standing(Some(record), Some(stored)) {
                    Err(why) => return Some(format!("shows {name}, which {why}")),
                    Ok(version) if was.remove(name.as_bytes()) != Some(&PartValue::Digest(version)) => {
                        return another();
                    }
                    Ok(_) => {}
                }
            }
            if was.is_empty() { None } else { another() }
        })
    }
}
