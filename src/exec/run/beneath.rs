//! What lies beneath a view: whoever reads the view reads that, whatever the view was when it was recorded.

use crate::{
    model::{
        fingerprint::{PartKind, PartValue},
        project::{NodeBody, NodeId},
    },
    plan::{record::Materialization, survey::standing, world::OutputState},
};

use super::context::Workspace;

/// The assets that a view shows, and those that views among them show; nothing, of what is no view. Tables with
/// partitions are told by the view alone.
pub fn beneath(workspace: &Workspace, node: NodeId) -> Vec<NodeId> {
    let project = &*workspace.project;
    let mut found = Vec::new();
    let mut views = vec![node];
    while let Some(view) = views.pop() {
        let Some(asset) = project.nodes[view].asset().filter(|it| it.publishing.view) else { continue };
        for dep in &project.ops[asset.op].deps {
            let is_whole = matches!(project.nodes[*dep].body, NodeBody::Asset(_)) && !workspace.partitions.cuts(*dep);
            if is_whole && !found.contains(dep) {
                found.push(*dep);
                views.push(*dep);
            }
        }
    }
    found
}

/// Why a view is not what was recorded of it: what lies beneath is by now another version, or none.
pub fn shifted<'r>(
    workspace: &Workspace,
    view: NodeId,
    of: impl Fn(NodeId) -> (Option<&'r Materialization>, Option<&'r OutputState>),
) -> Option<String> {
    let project = &*workspace.project;
    let direct = |node: NodeId| {
        let beneath = beneath(workspace, node);
        let op = project.nodes[node].asset().map(|it| &project.ops[it.op]);
        beneath.into_iter().filter(move |it| op.is_some_and(|op| op.deps.contains(it)))
    };
    let all = std::iter::once(view).chain(beneath(workspace, view));
    all.flat_map(|above| direct(above).map(move |it| (above, it))).find_map(|(above, below)| {
        let key = project.key(below);
        let (record, stored) = of(below);
        let version = match standing(record, stored) {
            Ok(version) => PartValue::Digest(version),
            Err(why) => return Some(format!("shows {key}, which {why}")),
        };
        let recorded = of(above).0?.fingerprint.parts();
        let is_it =
            |it: &&crate::model::fingerprint::Part| it.kind == PartKind::Input && *it.name == *key.as_str().as_bytes();
        let is_same = recorded.iter().find(is_it).is_none_or(|it| it.value == version);
        (!is_same).then(|| format!("shows {key}, which is another since"))
    })
}
