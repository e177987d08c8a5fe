//! One partition of a table: its rows go and others take their place, in a transaction that is neither begun nor
//! ended here.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{
    refused,
    table::{STAGED, columns, defined, definition, exists, lost, quoted},
    table_name,
};
use crate::exec::io::{
    IoError, Slice, Target,
    fit::{lossy, same_names},
    slice::strangers,
};

/// Replaces the rows of the slice by those that are staged, in a database attached as `stage`.
pub fn put(transaction: &Transaction<'_>, name: &str, slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: rusqlite::Error| refused(&what, &it);
    if !exists(transaction, name).map_err(said)? {
        let columns = definition(transaction, "stage", STAGED).map_err(said)?;
        transaction.execute_batch(&format!("create table main.{} {columns}", quoted(name))).map_err(said)?;
    }
    let mut old = columns(transaction, "main", name).map_err(said)?;
    let new = columns(transaction, "stage", STAGED).map_err(said)?;
    if old != new && !has_others(transaction, name, slice).map_err(said)? {
        let made = format!("drop table main.{0}; create table main.{0} {1}", quoted(name), defined(&new));
        transaction.execute_batch(&made).map_err(said)?;
        old.clone_from(&new);
    }
    let names: Vec<String> = new.iter().map(|it| it.0.clone()).collect();
    same_names(&what, &old.iter().map(|it| it.0.clone()).collect::<Vec<_>>(), &names)?;
    delete(transaction, name, slice).map_err(said)?;
    let table = format!("main.{}", quoted(name));
    let last: i64 = transaction
        .query_row(&format!("select coalesce(max(rowid), 0) from {table}"), [], |it| it.get(0))
        .map_err(said)?;
    let list = names.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ");
    let insert = format!("insert into {table} ({list}) select {list} from stage.{STAGED} order by rowid");
    transaction.execute_batch(&insert).map_err(said)?;
    // Another partition may have made the table since these rows were given its shape.
    if old != new {
        let (from, to) = (format!("stage.{STAGED}"), format!("{table} where rowid > {last}"));
        nothing_lost(transaction, &what, &names, (&from, &to))?;
    }
    Ok(())
}

/// The columns of a table that has rows of other partitions, which settle them; none if it is not there or has not.
pub fn settled(live: &Connection, name: &str, slice: &Slice) -> rusqlite::Result<Vec<(String, String)>> {
    match exists(live, name)? && has_others(live, name, slice)? {
        true => columns(live, "main", name),
        false => Ok(Vec::new()),
    }
}

fn has_others(connection: &Connection, name: &str, slice: &Slice) -> rusqlite::Result<bool> {
    let other = format!("select 1 from main.{} where ({}) is not true limit 1", quoted(name), slice.condition());
    exists_row(connection, &other)
}

fn exists_row(connection: &Connection, text: &str) -> rusqlite::Result<bool> {
    Ok(connection.query_row(text, [], |_| Ok(())).optional()?.is_some())
}

/// Refuses values that became others on the way from one table into another.
fn nothing_lost(
    connection: &Connection,
    what: &str,
    names: &[String],
    (from, to): (&str, &str),
) -> Result<(), IoError> {
    for column in names.iter().map(|it| quoted(it)) {
        let count = connection.query_row(&lost((from, &column), (to, &column)), [], |it| it.get::<_, i64>(0));
        let count = count.map_err(|it| refused(what, &it))?;
        if count > 0 {
            let cause = format!("its column {column} does not hold {count} of the new values as they are");
            return Err(lossy(what, cause));
        }
    }
    Ok(())
}

/// Of the partitions of a table that is replaced as a whole nothing is known any more.
pub fn forget(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let parts = format!("{name}@");
    let text = "delete from main._assets_tables where substr(name, 1, length(?1)) = ?1 collate nocase";
    transaction.execute(text, [&parts]).map(drop)
}

