//! The identity of a staged table, written beside it by whoever made it of rows that were hashed on the way: a
//! comment on the table, in the same transaction. Nobody else knows the table's name, and what is published has no
//! such comment.

use postgres::{Error, GenericClient};

use super::table::qualified;
use crate::exec::table::digest::TableVersion;

const LEAD: &str = "assets version 1";

/// The statement that writes it down; `table` as it is written in a statement.
pub fn note(table: &str, version: &TableVersion) -> String {
    format!("comment on table {table} is '{LEAD} {} {} {}'", version.digest, version.rows, version.bytes)
}

/// What was written down.
///
/// # Errors
/// What the server says.
pub fn noted(client: &mut impl GenericClient, schema: &str, table: &str) -> Result<Option<TableVersion>, Error> {
    let asked = "select pg_catalog.obj_description($1::text::regclass, 'pg_class')";
    let found: Option<String> = client.query_one(asked, &[&qualified(schema, table)])?.get(0);
    Ok(found.as_deref().and_then(parsed))
}

/// The statement that takes it away; `table` as it is written in a statement.
pub fn forgotten(table: &str) -> String {
    format!("comment on table {table} is null")
}

fn parsed(text: &str) -> Option<TableVersion> {
    let mut words = text.strip_prefix(LEAD)?.split_whitespace();
    let version = TableVersion {
        digest: words.next()?.parse().ok()?,
        rows: words.next()?.parse().ok()?,
        bytes: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(version)
}
