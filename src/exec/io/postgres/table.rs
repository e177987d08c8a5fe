//! One table: its names, and what it is.

use postgres::{Error, GenericClient};

/// Of what is staged: the target first, then the attempt.
pub const STAGE: &str = "_assets_stage_";

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// A table that is there: its number, and the letter that Postgres has for its kind.
pub struct Found {
    pub oid: u32,
    pub kind: char,
}

/// # Errors
/// What the server says.
pub fn find(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<Option<Found>, Error> {
    let row = client.query_opt(
        "select c.oid, c.relkind::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2",
        &[&schema, &name],
    )?;
    Ok(row.map(|it| Found { oid: it.get(0), kind: it.get::<_, String>(1).chars().next().unwrap_or('?') }))
}

/// Whether people have made triggers on a table.
///
/// # Errors
/// What the server says.
pub fn has_triggers(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<bool, Error> {
    let row = client.query_one(
        "select exists (select 1 from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2 and not t.tgisinternal)",
        &[&schema, &name],
    )?;
    Ok(row.get(0))
}

/// Names of columns and what they are declared as: the type, the values of one that lists them, and the order of texts if
/// it is not that of the database.
///
/// # Errors
/// What the server says.
pub fn declared(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<Vec<(String, String)>, Error> {
    let rows = client.query(
        "select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) \
         || coalesce((select ' (' || string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) || ')' \
             from pg_catalog.pg_enum e where e.enumtypid = a.atttypid), '') \
         || coalesce((select ' collate ' || quote_ident(o.collname) from pg_catalog.pg_collation o \
             where o.oid = a.attcollation and o.collname <> 'default'), '') \
         from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum",
        &[&schema, &name],
    )?;
    Ok(rows.iter().map(|it| (it.get(0), it.get(1))).collect())
}

/// Until the transaction ends, names are looked up in this schema first.
///
/// # Errors
/// What the server says.
pub fn first_in_path(client: &mut impl GenericClient, schema: &str) -> Result<(), Error> {
    let set = "select set_config('search_path', quote_ident($1) || ', ' || current_setting('search_path'), true)";
    client.execute(set, &[&schema]).map(|_| ())
}

/// Takes away whatever has this name.
///
/// # Errors
/// What the server says: other things may rest on it.
pub fn drop(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<(), Error> {
    let what = match find(client, schema, name)?.map(|it| it.kind) {
        None => return Ok(()),
        Some('v') => "view",
        Some('m') => "materialized view",
        Some('f') => "foreign table",
        Some(_) => "table",
    };
    client.batch_execute(&format!("drop {what} {}", qualified(schema, name)))
}
