//! Whether a step makes all of its table, or adds to the rows that are there.
//!
//! Rows are added only if what is there is what this tool made last by the same code, and nothing but the data
//! that it is made from has changed since: whatever else is the reason, all of it is made.

use crate::{
    model::{
        event::Extent,
        project::{Action, NodeId, Op},
    },
    plan::{examine::Examined, record::Materialization},
};

/// `None` for what is never added to. `whole` is the record of an output that is in place and as it was recorded.
pub fn extent<'r>(
    op: &Op,
    examined: &[(NodeId, Examined)],
    whole: impl Fn(NodeId) -> Option<&'r Materialization>,
) -> Option<Extent> {
    let Action::Sql(sql) = &op.action else { return None };
    sql.incremental.as_ref()?;
    let adds = examined
        .iter()
        .all(|(node, it)| whole(*node).is_some() && Extent::for_reasons(it.verdict.reasons()) == Extent::Added);
    Some(if adds { Extent::Added } else { Extent::Whole })
}
