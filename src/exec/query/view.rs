//! How a view is made of a query: the text itself, which names the tables of its own database.

/// What stands after AS. Each of `names` is one that the text uses and that does not find its table by itself, and
/// how that table is written in a statement.
pub fn body(text: &str, names: &[(String, String)], quoted: impl Fn(&str) -> String) -> String {
    if names.is_empty() {
        return text.to_owned();
    }
    let names = names.iter().map(|(name, is)| format!("{} as not materialized (select * from {is})", quoted(name)));
    // A comment may be the last that stands in it.
    let (names, all) = (names.collect::<Vec<_>>().join(",\n"), quoted("of_query"));
    format!("with {names}\nselect * from (\n{text}\n) as {all}")
}
