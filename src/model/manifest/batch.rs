//! How partitions are run: `batch`, a command that is given several at once, and pools with a limit `per` dimension.

use crate::{
    base::{
        diagnostic::Diagnostic,
        id::{Id, IdVec},
    },
    model::{
        partition::Definition,
        partitioning::PartitionsId,
        project::{IoKind, Job, Node, NodeId, Op, OpId, Pool, PoolId, VersionKind},
    },
};

use super::{code, gather::Declared, raw::Data, resolve::Resolver};

/// What templates can say of several partitions: there is no one key.
pub const OF_RANGE: [&str; 2] = ["start", "end"];

impl Resolver<'_> {
    /// The names below `partition` that the command of `declared` may use: with several there is no one key.
    pub fn names_in_command(&self, declared: &Declared, cut: Option<PartitionsId>) -> Vec<String> {
        let mut names = self.partition_names(cut);
        if declared.table.entry("batch").is_some() {
            names.retain(|it| OF_RANGE.contains(&&**it));
        }
        names
    }

    /// How many partitions the command of `op` is given at once, if it says so.
    pub fn batch(&mut self, declared: &Declared, id: OpId, op: &Op, nodes: &IdVec<NodeId, Node>) {
        let Some(entry) = declared.table.entry("batch") else { return };
        let several = match &entry.value.data {
            Data::Integer(it) => usize::try_from(*it).unwrap_or(usize::MAX),
            Data::Text(_) => usize::MAX,
            _ => return,
        };
        let told = |code, message: &str| Diagnostic::error(code, message).at(entry.place);
        let first = op.outputs.first().and_then(|it| self.partitioning.of(*it));
        let assets = || op.outputs.iter().filter_map(|it| nodes[*it].asset());
        let wrong = if first.is_none() {
            let it = told(code::BAD_VALUE, "`batch` means nothing without `partitions`");
            Some(it.help("say how it is cut: partitions = \"NAME\""))
        } else if declared.table.entry("sql").is_some() {
            // Its rows are laid apart by that. Of a table it is asked for anyway.
            let is_named = declared.table.entry("partition_column").is_some();
            let in_files = assets().all(|it| self.io_kinds.get(it.io.index()).and_then(IoKind::database).is_none());
            let it = told(code::MISSING_KEY, "nothing says which of its rows are of which partition");
            (in_files && !is_named)
                .then(|| it.help("name the column that holds the key of each row: partition_column = \"day\""))
        } else if op.in_place {
            let it = told(code::BAD_VALUE, "`in_place` has one path, and a batch has several");
            Some(it.help("take one of the two out"))
        } else if assets().any(|it| it.version == VersionKind::Reported) {
            let it = told(code::BAD_VALUE, "the command reports one version, and a batch has several");
            Some(it.help("take `batch` or `version` out"))
        } else {
            None
        };
        match wrong {
            Some(it) => self.report.push(it),
            None => drop(self.partitioning.batches.insert(id, several.max(1))),
        }
    }

    /// Tells of pools by dimension whose limit says nothing of what is in them.
    pub fn check_pools(
        &mut self,
        ops: &IdVec<OpId, Op>,
        pools: &IdVec<PoolId, Pool>,
        jobs: &std::collections::BTreeMap<String, Job>,
    ) {
        let mut wrong = Vec::new();
        for op in ops.values() {
            let Some(pool) = op.pool.map(|it| &pools[it]) else { continue };
            let Some(per) = &pool.per else { continue };
            let cut = op.outputs.first().and_then(|it| self.partitioning.of(*it));
            let has = |cut: PartitionsId| match &self.partitioning.definitions[cut].definition {
                Definition::Multi(them) => them.iter().any(|it| *it.name == **per),
                _ => self.partitioning.definitions[cut].name == *per,
            };
            if !cut.is_some_and(has) {
                let message = format!("`{}` has no `{per}`, by which its pool `{}` is limited", op.name, pool.name);
                let told = Diagnostic::error(code::BAD_VALUE, message).at(op.place);
                wrong.push(told.help(format!("cut it by `{per}`, or give it another pool")));
            }
        }
        for job in jobs.values() {
            if let Some(pool) = job.pool.map(|it| &pools[it]).filter(|it| it.per.is_some()) {
                let message = format!("the pool `{}` limits partitions, and not what a job has at work", pool.name);
                let told = Diagnostic::error(code::BAD_VALUE, message).at(job.place);
                wrong.push(told.help("give the job a pool without `per`"));
            }
        }
        wrong.into_iter().for_each(|it| self.report.push(it));
    }
}
