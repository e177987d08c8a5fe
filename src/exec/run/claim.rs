//! Tables of others: what is in the place of an output of which nothing is recorded is not replaced unseen.

use super::{context::RunContext, prepare::PrepareError};
use crate::{
    exec::io::{Probed, Target},
    model::project::NodeId,
    plan::record::Materialization,
};

/// Lets an output be made, if its place is free, ours, or given up by whoever forces it to be made.
///
/// # Errors
/// Something else is there; a store that cannot be asked.
pub fn claim(
    context: &RunContext<'_>,
    node: NodeId,
    target: &Target,
    recorded: Option<&Materialization>,
) -> Result<(), PrepareError> {
    let io = context.workspace.io_of(node);
    let is_known = recorded.is_some_and(|it| matches!(io.believes(target, &it.output), Probed::Same));
    if is_known || context.forced.contains_key(&node) || !io.is_foreign(target)? {
        return Ok(());
    }
    let (key, place) = (&target.key, &target.path);
    Err(PrepareError::Render {
        message: format!("there is a table or view {place} already, which this project has not made"),
        help: vec![
            format!("if it may be replaced: assets materialize --force -s {key}"),
            format!("if it is what {key} should be: assets accept {key} --reason WHY"),
            "if it is something else: give one of the two another name".to_owned(),
        ],
    })
}
