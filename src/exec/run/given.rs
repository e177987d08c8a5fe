//! What each dependency of a step is given to its command or query as: a path, rows that were copied, or a table where it is.

use crate::{
    exec::{
        copies::Copies,
        relation::relation,
        run::{
            context::RunContext,
            partitions,
            prepare::{Now, PrepareError},
            query,
            render::Given,
            vacant,
        },
    },
    model::{
        format::TableFormat,
        key::PartitionKey,
        plan::PlanStep,
        project::{Action, NodeBody, NodeId, Op, Source},
    },
    plan::observe::SourceFacts,
};

/// What the dependencies of `step` are given as, as they stand.
///
/// # Errors
/// A dependency that is not there.
pub fn given_now(
    context: &RunContext<'_>,
    step: &PlanStep,
    copies: &mut Copies,
) -> Result<Vec<(NodeId, Given)>, PrepareError> {
    given_inputs(context, step, &Now::look(context, step)?, copies)
}

/// A dependency that is there and cannot be read.
pub fn unread(key: &str, why: impl ToString) -> PrepareError {
    PrepareError::Render { message: format!("{key}: {}", why.to_string()), help: Vec::new() }
}

/// What each dependency is given to the command as.
pub fn given_inputs(
    context: &RunContext<'_>,
    step: &PlanStep,
    now: &Now,
    copies: &mut Copies,
) -> Result<Vec<(NodeId, Given)>, PrepareError> {
    let workspace = context.workspace;
    let mut given = Vec::new();
    let op = &workspace.project.ops[step.op];
    let own = |op: &Op| workspace.project.nodes[op.outputs[0]].asset().expect("a query makes an asset").io;
    for dep in &op.deps {
        let key = workspace.project.key(*dep).as_str();
        let cut = now.parts.get(dep).map(|it| it.there.is_empty());
        let cut = cut.or_else(|| Some(now.facts.partitions.get(dep)?.is_empty()));
        if cut == Some(true) && matches!(op.action, Action::Sql(_)) {
            given.push((*dep, partitions::nothing_given(context, step, *dep, copies)?));
            continue;
        }
        // A query reads tables where they are.
        let (keeper, kept) = workspace.keeper(*dep);
        if let Some(parts) = now.parts.get(dep)
            && matches!(op.action, Action::Sql(_))
            && keeper.project.is_in_database(kept)
        {
            given.push((*dep, parts.rows_given(context, own(op), copies)?));
            continue;
        }
        if matches!(op.action, Action::Sql(_)) && keeper.project.is_in_database(kept) {
            let own = own(op);
            let lent = !std::ptr::eq(keeper, workspace);
            if query::is_copied(&keeper.project, kept, own, lent) {
                let rows = relation(keeper, kept).map_err(|it| unread(key, it))?.rows();
                let copy = rows.and_then(|it| copies.of_rows(key, it, TableFormat::Arrow));
                given.push((*dep, Given::One(copy.map_err(|it| unread(key, it))?.into_os_string())));
            }
            continue;
        }
        if let Some((_, form)) = op.forms.iter().find(|it| it.0 == *dep) {
            let rows = relation(keeper, kept).map_err(|it| unread(key, it))?.rows();
            let copy = rows.and_then(|it| copies.of_rows(key, it, *form)).map_err(|it| unread(key, it))?;
            given.push((*dep, Given::One(copy.into_os_string())));
            continue;
        }
        let it = match &workspace.project.nodes[*dep].body {
            NodeBody::Asset(_) if now.parts.contains_key(dep) => now.parts[dep].given(context, step, copies)?,
            NodeBody::Source(Source::Files(set)) if now.facts.partitions.contains_key(dep) => {
                partitions::source_given(context, step, *dep, (set, &now.facts.partitions[dep]), copies)?
            }
            NodeBody::Asset(_) => {
                let loaded = keeper.io_of(kept).load(&keeper.target(kept, &PartitionKey::whole()))?;
                Given::One(copies.file(key, loaded).map_err(|it| unread(key, it))?.into_os_string())
            }
            NodeBody::Source(Source::Files(set)) => {
                let Some(SourceFacts::Known { observation, .. }) = now.facts.sources.get(dep) else { continue };
                let paths = observation.files.iter().map(|(path, _)| path.under(&workspace.root).into_os_string());
                match &*set.patterns {
                    [one] if !one.text.contains(['*', '?', '[', '{']) && observation.files.len() == 1 => {
                        Given::One(paths.into_iter().next().expect("there is one"))
                    }
                    _ => Given::Many(paths.collect()),
                }
            }
            NodeBody::Source(Source::Url { url, .. }) => Given::One(url.into()),
            NodeBody::Source(Source::Command { .. }) => {
                let Some(SourceFacts::Known { observation, .. }) = now.facts.sources.get(dep) else { continue };
                Given::One(observation.shown.clone().unwrap_or_default().into())
            }
        };
        let it = match now.places(workspace, *dep) {
            Some(places) if matches!(op.action, Action::Sql(_)) => vacant::typed(context, *dep, &places, it, copies)?,
            _ => it,
        };
        given.push((*dep, it));
    }
    Ok(given)
}
