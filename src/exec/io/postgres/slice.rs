//! One partition of a table: its rows go and others take their place, in a transaction that is neither begun nor
//! ended here.

use postgres::{Client, Error, GenericClient};

use super::{
    row,
    swap::{Unswapped, asked},
    table::{Stamp, drop, find, qualified, quoted, stamp_where},
};
use crate::exec::io::{IoError, Slice, Target};

/// Replaces the rows of the slice by those that are staged, and takes the stage away. The stamp is that of the slice.
pub fn put(
    client: &mut Client,
    schema: &str,
    (name, stage): (&str, &str),
    slice: &Slice,
) -> Result<Option<Stamp>, Unswapped> {
    let what = format!("table {name}");
    let (table, staged) = (qualified(schema, name), qualified(schema, stage));
    // Two partitions at once would both make the table.
    client.execute("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext($1))", &[&table])?;
    if find(client, schema, name)?.is_none() {
        asked(client, &what, &format!("create table {table} (like {staged})"))?;
    }
    let (old, new) = (columns(client, schema, name)?, columns(client, schema, stage)?);
    let same = |a: &[String], b: &[String]| a.iter().all(|it| b.contains(it));
    if !same(&old, &new) || !same(&new, &old) {
        return Err(Unswapped::Refused(IoError::Refused {
            what,
            cause: format!("it has the columns {}, and the new rows have {}", old.join(", "), new.join(", ")),
            help: "nothing was published; drop the table to make all partitions with the new columns".to_owned(),
        }));
    }
    let list = new.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ");
    asked(client, &what, &format!("delete from {table} where {}", slice.condition()))?;
    asked(client, &what, &format!("insert into {table} ({list}) select {list} from {staged}"))?;
    drop(client, schema, stage)?;
    Ok(stamp_where(client, schema, name, &slice.condition())?)
}

/// Whether the table is there and, of a slice, some of its rows; or none, and it was written down so.
pub fn holds(client: &mut Client, schema: &str, name: &str, target: &Target) -> Result<bool, Error> {
    if find(client, schema, name)?.is_none() {
        return Ok(false);
    }
    if target.slice.is_none() || row(client, schema, &target.ledger_name())?.is_some() {
        return Ok(true);
    }
    let some = format!("select 1 from {} where {} limit 1", qualified(schema, name), target.condition());
    Ok(client.query_opt(&some, &[])?.is_some())
}

/// How many of the staged rows are of another partition: they would stay when this one is made again.
pub fn strangers(client: &mut Client, schema: &str, stage: &str, slice: &Slice) -> Result<i64, Error> {
    let text = format!("select count(*) from {} where ({}) is not true", qualified(schema, stage), slice.condition());
    Ok(client.query_one(&text, &[])?.get(0))
}

pub fn delete(client: &mut impl GenericClient, schema: &str, name: &str, slice: &Slice) -> Result<(), Error> {
    if find(client, schema, name)?.is_none() {
        return Ok(());
    }
    client.batch_execute(&format!("delete from {} where {}", qualified(schema, name), slice.condition()))
}

fn columns(client: &mut Client, schema: &str, name: &str) -> Result<Vec<String>, Error> {
    let Some(found) = find(client, schema, name)? else { return Ok(Vec::new()) };
    let text =
        "select attname::text from pg_catalog.pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped";
    Ok(client.query(text, &[&found.oid])?.iter().map(|it| it.get(0)).collect())
}
