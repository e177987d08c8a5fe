//! One partition of a table: its rows go and others take their place, in a transaction that is neither begun nor
//! ended here.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::session::{Refused, Session};
use crate::{
    exec::io::{
        IoError, Slice,
        fit::{Column, fit, lossy},
        sqlite::table::lost,
    },
    model::sql::Dialect,
};

/// What selects the rows of the slice, by columns as they are called in `table`; `None` if one is not there.
///
/// # Errors
/// What the engine says.
pub fn condition(session: &mut Session, table: &str, slice: &Slice) -> Result<Option<String>, Refused> {
    let there: Vec<String> = columns(session, table)?.into_iter().map(|it| it.name).collect();
    Ok(by_name(session, &there, slice))
}

/// The same, where the names of all columns are known.
pub fn by_name(session: &Session, there: &[String], slice: &Slice) -> Option<String> {
    let found = |name: &String| {
        there.iter().find(|it| *it == name).or_else(|| there.iter().find(|it| it.eq_ignore_ascii_case(name)))
    };
    let engine = session.engine;
    let one =
        |(name, value): &(String, String)| Some(format!("{} = {}", engine.quoted(found(name)?), engine.literal(value)));
    let each: Option<Vec<String>> = slice.columns.iter().map(one).collect();
    each.map(|it| it.join(" and "))
}

/// What selects the rows of any of them.
///
/// # Errors
/// What the engine says; a column that is not there.
pub fn any(session: &mut Session, table: &str, slices: &[Slice]) -> Result<String, Refused> {
    let Some(first) = slices.first() else { return Ok("1 = 0".to_owned()) };
    let there: Vec<String> = columns(session, table)?.into_iter().map(|it| it.name).collect();
    let each: Option<Vec<String>> = slices.iter().map(|it| by_name(session, &there, it)).collect();
    each.map(|it| format!("({})", it.join(") or ("))).ok_or_else(|| without(first))
}

/// What is said of rows that cannot be told apart.
pub fn without(slice: &Slice) -> Refused {
    Refused::plain(format!("the rows have no column {}, which tells partitions apart", slice.names()))
}

/// How many of the staged rows are of another partition: they would stay when this one is made again.
///
/// # Errors
/// What the engine says; a column that is not there.
pub fn strangers(session: &mut Session, stage: &str, slice: &Slice) -> Result<i64, Refused> {
    let condition = condition(session, stage, slice)?.ok_or_else(|| without(slice))?;
    let staged = session.qualified(stage);
    count(session, &format!("select count(*) from {staged} where ({condition}) is not true"))
}

/// The number that a query gives.
///
/// # Errors
/// What the engine says.
pub fn count(session: &mut Session, counted: &str) -> Result<i64, Refused> {
    let found = session.texts(counted)?.into_iter().flatten().flatten().next();
    found.and_then(|it| it.parse().ok()).ok_or_else(|| Refused::plain("rows could not be counted"))
}

/// Gives what is staged the columns of the table that it goes into, if there is one.
///
/// # Errors
/// What the engine says; rows that the table has no room for.
pub fn shape(session: &mut Session, (name, stage): (&str, &str)) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: Refused| refused(&what, it.message);
    if session.kind_of(name).map_err(said)?.is_none() {
        return Ok(());
    }
    let (old, new) = (columns(session, name).map_err(said)?, columns(session, stage).map_err(said)?);
    let (table, staged) = (session.qualified(name), session.qualified(stage));
    let copied = fit(&what, (&old, &new), &mut |column, condition| {
        let condition = condition.replace('$', &session.engine.quoted(&column.name));
        count(session, &format!("select count(*) from {staged} where {condition}")).map_err(said)
    })?;
    let by_value = session.engine.dialect == Dialect::Sqlite;
    let as_is = || old.iter().map(|it| (it.name.clone(), it.name.clone())).collect();
    let Some(copied) = copied.or_else(|| by_value.then(as_is)) else { return Ok(()) };
    let shaped = format!("{stage}_shaped");
    let to = session.qualified(&shaped);
    let engine = session.engine;
    let list = |of: fn(&(String, String)) -> &String| {
        copied.iter().map(|it| engine.quoted(of(it))).collect::<Vec<_>>().join(", ")
    };
    let (names, from) = (list(|it| &it.0), list(|it| &it.1));
    for statement in [
        format!("create table {to} as select * from {table} where 1 = 0"),
        format!("insert into {to} ({names}) select {from} from {staged}"),
    ] {
        session.run(&statement).map_err(said)?;
    }
    for (column, from) in copied.iter().filter(|_| by_value) {
        let (column, from) = (session.engine.quoted(column), session.engine.quoted(from));
        let lost = count(session, &lost((&staged, &from), (&to, &column))).map_err(said)?;
        if lost > 0 {
            session.drop_table(&shaped).map_err(said)?;
            return Err(lossy(
                &what,
                format!("its column {column} does not hold {lost} of the new values as they are"),
            ));
        }
    }
    for statement in
        [format!("drop table {staged}"), format!("alter table {to} rename to {}", engine.quoted(&engine.stored(stage)))]
    {
        session.run(&statement).map_err(said)?;
    }
    Ok(())
}

/// Replaces the rows of the slice by those that are staged.
///
/// # Errors
/// What the engine says; rows with other columns than the table has.
pub fn put(session: &mut Session, (name, stage): (&str, &str), slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: Refused| refused(&what, it.message);
    let (old, new) = (columns(session, name).map_err(said)?, columns(session, stage).map_err(said)?);
    let mut no_more = |_: &Column, _: &str| Ok(1);
    if fit(&what, (&old, &new), &mut no_more)?.is_some() {
        return Err(refused(&what, "it was made with other columns meanwhile; run again".to_owned()));
    }
    delete(session, name, slice).map_err(said)?;
    let (table, staged) = (session.qualified(name), session.qualified(stage));
    session.run(&format!("insert into {table} select * from {staged}")).map_err(said)
}

/// Makes the table, without rows, if there is none.
///
/// # Errors
/// What the engine says.
pub fn make(session: &mut Session, name: &str, stage: &str) -> Result<(), Refused> {
    let (table, staged) = (session.qualified(name), session.qualified(stage));
    if session.engine.dialect == Dialect::Postgres {
        // Two partitions at once would both make it.
        let name = session.engine.literal(&table);
        session.texts(&format!("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext({name}))::text"))?;
    }
    if session.kind_of(name)?.is_some() {
        return Ok(());
    }
    session.run(&format!("create table {table} as select * from {staged} where 1 = 0"))
}

/// # Errors
/// What the engine says.
pub fn delete(session: &mut Session, name: &str, slice: &Slice) -> Result<(), Refused> {
    if session.kind_of(name)?.is_none() {
        return Ok(());
    }
    match condition(session, name, slice)? {
        Some(it) => session.run(&format!("delete from {} where {it}", session.qualified(name))),
        None => Ok(()),
    }
}

fn columns(session: &mut Session, table: &str) -> Result<Vec<Column>, Refused> {
    let rows = session.rows(&format!("select * from {} where 1 = 0", session.qualified(table)))?;
    // There a column has no type, its values have.
    let by_value = session.engine.dialect == Dialect::Sqlite;
    let of = |it: &Arc<Field>| match by_value {
        true => Column { name: it.name().clone(), data_type: DataType::Null },
        false => Column::of(it),
    };
    Ok(rows.schema().fields().iter().map(of).collect())
}

fn refused(what: &str, cause: String) -> IoError {
    let help = "nothing was published: all of it is one transaction".to_owned();
    IoError::Refused { what: what.to_owned(), cause, help }
}
