//! Queries that make no rows of their own, only of those of the tables that they name.
//!
//! What it makes of small tables is taken to be small: a product of them is not thought of.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, TableFactor, Visit, Visitor};

use super::{
    Dialect,
    tables::{TableName, query, reads_of},
};

/// What makes many rows, or long lists, of a number or of one value.
const MAKERS: [&str; 6] =
    ["unnest", "range", "generate_series", "generate_subscripts", "repeat_row", "regexp_split_to_table"];

/// The tables that all rows come from; `None`: the query makes some itself, or it is in doubt.
pub fn tables_alone(text: &str, dialect: Dialect) -> Option<Vec<TableName>> {
    let query = query(text, dialect).ok()?;
    if query.visit(&mut Makers).is_break() { None } else { reads_of(&query, text, dialect).ok().map(|it| it.tables) }
}

struct Makers;

impl Visitor for Makers {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let is_recursive = query.with.as_ref().is_some_and(|it| it.recursive);
        if is_recursive { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { args: None, .. } | TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        let name = function.name.0.last().and_then(|it| it.as_ident()).map(|it| it.value.to_ascii_lowercase());
        let is_maker = name.is_none_or(|it| MAKERS.contains(&it.as_str()));
        if is_maker { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_from_tables_or_are_made() {
        for text in [
            "select 1 as n",
            "with a as (select * from b) select sum(n) from (select * from a) join c using (n)",
            "select * from (a join b using (n)) where n in (select max(n) from c)",
            "values (1), (2)",
        ] {
            assert!(tables_alone(text, Dialect::DuckDb).is_some(), "{text}");
        }
        for text in [
            "select * from range(10)",
            "select unnest([1, 2])",
            "select * from a, unnest(a.list)",
            "select main.Range(10)",
            "with recursive a as (select 1) select * from a",
            "select * from a where n in (select * from read_csv('b.csv'))",
            "not a query",
        ] {
            assert!(tables_alone(text, Dialect::DuckDb).is_none(), "{text}");
        }
    }
}
