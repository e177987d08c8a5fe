//! One table: whether it is there, and how it is defined.

use rusqlite::{Connection, OptionalExtension};

/// The one table of a staged database.
pub const STAGED: &str = "assets_staged";

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table or a view. Costs the same however many there are.
pub fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let mut found = connection.prepare_cached("select 1 from pragma_table_info(?, 'main') limit 1")?;
    match found.query_row([name], |_| Ok(())).optional() {
        Ok(it) => Ok(it.is_some()),
        // A view that reads what is not there any more has no columns.
        Err(_) => is_view(connection, name),
    }
}

pub fn is_view(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    if connection.table_exists(Some("main"), name)? {
        return Ok(false);
    }
    let found = "select 1 from main.sqlite_master where name = ? collate nocase and type = 'view'";
    connection.query_row(found, [name], |_| Ok(())).optional().map(|it| it.is_some())
}

/// Names and declared types of the columns, as they stand in a `create table`.
pub fn definition(connection: &Connection, schema: &str, name: &str) -> rusqlite::Result<String> {
    columns(connection, schema, name).map(|it| defined(&it))
}

/// The same of columns that are known.
pub fn defined(columns: &[(String, String)]) -> String {
    let columns: Vec<String> = columns.iter().map(|(name, kind)| format!("{} {kind}", quoted(name))).collect();
    format!("({})", columns.join(", "))
}

/// Names and declared types.
pub fn columns(connection: &Connection, schema: &str, name: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(&format!("pragma {schema}.table_info({})", quoted(name)))?;
    let rows = statement.query_map([], |it| Ok((it.get(1)?, it.get(2)?)))?;
    rows.collect()
}

/// Asks how many values of a column are something else in another table, which was filled in the same order. Numbers
/// that are equal are the same.
pub fn lost((from, old): (&str, &str), (to, new): (&str, &str)) -> String {
    let rows = |table: &str, column: &str| {
        format!("(select row_number() over (order by rowid) as place, {column} as it from {table})")
    };
    let number = "in ('integer', 'real')";
    format!(
        "select count(*) from {} a join {} b using (place) where typeof(a.it) <> typeof(b.it) \
         and not (typeof(a.it) {number} and typeof(b.it) {number} and a.it = b.it)",
        rows(from, old),
        rows(to, new)
    )
}

/// Whether people have made triggers on a table.
///
/// # Errors
/// What SQLite says.
pub fn has_triggers(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let query =
        "select exists (select 1 from main.sqlite_master where type = 'trigger' and tbl_name = ? collate nocase)";
    connection.query_row(query, [name], |it| it.get(0))
}
