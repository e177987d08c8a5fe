//! One table: its names, what it is, and what tells whether it is still as it was.

use postgres::{Error, GenericClient};

/// The number of the first type that is not Postgres's own.
const FIRST_OF_USERS: u32 = 16384;
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

/// What a table was when it was looked at: equal stamps mean the same rows and columns.
///
/// Postgres writes every new version of a row with the number of the transaction that made it. All rows of a table
/// that we made are of one transaction; so if there are as many rows as then, and all of that transaction, they
/// are those very rows. Rows are counted by the server, none is read or sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub columns: String,
    pub rows: i64,
    /// The transaction; 0 if there is no row.
    pub transaction: i64,
}

/// `None` if its rows are of several transactions, it is no plain table, or a type in it is somebody's own.
///
/// # Errors
/// What the server says.
pub fn stamp(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<Option<Stamp>, Error> {
    stamp_where(client, schema, name, "true")
}

/// The same of the rows that fulfil a condition.
///
/// # Errors
/// What the server says.
pub fn stamp_where(
    client: &mut impl GenericClient,
    schema: &str,
    name: &str,
    condition: &str,
) -> Result<Option<Stamp>, Error> {
    let Some(Found { oid, kind: 'r' }) = find(client, schema, name)? else { return Ok(None) };
    let described = client.query_one(
        "select coalesce(string_agg(format('%s %L %s %s %s %s', attnum, attname, atttypid, atttypmod, attisdropped, attcollation), ',' \
             order by attnum), ''), coalesce(bool_or(not attisdropped and atttypid >= $2), false) \
             from pg_catalog.pg_attribute where attrelid = $1 and attnum > 0",
        &[&oid, &FIRST_OF_USERS],
    )?;
    let (columns, of_users): (String, bool) = (described.get(0), described.get(1));
    // What its values are called can be changed where no row is.
    if of_users {
        return Ok(None);
    }
    let of = qualified(schema, name);
    let first = client.query_opt(&format!("select xmin::text::bigint from {of} where {condition} limit 1"), &[])?;
    let transaction: i64 = first.map_or(0, |it| it.get(0));
    let counted = client.query_one(
        &format!("select count(*), count(*) filter (where xmin = '{transaction}'::xid) from {of} where {condition}"),
        &[],
    )?;
    let (rows, of_one): (i64, i64) = (counted.get(0), counted.get(1));
    Ok((rows == of_one).then_some(Stamp { columns, rows, transaction }))
}
