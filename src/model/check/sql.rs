//! Checks as SQL: the query whose rows are the mistakes, or whose one value is judged.
//!
//! Pure text in the words that all engines share; what they spell differently is at the end, a function
//! each. Knows nothing of who runs it.

use super::{Literal, Rule};
use crate::model::sql::Dialect;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The name of the table.
    pub table: &'a str,
    /// Its columns, in order.
    pub columns: &'a [String],
    /// Only rows for which this is true.
    pub filter: Option<&'a str>,
}

/// The query whose rows are the mistakes; `None` for a rule that is not of rows.
pub fn failing_rows(rule: &Rule, subject: &Subject<'_>, dialect: Dialect) -> Option<String> {
    let name = |it: &String| dialect.quoted(it);
    let from = from(subject.table, subject.filter, dialect);
    let any = |condition: String| Some(format!("select * from {from} where {condition}"));
    match rule {
        Rule::NotNull { columns } => any(joined(columns, " or ", |it| format!("{} is null", name(it)))),
        Rule::Unique { columns } => {
            let there = joined(columns, " and ", |it| format!("{} is not null", name(it)));
            Some(repeated(&from, columns, Some(&there), dialect))
        }
        Rule::AcceptedValues { column, values } => {
            let (column, values) = (name(column), joined(values, ", ", |it| literal(it, dialect)));
            any(format!("{column} is not null and {column} not in ({values})"))
        }
        Rule::Relationships { column, to, field } => {
            // By the name of its table: a column that is not there must not be taken for one of the other's.
            let (column, to, field) = (name(column), name(to), format!("assets_to.{}", name(field)));
            any(format!(
                "{column} is not null and {column} not in (select {field} from {to} as assets_to where {field} is not null)"
            ))
        }
        Rule::Range { column, min, max } => {
            let column = name(column);
            let bound = |sign: &str, it: &Literal| format!("{column} {sign} {}", literal(it, dialect));
            any(either(min.iter().map(|it| bound("<", it)).chain(max.iter().map(|it| bound(">", it)))))
        }
        Rule::Regex { column, pattern } => {
            let column = name(column);
            any(format!("{column} is not null and not {}", matches(&column, pattern, dialect)))
        }
        Rule::Length { column, min, max } => {
            let length = format!("length({})", name(column));
            let bound = |sign: &str, it: &u64| format!("{length} {sign} {it}");
            any(either(min.iter().map(|it| bound("<", it)).chain(max.iter().map(|it| bound(">", it)))))
        }
        // A text of people's own may end in a comment, which ends with its line.
        Rule::Expression { expression } => any(format!("not (\n{expression}\n)")),
        Rule::Sql { query } => Some(query.trim_end().trim_end_matches(';').to_owned()),
        Rule::DuplicateRows { columns } if columns.is_empty() => Some(repeated(&from, subject.columns, None, dialect)),
        Rule::DuplicateRows { columns } => Some(repeated(&from, columns, None, dialect)),
        Rule::Compare { to, columns } => {
            let columns = if columns.is_empty() { subject.columns } else { columns };
            Some(different(subject, to, columns, dialect))
        }
        Rule::RowCount { .. } | Rule::Freshness { .. } | Rule::Schema { .. } | Rule::Metric { .. } => None,
    }
}

/// The query with the one value that is judged; `None` for a rule that is of rows or of columns.
pub fn value(rule: &Rule, subject: &Subject<'_>, dialect: Dialect) -> Option<String> {
    let from = from(subject.table, subject.filter, dialect);
    Some(match rule {
        Rule::RowCount { .. } => format!("select count(*) from {from}"),
        Rule::Freshness { column, .. } => format!("select max({}) from {from}", dialect.quoted(column)),
        Rule::Metric { value, .. } => format!("select (\n{value}\n) from {from}"),
        _ => return None,
    })
}

/// How many rows are looked at.
pub fn total(subject: &Subject<'_>, dialect: Dialect) -> String {
    format!("select count(*) from {}", from(subject.table, subject.filter, dialect))
}

/// A query without rows that has the columns of a table.
pub fn columns_of(table: &str, dialect: Dialect) -> String {
    format!("select * from {} where 1 = 0", dialect.quoted(table))
}

