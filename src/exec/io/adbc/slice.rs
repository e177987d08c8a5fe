//! One partition of a table: its rows go and others take their place, in a transaction that is neither begun nor
//! ended here.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::session::{Refused, Session};
use crate::{
    exec::io::{
        IoError, Slice,
        fit::{Column, Copied, fit, lossy, place_of},
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
    let found = |name: &String| place_of(name, there.iter().map(String::as_str)).map(|it| &there[it]);
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

/// Whether a table has rows of the slice.
///
/// # Errors
/// What the engine says.
pub fn is_taken(session: &mut Session, table: &str, slice: &Slice) -> Result<bool, Refused> {
    if session.kind_of(table)?.is_none() {
        return Ok(false);
    }
    let Some(own) = condition(session, table, slice)? else { return Ok(false) };
    let row = format!("select 1 from {} where {own} limit 1", session.qualified(table));
    Ok(!session.texts(&row)?.is_empty())
}

/// Whether a table has a row of both slices.
///
/// # Errors
/// What the engine says.
pub fn has_both(session: &mut Session, table: &str, one: &Slice, other: &Slice) -> Result<bool, Refused> {
    let (Some(one), Some(other)) = (condition(session, table, one)?, condition(session, table, other)?) else {
        return Ok(false);
    };
    let row = format!("select 1 from {} where ({one}) and ({other}) limit 1", session.qualified(table));
    Ok(!session.texts(&row)?.is_empty())
}

/// The number that a query gives.
///
/// # Errors
/// What the engine says.
pub fn count(session: &mut Session, counted: &str) -> Result<i64, Refused> {
    let found = session.texts(counted)?.into_iter().flatten().flatten().next();
    found.and_then(|it| it.parse().ok()).ok_or_else(|| Refused::plain("rows could not be counted"))
}

/// Whether the table is there with rows of other partitions: those settle what its columns are.
fn is_settled(session: &mut Session, name: &str, slice: &Slice) -> Result<bool, Refused> {
    if session.kind_of(name)?.is_none() {
        return Ok(false);
    }
    let all = || "1 = 1".to_owned();
    let others = match session.engine.transactional {
        true => condition(session, name, slice)?.map_or_else(all, |it| format!("({it}) is not true")),
        // There its own rows would be gone before the new ones are there.
        false => all(),
    };
    let table = session.qualified(name);
    Ok(!session.texts(&format!("select 1 from {table} where {others} limit 1"))?.is_empty())
}

/// Gives what is staged the columns of the table that it goes into, if others have settled them.
///
/// # Errors
/// What the engine says; rows that the table has no room for.
pub fn shape(session: &mut Session, (name, stage): (&str, &str), slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: Refused| IoError::unpublished(&what, it.message);
    if !is_settled(session, name, slice).map_err(said)? {
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
    let made = format!("create table {to} as select * from {table} where 1 = 0");
    // Without a value, not even a key, there is no row.
    let filled = (!copied.is_empty()).then(|| format!("insert into {to} ({names}) select {from} from {staged}"));
    for statement in std::iter::once(made).chain(filled) {
        session.run(&statement).map_err(said)?;
    }
    if by_value && let Err(error) = nothing_lost(session, &what, &copied, (&staged, &to)) {
        session.drop_table(&shaped).map_err(said)?;
        return Err(error);
    }
    session.drop_table(stage).map_err(said)?;
    let renamed = format!("alter table {to} rename to {}", engine.quoted(&engine.stored(stage)));
    session.run(&renamed).map_err(said)?;
    Ok(())
}

/// Replaces the rows of the slice by those that are staged.
///
/// # Errors
/// What the engine says; rows with other columns than the table has.
pub fn put(session: &mut Session, (name, stage): (&str, &str), slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: Refused| IoError::unpublished(&what, it.message);
    let (old, new) = (columns(session, name).map_err(said)?, columns(session, stage).map_err(said)?);
    let mut no_more = |_: &Column, _: &str| Ok(1);
    if fit(&what, (&old, &new), &mut no_more)?.is_some() {
        return Err(IoError::unpublished(&what, "it was made with other columns meanwhile; run again".to_owned()));
    }
    delete(session, name, slice).map_err(said)?;
    let (table, staged) = (session.qualified(name), session.qualified(stage));
    let insert = format!("insert into {table} select * from {staged}");
    if session.engine.dialect != Dialect::Sqlite {
        return session.run(&insert).map_err(said);
    }
    // Another partition may have made the table since these rows were given its shape.
    let last = count(session, &format!("select coalesce(max(rowid), 0) from {table}")).map_err(said)?;
    session.run(&insert).map_err(said)?;
    let copied: Copied = old.iter().map(|it| it.name.clone()).zip(new.iter().map(|it| it.name.clone())).collect();
    nothing_lost(session, &what, &copied, (&staged, &format!("{table} where rowid > {last}")))
}

/// Refuses values that became others on the way from one table into another, where each value has its own type.
fn nothing_lost(session: &mut Session, what: &str, copied: &Copied, (staged, to): (&str, &str)) -> Result<(), IoError> {
    for (column, from) in copied {
        let (column, from) = (session.engine.quoted(column), session.engine.quoted(from));
        let asked = lost((staged, &from), (to, &column));
        let lost = count(session, &asked).map_err(|it| IoError::unpublished(what, it.message))?;
        if lost > 0 {
            let cause = format!("its column {column} does not hold {lost} of the new values as they are");
            return Err(lossy(what, cause));
        }
    }
    Ok(())
}

/// Makes the table, without rows, if there is none with rows of other partitions.
///
/// # Errors
/// What the engine says.
pub fn make(session: &mut Session, (name, stage): (&str, &str), slice: &Slice) -> Result<(), Refused> {
    let (table, staged) = (session.qualified(name), session.qualified(stage));
    if session.engine.dialect == Dialect::Postgres {
        // Two partitions at once would both make it.
        let name = session.engine.literal(&table);
        session.texts(&format!("select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext({name}))::text"))?;
    }
    if is_settled(session, name, slice)? {
        return Ok(());
    }
    if session.kind_of(name)?.is_some() {
        let by_value = session.engine.dialect == Dialect::Sqlite;
        if !by_value && columns(session, name)? == columns(session, stage)? {
            return Ok(());
        }
        session.drop_table(name)?;
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