/// Gives what is staged the columns `old` of the table that it goes into: what a column makes of a value
/// is seen before it is published.
pub fn shape(old: &[(String, String)], stage: &Connection, name: &str) -> Result<(), IoError> {
    let what = format!("table {name}");
    let said = |it: rusqlite::Error| refused(&what, &it);
    let new = columns(stage, "main", STAGED).map_err(said)?;
    if old == new {
        return Ok(());
    }
    let names = |them: &[(String, String)]| them.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    same_names(&what, &names(old), &names(&new))?;
    let list = old.iter().map(|it| quoted(&it.0)).collect::<Vec<_>>().join(", ");
    let made = format!(
        "create table shaped {}; insert into shaped ({list}) select {list} from {STAGED} order by rowid",
        defined(old)
    );
    stage.execute_batch(&made).map_err(said)?;
    nothing_lost(stage, &what, &names(old), (STAGED, "shaped"))?;
    stage.execute_batch(&format!("drop table {STAGED}; alter table shaped rename to {STAGED}")).map_err(said)
}

pub fn delete(transaction: &Transaction<'_>, name: &str, slice: &Slice) -> rusqlite::Result<()> {
    if !exists(transaction, name)? {
        return Ok(());
    }
    transaction.execute_batch(&format!("delete from main.{} where {}", quoted(name), slice.condition()))
}

/// Whether rows of a partition are there that was never published.
pub fn is_taken(transaction: &Transaction<'_>, target: &Target, slice: &Slice) -> rusqlite::Result<bool> {
    let name = table_name(target);
    let written = "select 1 from main._assets_tables where name = ?";
    if !exists(transaction, &name)?
        || transaction.query_row(written, [target.ledger_name()], |_| Ok(())).optional()?.is_some()
    {
        return Ok(false);
    }
    exists_row(transaction, &format!("select 1 from main.{} where {} limit 1", quoted(&name), slice.condition()))
}

/// The names under which partitions of a table are written down.
pub fn published(connection: &Connection, name: &str) -> rusqlite::Result<Vec<String>> {
    let parts = format!("{name}@");
    let text = "select name from main._assets_tables where substr(name, 1, length(?1)) = ?1 collate nocase";
    connection.prepare(text)?.query_map([&parts], |it| it.get(0))?.collect()
}

/// Whether a table has a row of both slices.
pub fn has_both(connection: &Connection, table: &str, one: &Slice, other: &Slice) -> rusqlite::Result<bool> {
    let (one, other, table) = (one.condition(), other.condition(), quoted(table));
    let row = format!("select 1 from main.{table} where ({one}) and ({other}) limit 1");
    exists_row(connection, &row)
}

/// Refuses rows that are of another partition: they would stay when this one is made again.
pub fn belongs(connection: &Connection, target: &Target, slice: &Slice) -> Result<(), IoError> {
    let what = format!("table {}", table_name(target));
    let said = |it: rusqlite::Error| refused(&what, &it);
    let text = format!("select count(*) from main.{STAGED} where ({}) is not true", slice.condition());
    let other: i64 = connection.query_row(&text, [], |it| it.get(0)).map_err(said)?;
    if other == 0 {
        return Ok(());
    }
    Err(strangers(&what, other, slice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_converted_into_a_table_that_another_partition_made_meanwhile() {
        let mut live = Connection::open_in_memory().unwrap();
        let slice = Slice { columns: vec![("day".to_owned(), "2".to_owned())] };
        live.execute_batch(&format!(
            "attach ':memory:' as stage; create table stage.{STAGED} (day, n INT); insert into stage.{STAGED} values ('2', 7)"
        ))
        .unwrap();
        // Its rows were staged when there was no table; then one without rows made it, and n is a text there.
        for (kind, is_taken) in [("TEXT", false), ("REAL", true), ("", true), ("INT", true)] {
            live.execute_batch(&format!(
                "drop table if exists t; create table t (day, n {kind}); insert into t values ('1', null)"
            ))
            .unwrap();
            let transaction = live.transaction().unwrap();
            assert_eq!(put(&transaction, "t", &slice).is_ok(), is_taken, "{kind}");
        }
    }
}
