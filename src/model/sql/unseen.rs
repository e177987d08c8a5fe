//! Functions that read what a query does not name: files, other databases, queries in a text.
//!
//! In a FROM of DuckDB and SQLite whatever is not known to make its rows of its arguments alone is one, as is every
//! name there that nobody declared. In Postgres any function can stand there, so those are known that do read.

use super::Dialect;

/// What DuckDB makes rows of in a FROM without reading anything.
const DUCKDB_PURE: [&str; 11] = [
    "generate_series",
    "icu_calendar_names",
    "json_each",
    "json_tree",
    "pg_timezone_names",
    "range",
    "repeat",
    "repeat_row",
    "test_all_types",
    "test_vector_types",
    "unnest",
];

const SQLITE_PURE: [&str; 5] = ["generate_series", "json_each", "json_tree", "jsonb_each", "jsonb_tree"];

/// Wherever they stand.
const POSTGRES_READING: [&str; 20] = [
    "cursor_to_xml",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "file_fdw_handler",
    "loread",
    "lo_get",
    "pg_current_logfile",
    "pg_logical_slot_get_changes",
    "pg_logical_slot_peek_changes",
    "pg_stat_file",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "ts_stat",
    "connectby",
    "xpath_table",
];

/// What the names of more than one begin with.
const POSTGRES_READING_FAMILIES: [&str; 4] = ["crosstab", "dblink", "pg_ls_", "pg_read_"];

/// Where a function stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stands {
    /// In a FROM.
    Table,
    Value,
}

/// Whether the function called `name`, without its schema, reads more than its arguments, or may.
pub(super) fn reads(name: &str, stands: Stands, dialect: Dialect) -> bool {
    let name = name.to_ascii_lowercase();
    let among = |them: &[&str]| them.contains(&name.as_str());
    match (dialect, stands) {
        (Dialect::DuckDb, Stands::Table) => !among(&DUCKDB_PURE),
        (Dialect::Sqlite, Stands::Table) => !among(&SQLITE_PURE),
        (Dialect::Postgres, _) => {
            among(&POSTGRES_READING) || POSTGRES_READING_FAMILIES.iter().any(|it| name.starts_with(it))
        }
        _ => false,
    }
}
