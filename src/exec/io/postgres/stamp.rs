//! What tells whether a table is still as it was, without reading a row of it.
//!
//! Postgres writes every new version of a row with the number of the transaction that made it, and counts rows without
//! sending one. All rows of a table that we made are of one transaction; so if there are as many rows as then, and all of
//! that transaction, they are those very rows.

use postgres::{Error, GenericClient};

use super::table::{Found, find, qualified};

/// The number of the first type that is not Postgres's own.
const FIRST_OF_USERS: u32 = 16384;

/// What a table was when it was looked at: equal stamps mean the same rows and columns, also in another run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub columns: String,
    pub rows: i64,
    /// The transaction; 0 if there is no row.
    pub transaction: i64,
}

/// One look at the rows of a table that fulfil a condition.
pub struct Look {
    table: String,
    condition: String,
    oid: u32,
    columns: String,
    /// The transactions that made the columns what they are.
    declared_by: String,
    /// A type in it is somebody's own: what its values are called can be changed where no row is.
    of_users: bool,
    rows: i64,
    /// Those among them that the transaction has made.
    of_one: i64,
    transaction: i64,
}

/// Looks; `None` if it is no plain table.
///
/// # Errors
/// What the server says.
pub fn look(client: &mut impl GenericClient, schema: &str, name: &str, condition: &str) -> Result<Option<Look>, Error> {
    let Some(Found { oid, kind: 'r' }) = find(client, schema, name)? else { return Ok(None) };
    let described = client.query_one(
        "select coalesce(string_agg(format('%s %L %s %s %s %s', attnum, attname, atttypid, atttypmod, attisdropped, attcollation), ',' \
             order by attnum), ''), coalesce(bool_or(not attisdropped and atttypid >= $2), false), \
             coalesce(string_agg(concat_ws('-', a.xmin, (select xmin from pg_catalog.pg_type t where t.oid = atttypid and t.oid >= $2), \
                 (select string_agg(xmin::text, '+' order by oid) from pg_catalog.pg_enum e where e.enumtypid = atttypid)), ',' \
                 order by attnum), '') \
             from pg_catalog.pg_attribute a where attrelid = $1 and attnum > 0",
        &[&oid, &FIRST_OF_USERS],
    )?;
    let (columns, of_users, declared_by) = (described.get(0), described.get(1), described.get(2));
    let (table, condition) = (qualified(schema, name), condition.to_owned());
    let first = client.query_opt(&format!("select xmin::text::bigint from {table} where {condition} limit 1"), &[])?;
    let transaction: i64 = first.map_or(0, |it| it.get(0));
    let counted = client.query_one(
        &format!("select count(*), count(*) filter (where xmin = '{transaction}'::xid) from {table} where {condition}"),
        &[],
    )?;
    let (rows, of_one) = (counted.get(0), counted.get(1));
    Ok(Some(Look { table, condition, oid, columns, declared_by, of_users, rows, of_one, transaction }))
}

/// The stamp of a whole table.
///
/// # Errors
/// What the server says.
pub fn stamp(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<Option<Stamp>, Error> {
    Ok(look(client, schema, name, "true")?.as_ref().and_then(Look::stamp))
}

/// The same of a view, which has no rows of its own, as [`Look::witness`]; `None` if it is none.
///
/// # Errors
/// What the server says.
pub fn witness_of_view(client: &mut impl GenericClient, schema: &str, name: &str) -> Result<Option<String>, Error> {
    let Some(Found { oid, kind: 'v' }) = find(client, schema, name)? else { return Ok(None) };
    let rules = "select coalesce(string_agg(oid || '-' || xmin::text, ',' order by oid), '') from pg_catalog.pg_rewrite \
                 where ev_class = $1";
    let rules: String = client.query_one(rules, &[&oid])?.get(0);
    Ok(Some(format!("{oid} {rules}")))
}

impl Look {
    /// `None` if its rows are of several transactions, or a type in it is somebody's own.
    pub fn stamp(&self) -> Option<Stamp> {
        let Look { columns, rows, transaction, .. } = self;
        let is_told = !self.of_users && self.rows == self.of_one;
        is_told.then(|| Stamp { columns: columns.clone(), rows: *rows, transaction: *transaction })
    }

    /// Tells this moment from every later one at which somebody has written to the table, though it be the same again: the
    /// transactions of all its rows.
    ///
    /// # Errors
    /// What the server says.
    pub fn witness(&self, client: &mut impl GenericClient) -> Result<String, Error> {
        let Look { table, condition, oid, columns, declared_by, rows, transaction, .. } = self;
        let by = match self.rows == self.of_one {
            true => transaction.to_string(),
            false => {
                let each =
                    format!("select xmin::text as made, count(*) as n from {table} where {condition} group by xmin");
                let all = format!(
                    "select sum(hashtextextended(made, 0)::numeric * n)::text, sum(n)::text from ({each}) them"
                );
                let row = client.query_one(&all, &[])?;
                let told: [Option<String>; 2] = [row.get(0), row.get(1)];
                format!("{told:?}")
            }
        };
        Ok(format!("{oid} {rows} {by} {declared_by} {columns}"))
    }
}
