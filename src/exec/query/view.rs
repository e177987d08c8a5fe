//! How a view is made of a query: the text itself, which names the tables of its own database.

use super::{From, Input};

/// What stands after AS. `table` is how a table of the database is written in a statement, and `known` whether a
/// name in the query finds that table by itself.
pub fn body(
    sql: &str,
    inputs: &[Input],
    known: impl Fn(&str, &str) -> bool,
    table: impl Fn(&str) -> String,
    quoted: impl Fn(&str) -> String,
) -> String {
    let text = sql.trim_end().trim_end_matches(';');
    let own = inputs.iter().filter_map(|it| match &it.from {
        From::Table(name) if !known(&it.name, name) => Some((&it.name, name)),
        _ => None,
    });
    let names: Vec<String> =
        own.map(|(name, is)| format!("{} as not materialized (select * from {})", quoted(name), table(is))).collect();
    if names.is_empty() {
        return text.to_owned();
    }
    // A comment may be the last that stands in it.
    format!("with {}\nselect * from (\n{text}\n) as {}", names.join(",\n"), quoted("of_query"))
}