/// What follows FROM. Filtered or not, it goes by the name of the table.
fn from(table: &str, filter: Option<&str>, dialect: Dialect) -> String {
    let table = dialect.quoted(table);
    match filter {
        None => table,
        Some(filter) => format!("(select * from {table} where (\n{filter}\n)) as {table}"),
    }
}

/// Values that are there more than once, each once, with how often.
fn repeated(from: &str, columns: &[String], condition: Option<&str>, dialect: Dialect) -> String {
    let keys = joined(columns, ", ", |it| dialect.quoted(it));
    let condition = condition.map(|it| format!(" where {it}")).unwrap_or_default();
    let times = dialect.quoted(&free("times", columns));
    format!("select {keys}, count(*) as {times} from {from}{condition} group by {keys} having count(*) > 1")
}

/// Rows of one that are not as often in the other, with where and how often.
fn different(subject: &Subject<'_>, to: &str, columns: &[String], dialect: Dialect) -> String {
    let keys = joined(columns, ", ", |it| dialect.quoted(it));
    let (times, side) = (dialect.quoted(&free("times", columns)), dialect.quoted(&free("only in", columns)));
    let counted = |table: &str| {
        let from = from(table, subject.filter, dialect);
        format!("select {keys}, count(*) as {times} from {from} group by {keys}")
    };
    let only = |one: &str, other: &str| {
        let label = text(one);
        format!(
            "select {label} as {side}, {keys}, {times} from ({} except {}) as assets_rest",
            counted(one),
            counted(other)
        )
    };
    format!("{} union all {}", only(subject.table, to), only(to, subject.table))
}

/// `name`, or something like it that no column is called.
fn free(name: &str, columns: &[String]) -> String {
    let mut name = name.to_owned();
    while columns.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
        name.push('_');
    }
    name
}

fn joined<T>(them: &[T], between: &str, one: impl Fn(&T) -> String) -> String {
    them.iter().map(one).collect::<Vec<_>>().join(between)
}

fn either(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" or ")
}

/// A text as SQL, whatever is in it.
fn text(it: &str) -> String {
    format!("'{}'", it.replace('\'', "''"))
}

/// A value as SQL.
fn literal(it: &Literal, dialect: Dialect) -> String {
    match (it, dialect) {
        // It has no truth values: those of its columns are numbers.
        (Literal::Boolean(it), Dialect::Sqlite) => i64::from(*it).to_string(),
        (Literal::Integer(i64::MIN), _) => "(-9223372036854775807 - 1)".to_owned(),
        (Literal::Integer(it), _) => it.to_string(),
        (Literal::Boolean(it), _) => it.to_string(),
        // Written so that it stays a number with a fraction.
        (Literal::Float(it), _) => format!("{it:?}"),
        (Literal::Text(it), _) => text(it),
    }
}

