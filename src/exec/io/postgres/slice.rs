//! One partition of a table: its rows go and others take their place, in a transaction that is neither begun nor
//! ended here.

use postgres::{Client, Error, GenericClient};

use super::{
    OURS,
    connect::{Address, words},
    row, rows,
    stamp::{Look, Stamp, look},
    swap::{
        Unswapped, asked,
        carried::{Carried, Onto},
    },
    table::{drop, find, qualified, quoted},
    table_name,
};
use crate::exec::io::{
    IoError, Slice, Target,
    fit::{Column, fit, other_columns},
    slice,
};

/// Replaces the rows of the slice by those that are staged, and takes the stage away. The stamp is that of the slice.
pub fn put(
    client: &mut Client,
    schema: &str,
    (name, stage): (&str, &str),
    (slice, hooks_follow): (&Slice, bool),
) -> Result<Option<Stamp>, Unswapped> {
    let what = format!("table {name}");
    let (table, staged) = (qualified(schema, name), qualified(schema, stage));
    let new = columns(client, schema, stage).map_err(Unswapped::Refused)?;
    if !is_settled(client, schema, name, slice)? {
        match (find(client, schema, name)?, find(client, schema, stage)?) {
            (Some(old), Some(made)) => {
                if columns(client, schema, name).map_err(Unswapped::Refused)? != new {
                    let onto = Onto { old: old.oid, new: made.oid, name: &table, is_view: false, hooks_follow };
                    let carried = Carried::from(client, &onto)?;
                    asked(client, &what, &format!("drop table {table}; create table {table} (like {staged})"))?;
                    carried.put(client)?;
                }
            }
            _ => asked(client, &what, &format!("create table {table} (like {staged})"))?,
        }
    }
    let old = columns(client, schema, name).map_err(Unswapped::Refused)?;
    if fit(&what, (&old, &new), &mut |_, _| Ok(1)).map_err(Unswapped::Refused)?.is_some() {
        let cause = "it was made with other columns meanwhile".to_owned();
        return Err(Unswapped::Refused(IoError::Refused { what, cause, help: "run again".to_owned() }));
    }
    asked(client, &what, &format!("delete from {table} where {}", slice.condition()))?;
    asked(client, &what, &format!("insert into {table} select * from {staged}"))?;
    drop(client, schema, stage)?;
    Ok(look(client, schema, name, &slice.condition())?.as_ref().and_then(Look::stamp))
}

/// Whether the table is there with rows of other partitions: those settle what its columns are.
fn is_settled(client: &mut Client, schema: &str, name: &str, slice: &Slice) -> Result<bool, Error> {
    let Some(table) = find(client, schema, name)? else { return Ok(false) };
    let names: Vec<&str> = slice.columns.iter().map(|it| it.0.as_str()).collect();
    let known = "select count(*) from pg_catalog.pg_attribute where attrelid = $1 and attname = any($2)";
    let known: i64 = client.query_one(known, &[&table.oid, &names])?.get(0);
    let others = match usize::try_from(known) == Ok(names.len()) {
        true => format!("({}) is not true", slice.condition()),
        false => "true".to_owned(),
    };
    let some = format!("select 1 from {} where {others} limit 1", qualified(schema, name));
    Ok(client.query_opt(&some, &[])?.is_some())
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

/// Refuses to take away rows of another partition, and keeps others of this table waiting until the transaction has ended:
/// two partitions at once would both make it.
pub fn taken_once(client: &mut Client, schema: &str, target: &Target, slice: &Slice) -> Result<(), Unswapped> {
    let name = table_name(target);
    let table = qualified(schema, &name);
    client.execute("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext($1))", &[&table])?;
    if find(client, schema, &name)?.is_none() || row(client, schema, &target.ledger_name())?.is_some() {
        return Ok(());
    }
    let own = slice.condition();
    // Its column may be another one from now on.
    let some = format!("select 1 from {table} where {own} limit 1");
    if !is_so(client, &some)? {
        return Ok(());
    }
    let published = format!("select name from {} where starts_with(name, $1 || '@')", qualified(schema, OURS));
    let published: Vec<String> = client.query(&published, &[&name])?.iter().map(|it| it.get(0)).collect();
    let are_both = |other: &Slice| {
        is_so(client, &format!("select 1 from {table} where ({own}) and ({}) limit 1", other.condition()))
    };
    slice::taken_once(target, published, are_both)?.map_err(Unswapped::Refused)
}

/// Whether a query gives a row; of one that the table does not allow it is not so.
fn is_so(client: &mut Client, query: &str) -> Result<bool, Error> {
    client.batch_execute("savepoint assets_ask")?;
    match client.query_opt(query, &[]) {
        Ok(found) => client.batch_execute("release savepoint assets_ask").map(|()| found.is_some()),
        Err(error) if error.as_db_error().is_some() => {
            client.batch_execute("rollback to savepoint assets_ask").map(|()| false)
        }
        Err(error) => Err(error),
    }
}

pub fn delete(client: &mut impl GenericClient, schema: &str, name: &str, slice: &Slice) -> Result<(), Error> {
    if find(client, schema, name)?.is_none() {
        return Ok(());
    }
    client.batch_execute(&format!("delete from {} where {}", qualified(schema, name), slice.condition()))
}

/// Gives what is staged the columns of the table that it goes into, if others have settled them.
///
/// # Errors
/// Rows that the table has no room for.
pub fn shape(
    client: &mut Client,
    schema: &str,
    (name, stage): (&str, &str),
    slice: &Slice,
    address: &Address,
) -> Result<(), IoError> {
    let told = |it: Error| address.told(&it);
    if !is_settled(client, schema, name, slice).map_err(told)? {
        return Ok(());
    }
    let (what, staged) = (format!("table {name}"), qualified(schema, stage));
    let (old, new) = (columns(client, schema, name)?, columns(client, schema, stage)?);
    let copied = fit(&what, (&old, &new), &mut |column, condition| {
        let condition = condition.replace('$', &quoted(&column.name));
        let row = client.query_one(&format!("select count(*) from {staged} where {condition}"), &[]);
        row.map(|it| it.get(0)).map_err(told)
    })?;
    let Some(copied) = copied else { return Ok(()) };
    let shaped = format!("{stage}_shaped");
    let to = qualified(schema, &shaped);
    let list =
        |of: fn(&(String, String)) -> &String| copied.iter().map(|it| quoted(of(it))).collect::<Vec<_>>().join(", ");
    // Without a value, not even a key, there is no row.
    let filled = match copied.is_empty() {
        true => String::new(),
        false => format!("insert into {to} ({}) select {} from {staged}; ", list(|it| &it.0), list(|it| &it.1)),
    };
    let statements = format!(
        "begin; create table {to} (like {}); {filled}drop table {staged}; alter table {to} rename to {}; commit",
        qualified(schema, name),
        quoted(stage)
    );
    client.batch_execute(&statements).map_err(|it| other_columns(&what, words(&it)))
}

fn columns(client: &mut Client, schema: &str, name: &str) -> Result<Vec<Column>, IoError> {
    let found = rows::kinds(client, schema, name);
    found.map_err(|it| IoError::Other { path: format!("table {name}"), cause: it.to_string() })
}
