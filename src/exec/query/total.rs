//! A protection from the engine that is built in: a total over everything is one row even of no rows, so a condition
//! on that row is not a condition on the rows that it is made of. DataFusion 55 takes one that names no column for
//! that: `select * from (select 0 as k, count(*) as n from t) where k > (select 1)` gives a row with 0.

use std::sync::Arc;

use datafusion::{
    common::tree_node::Transformed,
    error::Result,
    logical_expr::{Expr, LogicalPlan},
    optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule, push_down_filter::PushDownFilter},
};

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules of the engine; the one that moves conditions stops at totals.
pub fn rules() -> Vec<Rule> {
    let careful = |it: Rule| match it.name() == PushDownFilter::new().name() {
        true => Arc::new(StopsAtTotals(PushDownFilter::new())) as Rule,
        false => it,
    };
    Optimizer::new().rules.into_iter().map(careful).collect()
}

#[derive(Debug)]
struct StopsAtTotals(PushDownFilter);

impl OptimizerRule for StopsAtTotals {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Filter(filter) if is_total(&filter.input) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

fn is_total(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(it) = plan else { return false };
    it.group_expr.is_empty() || it.group_expr.iter().any(|it| matches!(it, Expr::GroupingSet(_)))
}

#[cfg(test)]
mod tests {
    use crate::exec::query::datafusion::Session;

    #[test]
    fn a_condition_on_a_total_is_asked_of_the_total() {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::of(&[], &folder.path().join("spill")).unwrap();
        let rows = "(values (1), (2), (3)) as t (a)";
        for (query, told) in [
            (
                format!(
                    "select * from (select 0 as k, count(*) as n from {rows}) where k > (select max(a) from {rows})"
                ),
                0,
            ),
            (
                format!(
                    "select * from (select 4 as k, count(*) as n from {rows}) where k > (select max(a) from {rows})"
                ),
                1,
            ),
            (format!("select count(*) as n from {rows} having (select max(a) from {rows}) > 3"), 0),
            (
                format!(
                    "select a, count(*) as n from {rows} group by rollup (a) having (select max(a) from {rows}) > 3"
                ),
                0,
            ),
            (
                format!(
                    "select a, count(*) as n from {rows} group by a having (select max(a) from {rows}) > 2 and a > 1"
                ),
                2,
            ),
        ] {
            let mut count = 0;
            let mut take = |batch: &arrow::record_batch::RecordBatch| {
                count += batch.num_rows();
                Ok(true)
            };
            session.each(&query, &mut take).unwrap();
            assert_eq!(count, told, "{query}");
        }
    }
}
