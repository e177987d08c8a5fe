//! `--partition`: from its text to the partitions of each selected asset.

use std::collections::HashMap;

use crate::{
    face::{app::App, cli::error::Failure, ui::Ui},
    model::{
        key::PartitionKey,
        node_set::NodeSet,
        partition::{BadText, PartitionSet},
        project::NodeId,
        staleness::State,
    },
    plan::survey::{Forced, Request, Survey, survey},
};

/// Of each asset with partitions those that are meant.
pub type Chosen = HashMap<NodeId, PartitionSet>;

/// What `text` means to the selected assets. Those that know no such partition are left out, with all of
/// their partitions, and people are told; if none knows it that is a mistake.
pub fn chosen(app: &App, selected: &NodeSet, text: Option<&str>, ui: &Ui) -> Result<Option<Chosen>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let partitions = &app.workspace.partitions;
    let cut: Vec<NodeId> = selected.iter().filter(|it| partitions.cuts(*it)).collect();
    if cut.is_empty() {
        return Err(Failure::usage("nothing that is selected has partitions").hint("leave `--partition` out"));
    }
    let text = text.trim();
    if let Some(state) = state_of(text) {
        let surveyed = survey(
            &app.workspace.world(),
            &Request { scope: selected, runs: selected, forced: Forced::Nothing, only: None },
        )?;
        return Ok(Some(cut.into_iter().map(|it| (it, in_state(&surveyed, it, state))).collect()));
    }
    let mut chosen = Chosen::new();
    let mut refused: Vec<(NodeId, BadText)> = Vec::new();
    for node in cut {
        match partitions.of_node(node).parse(text) {
            Ok(set) => drop(chosen.insert(node, set)),
            Err(why) => refused.push((node, why)),
        }
    }
    if chosen.is_empty() {
        let (node, why) = refused.swap_remove(0);
        let failure = Failure::usage(format!("--partition {text}: {} ({})", why.message, app.project().key(node)));
        return Err(why.help.into_iter().fold(failure, Failure::hint));
    }
    for (node, why) in refused {
        let help = why.help.map(|it| format!("; {it}")).unwrap_or_default();
        ui.warn(&format!("{} is left out: {}{help}", app.project().key(node), why.message));
        chosen.insert(node, PartitionSet::empty());
    }
    Ok(Some(chosen))
}

/// Words that ask what is recorded.
fn state_of(text: &str) -> Option<State> {
    match text {
        "missing" => Some(State::Missing),
        "stale" => Some(State::Stale),
        "failed" => Some(State::Failed),
        _ => None,
    }
}

fn in_state(surveyed: &Survey, node: NodeId, state: State) -> PartitionSet {
    surveyed.parted.get(&node).map(|it| it.in_state(state).difference(&it.waiting)).unwrap_or_default()
}

/// The partition that is asked for, if one is; otherwise the whole.
pub fn partition_of(app: &App, node: NodeId, text: Option<&str>) -> Result<PartitionKey, Failure> {
    let Some(text) = text else { return Ok(PartitionKey::whole()) };
    if !app.workspace.partitions.cuts(node) {
        let failure = Failure::usage(format!("{} has no partitions", app.project().key(node)));
        return Err(failure.hint("leave `--partition` out"));
    }
    let place = one(app, node, text)?;
    Ok(app.workspace.partitions.of_node(node).key(place).unwrap_or_default())
}

/// The one partition that `text` names.
pub fn one(app: &App, node: NodeId, text: &str) -> Result<u64, Failure> {
    let keys = app.workspace.partitions.of_node(node);
    let refused = |message: String, help: Option<String>| {
        help.into_iter().fold(Failure::usage(format!("--partition {text}: {message}")), Failure::hint)
    };
    let set = keys.parse(text).map_err(|it| refused(it.message, it.help))?;
    match (set.first(), set.count()) {
        (Some(place), 1) => Ok(place),
        (_, count) => Err(refused(format!("{count} partitions, where one is meant"), None)),
    }
}