/// Whether a pattern is found in a column that is not null.
fn matches(column: &str, pattern: &str, dialect: Dialect) -> String {
    match dialect {
        // A function that whoever runs checks must lend it: `regexp(pattern, text)`.
        Dialect::Sqlite => format!("({column} regexp {})", text(pattern)),
        Dialect::Postgres => format!("({column}::text ~ {})", text(pattern)),
        Dialect::DuckDb => format!("regexp_matches(cast({column} as varchar), {})", text(pattern)),
        Dialect::Snowflake => format!("(regexp_instr(cast({column} as varchar), {}) > 0)", text(pattern)),
        Dialect::BigQuery => format!("regexp_contains(cast({column} as string), {})", text(pattern)),
        Dialect::DataFusion | Dialect::Ansi => format!("regexp_like(cast({column} as varchar), {})", text(pattern)),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::model::check::Bounds;

    fn column(it: &str) -> Vec<String> {
        it.split(' ').map(str::to_owned).collect()
    }

    fn gives(rule: &Rule, filter: Option<&str>, expected: Expect) {
        let columns = column("id day total");
        let subject = Subject { table: "mart/orders", columns: &columns, filter };
        let sql = failing_rows(rule, &subject, Dialect::Sqlite).or_else(|| value(rule, &subject, Dialect::Sqlite));
        expected.assert_eq(&sql.unwrap_or_default());
    }

    #[test]
    fn rows_that_are_wrong_by_themselves() {
        gives(
            &Rule::NotNull { columns: column("id day") },
            None,
            expect![[r#"select * from "mart/orders" where "id" is null or "day" is null"#]],
        );
        let values =
            vec![Literal::Text("it's".into()), Literal::Integer(-3), Literal::Float(2.0), Literal::Boolean(true)];
        gives(
            &Rule::AcceptedValues { column: "a\"b".into(), values },
            None,
            expect![[
                r#"select * from "mart/orders" where "a""b" is not null and "a""b" not in ('it''s', -3, 2.0, 1)"#
            ]],
        );
        let range = |min, max| Rule::Range { column: "total".into(), min, max };
        gives(
            &range(Some(Literal::Integer(0)), Some(Literal::Text("z".into()))),
            None,
            expect![[r#"select * from "mart/orders" where "total" < 0 or "total" > 'z'"#]],
        );
        gives(
            &range(None, Some(Literal::Float(1e30))),
            None,
            expect![[r#"select * from "mart/orders" where "total" > 1e30"#]],
        );
        gives(
            &Rule::Regex { column: "day".into(), pattern: "^'".into() },
            None,
            expect![[r#"select * from "mart/orders" where "day" is not null and not ("day" regexp '^''')"#]],
        );
        gives(
            &Rule::Length { column: "day".into(), min: Some(10), max: Some(10) },
            None,
            expect![[r#"select * from "mart/orders" where length("day") < 10 or length("day") > 10"#]],
        );
    }

    #[test]
    fn a_filter_and_an_expression_may_end_in_a_comment() {
        gives(
            &Rule::Expression { expression: "total > 0 -- paid".into() },
            Some("day is not null -- known"),
            expect![[r#"
                select * from (select * from "mart/orders" where (
                day is not null -- known
                )) as "mart/orders" where not (
                total > 0 -- paid
                )"#]],
        );
    }

    #[test]
    fn rows_that_are_wrong_together() {
        gives(
            &Rule::Unique { columns: column("id times") },
            None,
            expect![[
                r#"select "id", "times", count(*) as "times_" from "mart/orders" where "id" is not null and "times" is not null group by "id", "times" having count(*) > 1"#
            ]],
        );
        gives(
            &Rule::DuplicateRows { columns: vec![] },
            None,
            expect![[
                r#"select "id", "day", "total", count(*) as "times" from "mart/orders" group by "id", "day", "total" having count(*) > 1"#
            ]],
        );
        gives(
            &Rule::Relationships { column: "id".into(), to: "ids".into(), field: "n".into() },
            None,
            expect![[
                r#"select * from "mart/orders" where "id" is not null and "id" not in (select assets_to."n" from "ids" as assets_to where assets_to."n" is not null)"#
            ]],
        );
        gives(
            &Rule::Compare { to: "old".into(), columns: column("id") },
            None,
            expect![[
                r#"select 'mart/orders' as "only in", "id", "times" from (select "id", count(*) as "times" from "mart/orders" group by "id" except select "id", count(*) as "times" from "old" group by "id") as assets_rest union all select 'old' as "only in", "id", "times" from (select "id", count(*) as "times" from "old" group by "id" except select "id", count(*) as "times" from "mart/orders" group by "id") as assets_rest"#
            ]],
        );
        gives(&Rule::Sql { query: "select 1 ;\n".into() }, None, expect!["select 1 "]);
    }

    #[test]
    fn values_that_are_judged() {
        let bounds = Bounds::default();
        gives(&Rule::RowCount { bounds }, None, expect![[r#"select count(*) from "mart/orders""#]]);
        gives(
            &Rule::Freshness { column: "day".into(), within_ms: 1 },
            None,
            expect![[r#"select max("day") from "mart/orders""#]],
        );
        gives(
            &Rule::Metric { value: "sum(total)".into(), bounds },
            Some("id > 1"),
            expect![[r#"
                select (
                sum(total)
                ) from (select * from "mart/orders" where (
                id > 1
                )) as "mart/orders""#]],
        );
    }
}
